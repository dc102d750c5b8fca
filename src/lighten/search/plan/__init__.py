"""What can be said of a build before any training."""
