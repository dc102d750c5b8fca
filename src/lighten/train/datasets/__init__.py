"""What a training reads: one kind of example per file, each giving padded batches."""
