"""A small made-up copy of Common Voice."""

from pathlib import Path

RELEASE = "cv-corpus-17.0-2024-03-15"
NEW = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes",
    "age", "gender", "accents", "variant", "locale", "segment",
)  # fmt: skip
OLD = ("client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent")
Fields = dict[str, str]


def clip(number: int | str, speaker: str = "ann", **fields: str) -> Fields:
    named = {"client_id": speaker, "path": f"common_voice_xx_{number}.mp3", "up_votes": "2"}
    return named | {"age": "twenties", "gender": "female_feminine"} | fields


def write_table(
    folder: Path, name: str, *rows: Fields, columns: tuple[str, ...] = NEW, newline: str = "\n"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    text = "".join("\t".join(line) + newline for line in lines)
    (folder / f"{name}.tsv").write_bytes(text.encode())


def write_official(folder: Path, **rows: list[Fields]) -> None:
    for name in ("train", "dev", "test"):
        write_table(folder, name, *rows.get(name, []))
