"""What a training is, apart from the library that runs it: recipe, order of batches, hooks, stop, exact checkpoints."""
