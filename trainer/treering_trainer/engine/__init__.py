"""What a training is, apart from the library that runs it: recipe, order, stop, tally, exact checkpoints."""
