"""A small made-up copy of VoxCeleb2 with its tables of ages, and its records."""

from collections.abc import Sequence
from pathlib import Path

from oragen.corpora.records import ClipRecord
from oragen.corpora.voxceleb2 import read_voxceleb2
from oragen.schema.choices.corpora import AgeSource, Tracks

JANE = "id90001/AbCdEfGhIjK/00001"
JOHN = "id90002/ZyXwVuTsRqP/00007"
META = """VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n\
id90001 ,n900001 ,f ,dev \n\
id90002 ,n900002 ,m ,test \n\
id90003 ,n900003 ,m ,dev \n"""
ENRICHMENT_HEADER = (
    "Name,gender_wiki,birth_date_wiki,nationality_wiki,gender_dbpedia,birth_date_dbpedia,"
    "nationality_dbpedia,gender_gkg,birth_date_gkg,nationality_gkg,video_id,title,publishing_date,"
    "description,year_in_title,VoxCeleb_ID,gender,birth_year,year_upload_yt,recording_year,"
    "recording_year_title_only,speaker_age,speaker_age_title_only"
)


def enriched(
    clip: str,
    *,
    gender: str = "",
    age: str = "",
    title_age: str = "",
    title: str = "a title",
    description: str = "text",
) -> str:
    """Write a row of the enrichment for the speaker and the video of a clip."""
    speaker, video, *_ = clip.split("/")
    return (
        f"A Name,male,1951-07-08,Utopia,male,1951-7-8,,male,1951-07-08,Utopia,{video},{title},"
        f"2010-03-04,{description},2010.0,{speaker},{gender},1951.0,2010.0,,2010.0,{age},"
        f"{title_age}"
    )


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or path.name)
    return path


def make(
    root: Path, *rows: str, meta: str = META, media: Sequence[str] = (f"dev/aac/{JANE}.m4a",)
) -> Path:
    write(root / "vox2_meta.csv", meta)
    write(root / "final_dataframe_extended.csv", "\n".join([ENRICHMENT_HEADER, *rows, ""]))
    for path in media:
        write(root / path)
    return root


def read(
    root: Path,
    *,
    ages: AgeSource = "enrichment",
    age_column: str = "speaker_age_title_only",
    tracks: Tracks = "both",
) -> list[ClipRecord]:
    return list(read_voxceleb2("vox", root, ages=ages, age_column=age_column, tracks=tracks))
