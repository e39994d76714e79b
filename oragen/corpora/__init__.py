"""A corpus tree -> records of its clips; `generator` makes corpora of talking heads."""
