"""What `lighten train` does: one task per file, from recipe to a trained checkpoint and its quality."""
