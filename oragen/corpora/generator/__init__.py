"""A seed -> a demo corpus of talking heads, in the place of licensed corpora."""
