"""Keyed arrays <-> immutable parts on the disk: keys, parts, what of them is in use."""
