"""Batches and a head -> a trained, calibrated head; windows and a head -> scored predictions."""
