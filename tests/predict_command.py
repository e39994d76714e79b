"""`oragen predict` as a user types it, and clips for it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import typer
from typer.testing import CliRunner

from oragen.cli.predict import EPILOGUE, predict
from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.media.video import sample_pictures
from oragen.schema.errors import UserError
from tests.broken_clips import copy_tracks
from tests.media_files import plain, write_video

app = typer.Typer(rich_markup_mode="markdown")
app.command(epilog=EPILOGUE)(predict)


class Done(NamedTuple):
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object, given: bytes = b"") -> Done:
    """Run the command as `oragen.cli.run` does: a mistake is one sentence and exit code 2."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=given)
    if isinstance(result.exception, UserError):
        return Done(2, result.stdout, str(result.exception))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def write_clips(folder: Path) -> Path:
    """Write a talking head, its sound, its pictures, a still of it, and what is no use."""
    spec = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(3.0, 3.2))
    plan = replace(plan_clips(spec)[0], mask_type="none", fault="none")
    write_clip(plan, folder / "talk.mp4")
    copy_tracks(folder / "talk.mp4", folder / "voice.mp4", "audio")
    copy_tracks(folder / "talk.mp4", folder / "mute.mp4", "video")
    first = next(sample_pictures(folder / "talk.mp4", max_duration_s=9.0)).rgb
    cv2.imwrite(str(folder / "still.png"), first[..., ::-1])
    (folder / "broken.mp4").write_bytes(b"")
    write_video(folder / "nobody.mp4", [k / 5 for k in range(10)], [plain(90)] * 10)
    return folder


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
