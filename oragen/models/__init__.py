"""The networks: layers, heads on cached features, unimodal models, published checkpoints."""
