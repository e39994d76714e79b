"""Samples and pictures -> speech spans, crops of the main face, windows of fixed length."""
