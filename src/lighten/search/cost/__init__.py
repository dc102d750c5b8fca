"""What shapes cost on this machine: measured with random weights, or predicted by a model that was fitted here."""
