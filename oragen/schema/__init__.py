"""The words, errors and tables that everything shares; it knows nothing else of oragen."""
