"""Ways to learn and to remember: one module each, one interface, one ordered registry."""
