"""The nine stages of a round, each a function from the workbench to its record, and the round that runs them."""
