"""Values with a key each -> immutable parts of a store; keys -> the values, computed only once."""
