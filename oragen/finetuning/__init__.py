"""Windows or crops with labels, and a unimodal model -> the model fine-tuned on them."""
