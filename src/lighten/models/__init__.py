"""Models: their layout, their checkpoints, their tokenizers. Import the modules, not this package."""
