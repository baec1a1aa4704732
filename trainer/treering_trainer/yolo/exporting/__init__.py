"""Further formats of a model, each made and measured in a process of its own and held to the model's own answers."""
