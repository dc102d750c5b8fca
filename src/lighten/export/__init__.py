"""Draws graphs and writes model folders. Import the modules, not this package."""
