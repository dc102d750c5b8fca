"""Llama-type causal language models as plain arrays: which tensor plays which part, cutting, the view to export."""
