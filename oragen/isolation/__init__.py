"""A call -> its result from another process, or how that failed."""
