"""What `lighten compress` does: the one plan that the user wrote, carried out, the model measured after every step."""
