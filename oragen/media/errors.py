"""Why a file has no usable sound or pictures."""

from pathlib import Path


class UnusableMediaError(ValueError):
    """A file without usable audio or pictures.

    `reason` is a short phrase, the same for all files of one kind, so that files can be counted by
    it: "no such file", "not a file", "no permission", "unreadable", "empty file", "not a media
    file", "truncated or damaged", "unknown codec", "no audio track", "no video track",
    "empty track", "not a picture", "picture too large", "implausible sample rate", "too many
    channels", "longer than 7200 s". The message adds the path and the detail.
    """

    def __init__(self, path: Path, reason: str, detail: str = "") -> None:
        super().__init__(path, reason, detail)  # all three, or the error could not be pickled
        self.path, self.reason, self.detail = path, reason, detail

    @property
    def notes(self) -> list[str]:
        """Return the detail as notes of a clip: none if there is no detail."""
        return [self.detail] if self.detail else []

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f" ({self.detail})" if self.detail else "")
