"""Steps on models: each reads a checkpoint folder and writes one. Import `lighten.compress.steps` to register them."""
