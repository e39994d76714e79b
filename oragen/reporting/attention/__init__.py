"""A head and windows -> attention maps -> lanes over the time of a clip."""
