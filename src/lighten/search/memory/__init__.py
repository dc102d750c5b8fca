"""What is known from before: measurements by content, sessions, failures."""
