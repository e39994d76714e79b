"""What is known of an encoder without loading it: it is never wrong, and it is enough."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oragen.encoders import load_audio_encoder
from oragen.features import encoder_notes
from oragen.features.encoder_notes import (
    EncoderUse,
    LateEncoder,
    hash_files,
    list_files,
    name_note,
    read_note,
)
from oragen.schema.vocabulary import Level
from tests.file_servers import serve_model
from tests.hub_cache import REVISION, make_snapshot, use_hub_cache
from tests.project import Project
from tests.template_project import Template

FILES = {"model.safetensors": b"weights", "config.json": b"{}", "preprocessor_config.json": b"{}"}
LONG_AGO = 1_600_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an encoder."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "notes" / "hashes.json"


def use_of(source: Path | str, **changes: Any) -> EncoderUse:
    """Return how an encoder is used."""
    usual = EncoderUse("audio", str(source), None, "fp32", ["intermediate"], 64_000)
    return usual._replace(**changes)


@dataclass
class Encoder:
    """An encoder whose features depend on a word."""

    word: str = "ab"
    frame_samples: tuple[int, int] = (320, 400)
    loads: list[str] = field(default_factory=list)

    def load(self) -> "Encoder":
        self.loads.append(self.word)
        return self

    def fingerprint(self, level: Level) -> str:
        return self.word * 32

    def feature_shape(self, num_samples: int, level: Level) -> tuple[int, int]:
        return num_samples // 320, 4


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep_times", [False, True])
def test_a_changed_file_has_another_note(
    folder: Path, memory: Path, name: str, keep_times: bool
) -> None:
    before = name_note(use_of(folder), memory)
    assert before is not None
    assert name_note(use_of(folder), memory) == before
    os.utime(folder / name, (LONG_AGO, LONG_AGO))
    assert name_note(use_of(folder), memory) == before
    (folder / name).write_bytes(FILES[name][::-1] if len(FILES[name]) > 2 else b"[]")
    if keep_times:  # as `cp -p` and `rsync -t` do: neither size nor time shows the change
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    assert name_note(use_of(folder), memory) != before


def test_a_file_more_or_less_has_another_note(folder: Path, memory: Path) -> None:
    before = name_note(use_of(folder), memory)
    (folder / "adapter_config.json").touch()
    more = name_note(use_of(folder), memory)
    (folder / "adapter_config.json").rename(folder / "other.json")
    assert len({before, more, name_note(use_of(folder), memory)}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"}, {"levels": ["early"]}, {"levels": ["intermediate", "early"]},
        {"num_samples": 32_000}, {"modality": "face"}, {"revision": "v1"},
    ],
    ids=str,
)  # fmt: skip
def test_another_use_has_another_note(folder: Path, memory: Path, changes: dict[str, Any]) -> None:
    assert name_note(use_of(folder, **changes), memory) != name_note(use_of(folder), memory)


def test_other_code_and_libraries_have_another_note(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {name_note(use_of("embedded"), memory)}
    monkeypatch.setattr(encoder_notes, "LIBRARIES", ("torch",))
    names.add(name_note(use_of("embedded"), memory))
    room = tmp_path / "oragen" / "features"
    room.mkdir(parents=True)
    monkeypatch.setattr(encoder_notes, "__file__", str(room / "encoder_notes.py"))
    monkeypatch.setattr(encoder_notes, "CODE", ("encoders",))
    (tmp_path / "oragen" / "encoders").mkdir()
    for content in ("SEED = 1", "SEED = 2"):
        (tmp_path / "oragen" / "encoders" / "embedded.py").write_text(content)
        names.add(name_note(use_of("embedded"), memory))
    assert len(names) == 4


@pytest.mark.parametrize("source", ["owner/name", "timm:vit_small_patch16_224", "absent"])
def test_what_is_not_here_is_not_noted(
    source: str, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub_cache(memory.parent / "home", monkeypatch)
    assert name_note(use_of(source), memory) is None


def test_the_hub_is_not_asked_for_what_is_no_name_there(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub_cache(memory.parent / "home", monkeypatch, offline=False)
    monkeypatch.setattr("oragen.models.hub._find_problem", pytest.fail)
    assert name_note(use_of("timm:vit_small_patch16_224"), memory) is None


def test_an_encoder_of_the_hub_is_noted_by_the_version_that_the_hub_has(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make_snapshot(use_hub_cache(memory.parent / "home", monkeypatch), "owner/name")
    for name, content in FILES.items():
        (snapshot / name).write_bytes(content)

    def name_all() -> list[str | None]:
        uses = [use_of("owner/name"), use_of("timm:hf-hub:owner/name")]
        pinned = [
            use_of("owner/name", revision=REVISION),
            use_of(f"timm:hf-hub:owner/name@{REVISION}"),
        ]
        return [name_note(use, memory) for use in (*uses, *pinned)]

    offline = name_all()
    assert None not in offline
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert name_all() == offline
    for commit, is_same in ((REVISION, True), ("b" * 40, False)):
        with serve_model("owner/name", FILES, commit) as hub:
            monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
            template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
            monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
            same = [found == name for found, name in zip(name_all(), offline, strict=True)]
            assert same == [is_same, is_same, True, True]
            assert hub.fetched <= {"config.json"}


def test_an_encoder_that_changes_while_it_is_loaded_is_not_noted(
    folder: Path, tmp_path: Path
) -> None:
    def load() -> Encoder:
        (folder / "config.json").write_text('{"changed": 1}')
        return Encoder()

    notes = tmp_path / "notes"
    assert LateEncoder(use_of(folder), load, notes).described
    assert [path.name for path in notes.glob("*.json")] in ([], ["hashes.json"])


def test_a_hash_is_remembered_once_the_file_is_left_alone(
    folder: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list_files(str(folder))
    assert files is not None
    hashes = hash_files(files, memory)
    assert not memory.exists()  # they were written just now, and may be again
    monkeypatch.setattr(encoder_notes, "SETTLED_S", -1.0)
    assert hash_files(files, memory) == hashes
    shutil.copy(memory, memory.with_suffix(".kept"))
    monkeypatch.delattr(encoder_notes, "_hash_file")
    assert hash_files(files, memory) == hashes
    memory.write_bytes(b"\xff")
    with pytest.raises(NameError):  # a damaged memory is none
        hash_files(files, memory)


def test_an_encoder_is_loaded_once_for_all_times(folder: Path, tmp_path: Path) -> None:
    notes, encoder = tmp_path / "notes", Encoder()
    first = LateEncoder(use_of(folder), encoder.load, notes)
    assert first.noted is None
    described = first.described
    assert described.shapes == {"intermediate": (200, 4)}
    again = LateEncoder(use_of(folder), encoder.load, notes)
    assert again.noted == described
    assert encoder.loads == ["ab"]
    assert LateEncoder(use_of(folder, levels=["early"]), encoder.load, notes).noted is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:20],
        lambda text: text.replace("ab", "zz"),
        lambda text: text.replace("abab", "", 1),
        lambda text: text.replace("200", "-1"),
        lambda text: text.replace("200", "true"),
        lambda text: text.replace("intermediate", "early"),
        lambda text: "[]",
    ],
)
def test_a_damaged_note_is_none(folder: Path, tmp_path: Path, spoil: Callable[[str], str]) -> None:
    late = LateEncoder(use_of(folder), Encoder().load, tmp_path)
    assert late.described
    [path] = [path for path in tmp_path.glob("*.json") if path.name != "hashes.json"]
    assert read_note(path, ["intermediate"]) == late.described
    path.write_text(spoil(path.read_text()))
    assert read_note(path, ["intermediate"]) is None


def test_a_note_of_a_real_encoder_says_what_the_encoder_says(tmp_path: Path) -> None:
    use = use_of("embedded", levels=["intermediate", "early"])
    described = LateEncoder(use, lambda: load_audio_encoder("embedded"), tmp_path).described
    noted = LateEncoder(use, lambda: None, tmp_path).noted
    assert noted == described
    assert noted.frame_samples == load_audio_encoder("embedded").frame_samples
    assert noted.shapes["intermediate"][0] == 199


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["audio", "face"])
def test_a_stage_that_misses_nothing_loads_no_encoder(
    template: Template, tmp_path: Path, modality: str
) -> None:
    project: Project = template.copy(tmp_path / "project")
    code = (
        f"from stages.extract_{modality}_features import main; import sys; main('mini'); "
        "print({'torch', 'transformers', 'onnxruntime'} & {*sys.modules})"
    )
    run = project.run("python", "-c", code)
    assert run.output == "set()\n"
    shutil.rmtree(project.folder / "data" / "cache" / "encoders")
    run = project.run("python", "-c", code)
    assert "'torch'" in run.output
    assert project.run("python", "-c", code).output == "set()\n"
