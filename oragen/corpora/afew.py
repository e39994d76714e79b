"""The AFEW tree and a table of labels -> records of clips: actors in scenes of films.

AFEW of the EmotiW challenges of 2016 and 2017 has 773 clips for training and 383 for validation,
sorted by emotion. The test clips of the challenge have no labels and are not read. The organisers
distribute it under an agreement; its pictures may not be published. This is not AFEW-VA, which has
neither age nor gender.

The folders of the challenge hold no ages or genders. These come from a table beside them, or from
an XML file beside each clip, as the authors describe. The names of its tags are not known, so they
are an argument. In a clip with several people, the labels are those of the main one.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, NamedTuple
from xml.etree import ElementTree

from oragen.corpora.columns import check_column_map
from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.tables import read_table, read_titles
from oragen.corpora.words import (
    GENDER_WORDS,
    SPLIT_WORDS,
    is_unknown_speaker,
    look_up,
    to_number,
)

TABLE: Final = Path("afew_age_gender.csv")
CARD: Final = CorpusCard(
    title="Acted Facial Expressions in the Wild (AFEW 6.0 and 7.0, of EmotiW 2016 and 2017)",
    modalities="audio, face",
    labels="gender, age",
    licence="an agreement with the organisers of EmotiW; no publication of pictures (not verified)",
    access="on request from the organisers of EmotiW; ages and genders come separately",
    splits="Val is test; of Train, some speakers (clips, where none is named) become dev",
    layout=f"""
Train_AFEW/<Emotion>/<9 digits>.avi
Val_AFEW/<Emotion>/<9 digits>.avi
{TABLE}   (clip_id,split,emotion,gender,age; or an .xml file beside each .avi)
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page; Train and Val together",
        clips=1156,
        counted="clips",
        by_gender={"female": 451, "male": 705},
        age_range_years=(5, 76),
        age_mean_years=35.2,
        age_std_years=13.4,
        hours=0.8,
    ),
)

FOLDERS: Final = {"Train_AFEW": "train", "Val_AFEW": "dev"}  # as the table calls these splits
SPLITS: Final = {"train": TRAIN_OR_DEV, "dev": "test"}
COLUMNS: Final = MappingProxyType(
    {
        "clip": "clip_id",
        "split": "split",
        "emotion": "emotion",
        "speaker_id": "speaker_id",
        "gender": "gender",
        "age_years": "age",
    }
)
XML_TAGS: Final = MappingProxyType(
    {"speaker_id": "Name", "gender": "Gender", "age_years": "AgeOfActor"}
)
_MAX_XML_BYTES: Final = 1_000_000


class _Label(NamedTuple):
    """The labels of a clip; empty = unknown."""

    clip: str
    split: str = ""
    emotion: str = ""
    speaker_id: str = ""
    gender: str = ""
    age_years: str = ""
    problem: str = ""


class _Clip(NamedTuple):
    """A file in the folder of a split."""

    path: PurePosixPath
    split: str
    emotion: str


class _DoctypeError(ValueError):
    """An XML file declares a document type, and so may define entities."""


class _PlainTree(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise _DoctypeError


def read_afew(
    corpus: str,
    root: Path,
    *,
    table: Path = TABLE,
    columns: Mapping[str, str] = COLUMNS,
    xml_tags: Mapping[str, str] = XML_TAGS,
) -> Iterator[ClipRecord]:
    """Yield a record for each clip of Train and Val, and for each label without a clip.

    Args:
        corpus: its name, for messages.
        root: the folder that holds Train_AFEW and Val_AFEW.
        table: of labels, relative to the root. Where there is none, the XML files are read.
        columns: the table's names for any of `COLUMNS`; others keep the names there. Only
            `clip` must be a column; `split` and `emotion` tell the lines of one name apart, and
            must fit its folder. Leading zeros that a spreadsheet removed do not matter.
        xml_tags: the tag or the attribute that holds any of `XML_TAGS`. Of the names only letters,
            in any case, and digits count.

    Raises:
        CorpusError: a folder is missing, there are no labels, or the table lacks a column.
    """
    if unknown := ", ".join(map(repr, xml_tags.keys() - XML_TAGS.keys())):
        raise CorpusError(
            f"corpora.{corpus}.xml_tags names {unknown}, expected any of {', '.join(XML_TAGS)}."
        )
    clips = _find_files(corpus, root, ".avi")
    if (root / table).is_file():
        labels = list(_read_table(corpus, root / table, columns))
    elif xml_files := _find_files(corpus, root, ".xml"):
        labels = [_read_xml(root, file, {**XML_TAGS, **xml_tags}) for file in xml_files]
    else:
        raise wrong_layout(
            corpus, root, CARD, f"there is neither a table of labels {table} nor any .xml file"
        )
    yield from _join(clips, labels)


def _find_files(corpus: str, root: Path, suffix: str) -> list[_Clip]:
    files: list[_Clip] = []
    for folder, split in FOLDERS.items():
        if not (root / folder).is_dir():
            raise wrong_layout(corpus, root, CARD, f"there is no folder {folder}")
        files += [
            _Clip(PurePosixPath(path.relative_to(root)), split, path.parent.name)
            for path in sorted((root / folder).glob("*/*"))
            if path.suffix.lower() == suffix and (suffix != ".xml" or path.is_file())
        ]
    return files


def _read_table(corpus: str, path: Path, columns: Mapping[str, str]) -> Iterator[_Label]:
    renamed = {name: title for name, title in columns.items() if title != COLUMNS.get(name)}
    titles = {**COLUMNS, **columns}
    check_column_map(
        corpus,
        path,
        {"clip": titles["clip"], **renamed},
        read_titles(corpus, path),
        known=COLUMNS,
    )
    for line in read_table(corpus, path):
        label = {name: line[title.strip().lower()] for name, title in titles.items()}
        key = _to_key(PurePosixPath(label["clip"].replace("\\", "/")))
        label["clip"] = key or f"line {line.number}"
        label["split"] = SPLIT_WORDS.get(label["split"].lower(), label["split"])
        yield _Label(**label, problem="; ".join(line.problems))


def _to_key(path: PurePosixPath) -> str:
    """Return the name of a clip's file without its suffix, in nine digits where it is a number."""
    return path.stem.zfill(9) if path.stem.isdecimal() else path.stem


def _read_xml(root: Path, file: _Clip, tags: Mapping[str, str]) -> _Label:
    values: dict[str, str] = {}
    problem = ""
    try:
        values = _find_values(_parse_xml(root / file.path), tags)
    except _DoctypeError:
        problem = "XML with a DOCTYPE"
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        problem = f"XML that cannot be read: {error}"
    return _Label(_to_key(file.path), file.split, file.emotion, **values, problem=problem)


def _parse_xml(path: Path) -> ElementTree.Element:
    if (num_bytes := path.stat().st_size) > _MAX_XML_BYTES:
        raise ValueError(f"{num_bytes} bytes are too many")
    # Without a DOCTYPE there are no entities, the way to blow up a parser.
    parser = ElementTree.XMLParser(target=_PlainTree())
    return ElementTree.fromstring(path.read_bytes(), parser=parser)


def _find_values(tree: ElementTree.Element, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each tag or attribute.

    Raises:
        ValueError: a tag has several different texts.
    """
    texts = [(element.tag, element.text or "") for element in tree.iter()]
    texts += [item for element in tree.iter() for item in element.items()]
    value_by_name: dict[str, str] = {}
    for name, tag in tags.items():
        values = {text.strip() for key, text in texts if _simplify(key) == _simplify(tag)} - {""}
        if len(values) > 1:
            raise ValueError(f"several values of {tag}: {', '.join(sorted(values))}")
        value_by_name[name] = max(values, default="")
    return value_by_name


def _simplify(tag: str) -> str:
    """Return the letters and digits of a tag in lower case, without its namespace."""
    return re.sub(r"[^a-z0-9]", "", tag.rpartition("}")[2].lower())


def _join(clips: list[_Clip], labels: list[_Label]) -> Iterator[ClipRecord]:
    by_clip: dict[str, list[_Label]] = {}
    for label in dict.fromkeys(labels):
        by_clip.setdefault(label.clip, []).append(label)
    fitting: set[_Label] = set()
    for clip in clips:
        candidates = by_clip.get(_to_key(clip.path), [])
        fits = [label for label in candidates if _fits(label, clip)]
        fitting.update(fits)
        match fits:
            case [label]:
                yield _to_record(clip, label, [label.problem] if label.problem else [])
            case [label, *_]:
                yield _to_record(clip, label, [f"labelled twice: {label.clip}"])
            case _ if candidates:
                folder = f"{candidates[0].split} {candidates[0].emotion}".strip()
                yield _to_record(clip, candidates[0], [f"its label is of another folder: {folder}"])
            case _:
                yield _to_record(
                    clip, _Label(""), [f"no line or file with its label: {clip.path.stem}"]
                )
    for label in labels:
        if label not in fitting:
            yield ClipRecord(label.clip, unusable=f"no clip of this label: {label.clip}")


def _fits(label: _Label, clip: _Clip) -> bool:
    return label.split in ("", clip.split) and label.emotion.lower() in ("", clip.emotion.lower())


def _to_record(clip: _Clip, label: _Label, problems: list[str]) -> ClipRecord:
    gender = look_up("gender", label.gender, GENDER_WORDS, problems)
    age_years = to_number("age", label.age_years, problems)
    if gender is None and age_years is None and not problems:
        problems.append("no label")
    return ClipRecord(
        stem=str(clip.path.with_suffix("")),
        speaker_id=None if is_unknown_speaker(label.speaker_id) else label.speaker_id,
        split=SPLITS[clip.split],
        audio_path=str(clip.path),
        video_path=str(clip.path),
        gender=gender,
        age_years=age_years,
        unusable="; ".join(problems) or None,
    )
