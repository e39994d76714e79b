"""Media files of any container -> samples at 16 kHz and pictures."""
