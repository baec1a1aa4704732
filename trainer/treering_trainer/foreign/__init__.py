"""Model files from outside, which nobody vouches for: tensors and a description, read in a process of its own.

Nothing here imports torch or ultralytics, and nothing of a file is ever run: a pickle is taken as data, its classes
become inert records. `reading` and `recognition` are the parent's side; the other modules run in the child, which has
no network, opens no file and starts no program. Nothing is imported here, so that the child has no more than it needs.
"""
