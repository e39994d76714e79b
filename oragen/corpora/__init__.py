"""A corpus tree -> a checked table of its clips; `generator` makes demo corpora."""
