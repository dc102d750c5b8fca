"""Trains a model under a clock. Needs the extra ``build``; import the modules, not this package."""
