"""Windows or crops with labels, and a unimodal model -> the model fine-tuned on them."""

from oragen.finetuning.examples import Crops, Examples, Sounds
from oragen.finetuning.loop import FinetuningOptions, finetune

__all__ = ["Crops", "Examples", "FinetuningOptions", "Sounds", "finetune"]
