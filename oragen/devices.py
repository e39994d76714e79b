"""The name of a device -> the device."""

import torch


def choose_device(name: str) -> torch.device:
    """Return the named device; `auto` is the first GPU, or else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
