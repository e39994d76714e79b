"""Windows and a frozen encoder -> cached embeddings -> batches for a head."""
