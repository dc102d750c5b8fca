"""What an attention costs by length: kinds side by side, each point measured in a process of its own."""
