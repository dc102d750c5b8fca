"""What an attention costs, and changes, by length: kinds side by side, each point measured in a process of its own."""
