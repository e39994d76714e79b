"""Names of params.yaml from elsewhere, by real `dvc repro`: no command runs, no file is lost."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.project import Project, clone

COMMANDS: Final = [
    "x; touch PWNED; true",
    "$(touch PWNED)",
    "`touch PWNED`",
    "' ; touch PWNED ; '",
    '" ; touch PWNED ; "',
    "x\ntouch PWNED\n",
    "--help",
]
BESIDE: Final = "../../../victim"  # from data/heads: a file beside the project
STRANGE: Final = ["x\u202egnp", "x\x1b[2J", "é", "x" * 101, "x y", "${use_heads}", " ", "x\n"]
REFUSED_BY_DVC: Final = [BESIDE, "", ".", "..", "x@y", "x" * 300]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("names") / "project"
    folder.mkdir()
    return clone(folder, warm=True)


def take_corpora(project: Project, names: list[str]) -> dict[str, Any]:
    """Put an entry for each name, and its folder with a clip, as a project from elsewhere has."""
    entry = {"reader": "csv", "root": "data/corpora/own"}
    for name in names:
        with suppress(OSError):  # no file system takes it
            (project.folder / "data" / "corpora" / name).mkdir(parents=True, exist_ok=True)
    return {"corpora": dict.fromkeys(names, entry), "use_corpora": names}


def take_encoder(project: Project, name: str) -> dict[str, Any]:
    encoders = project.read_params()["encoders"]
    catalogue = encoders["catalogue"]
    catalogue[name] = catalogue["tiny-vit"]
    features = project.read_params()["features"]
    features["face"]["encoder"] = name
    return {"encoders": encoders | {"finetune": [name]}, "features": features}


def take_head(project: Project, name: str) -> dict[str, Any]:
    heads = project.read_params()["heads"]
    return {"heads": heads | {name: heads["joint"]}, "use_heads": [name]}


def run_with(project: Project, sections: dict[str, Any], *command: str) -> tuple[str, int]:
    """Run a command with these sections, and put params.yaml back."""
    params = project.folder / "params.yaml"
    before = params.read_text()
    project.change(**sections)
    try:
        run = project.run(*command)
    finally:
        params.write_text(before)
    return run.output, run.exit_code


def put_victims(project: Project) -> list[Path]:
    """Make files that a name with `../` would reach from data/clips and data/skipped."""
    folders = (project.folder, project.folder.parent, project.folder / "data")
    victims = [folder / f"victim{suffix}" for folder in folders for suffix in ("", ".parquet")]
    for victim in victims:
        victim.parent.mkdir(exist_ok=True)
        victim.write_text("mine")
    return victims


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(COMMANDS, id="commands"),
        pytest.param(STRANGE, id="strange", marks=pytest.mark.slow),
    ],
)
def test_dvc_runs_nothing_and_removes_nothing_for_a_hostile_corpus(
    project: Project, names: list[str]
) -> None:
    output = expect_refusal(project, take_corpora(project, names))
    assert output.count("a name has letters of English") == len(names)
    assert "Running stage 'check_params'" in output


@pytest.mark.parametrize("name", REFUSED_BY_DVC, ids=ascii)
def test_what_dvc_refuses_by_itself_is_named_by_the_commands(project: Project, name: str) -> None:
    sections = take_corpora(project, [name])
    with_names, exit_code = run_with(project, sections, "oragen", "generate")
    assert (exit_code, "a name has letters" in with_names) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("take", [take_encoder, take_head])
def test_an_encoder_or_a_head_may_not_be_named_so_either(project: Project, take: Any) -> None:
    for name in (COMMANDS[0], BESIDE):
        expect_refusal(project, take(project, name))


def expect_refusal(project: Project, sections: dict[str, Any]) -> str:
    victims = put_victims(project)
    output, exit_code = run_with(project, sections, "dvc", "repro")
    assert exit_code not in (0, None)
    assert "Traceback" not in output
    assert not list(project.folder.rglob("PWNED"))
    assert [victim.read_text() for victim in victims] == ["mine"] * len(victims)
    return output


@pytest.mark.parametrize("command", [("oragen", "doctor"), ("oragen", "generate")])
def test_the_commands_refuse_the_names_too(project: Project, command: tuple[str, ...]) -> None:
    output, exit_code = run_with(project, take_corpora(project, [BESIDE]), *command)
    assert exit_code in (1, 2)
    assert "../../victim" in output


def test_a_stage_by_hand_refuses_a_name_that_is_not_in_params(project: Project) -> None:
    for stage in ("index_clips", "train_head"):
        run = project.run("python", "-m", f"stages.{stage}", "../victim")
        assert run.exit_code == 2, run.output
        assert "Traceback" not in run.output
