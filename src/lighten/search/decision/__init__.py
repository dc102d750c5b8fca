"""The choice among measured candidates, its proof, and what is told of it."""
