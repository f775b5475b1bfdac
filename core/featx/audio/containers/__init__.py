"""What containers say about themselves, read from their headers by us."""
