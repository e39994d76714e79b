"""The installed package Resemblyzer -> its speaker encoder, known by the SHA-256 of its weights.

The package is never imported: it would load librosa and webrtcvad. Only its weights are read. They
were trained to tell speakers apart by the loss GE2E (arXiv 1710.10467), and come with the package,
so that features of real voices need no hub.
"""

from io import BytesIO
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oragen.models.packages import (
    SPEAKER,
    PackageError,
    find_package_file,
    read_package_file,
)

NUM_BANDS: Final = 40
WIDTH: Final = 256  # of an embedding
NUM_LSTM_LAYERS: Final = 3
# Of the loss; no embedding depends on them.
OF_THE_LOSS: Final = ("similarity_weight", "similarity_bias")


class SpeakerNetwork(nn.Module):
    """Mel spectrograms of 1.6 s -> vectors of length 1, close to each other for one speaker."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(NUM_BANDS, WIDTH, NUM_LSTM_LAYERS, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, mels: Float[Tensor, "batch columns 40"]) -> Float[Tensor, "batch 256"]:
        _, (hidden, _) = self.lstm(mels)  # layer, batch, width
        raw = self.linear(hidden[-1]).relu()
        return raw / raw.norm(dim=1, keepdim=True).clamp(min=1e-12)  # type: ignore[no-any-return]


def load_speaker_network() -> SpeakerNetwork:
    """Build the network with the weights of the installed package.

    Raises:
        PackageError: the package is missing, or its file is not the known one.
    """
    path = find_package_file(SPEAKER)
    if path is None:
        raise PackageError(
            f"The speaker encoder is not installed. Run `{SPEAKER.install}` (16 MB)."
        )
    content = BytesIO(read_package_file(SPEAKER, path))
    weights = torch.load(content, map_location="cpu", weights_only=True)["model_state"]
    network = SpeakerNetwork()
    used = {name: weight for name, weight in weights.items() if name not in OF_THE_LOSS}
    network.load_state_dict(used)
    return network
