"""What a build and a compression do alike: open a run folder, carry out steps, export, ask the exported models."""
