"""Audio and pictures of a clip -> speech spans, crops of the main face, windows."""
