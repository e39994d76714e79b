"""The page with an answer, as README shows it: `python -m tests.picture_of_page` from the root.

The clip and the people that the model was trained on are generated. It needs a head that the demo
trained, and writes docs/page.png.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from tests.browsing import start_chromium, visit
from tests.project import REPOSITORY
from tests.serving import serve

PICTURE = REPOSITORY / "docs" / "page.png"
HEAD = REPOSITORY / "data" / "heads" / "cross_attention" / "seed-0"
WIDTH_PX = 1200
SPEC = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(11.0, 11.5))
AT_S = 4.5  # in the clip: the box lies over a face that speaks
NUM_COLOURS = 128  # so that the file is small


def take(model: Path, target: Path) -> None:
    """Ask about a generated clip, and save what the page shows."""
    with TemporaryDirectory() as name, serve(model, Path(name) / "service") as served:
        clip = Path(name) / "speaker.mp4"
        write_clip(replace(plan_clips(SPEC)[0], mask_type="none", fault="none"), clip)
        with start_chromium() as browser, visit(browser, served.address, width_px=WIDTH_PX) as seen:
            seen.ask(clip)
            seen.page.locator(".player video").evaluate(
                "(video, time) => { video.currentTime = time; video.controls = false; }", AT_S
            )
            seen.page.locator("footer").evaluate("footer => footer.remove()")
            seen.page.locator("#model").evaluate("model => model.remove()")
            seen.page.wait_for_timeout(1000)  # for the box to follow
            seen.page.screenshot(path=target, full_page=True)
    Image.open(target).convert("RGB").quantize(NUM_COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else HEAD, PICTURE)
