"""The students: which there are, which to train next, and their training."""
