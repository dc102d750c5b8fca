"""The ladder: each kind of model, from the cheapest up."""
