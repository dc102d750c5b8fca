"""Attention that is linear in the length: patterns, the computation, and how a model of transformers takes it."""
