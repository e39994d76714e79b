"""`oragen doctor`: this machine and this project -> a table of what they lack."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from oragen.cli.printing import print_table
from oragen.config import paths

if TYPE_CHECKING:
    from oragen.cli.checks.finding import Finding
    from oragen.config.params import Params

EXIT_PROBLEM: Final = 1
COLOURS: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check versions, devices, codecs, weights, disk and params.yaml. Nothing is downloaded.

    Exit code 0: no problem; 1: something cannot work as it is. Outside a project's
    folder only the machine is checked.
    """
    from oragen.cli.checks.finding import STATES, has_problem

    findings = [*_check_machine(), *_check_project()]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
        counts = {state: sum(one.state == state for one in findings) for state in STATES}
        typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + ".")
    if has_problem(findings):
        raise typer.Exit(EXIT_PROBLEM)


def _check_machine() -> "list[Finding]":
    from joblib import cpu_count

    from oragen.cli.checks import machine, programs
    from oragen.cli.checks.project import check_off_the_shelf

    decoders = (*machine.NEEDED_DECODERS, *machine.OTHER_DECODERS)
    imports = {module: programs.check_import(module) for module in ("torch", "av")}
    has_torch, has_av = (finding.state == "ok" for finding in imports.values())
    return [
        programs.check_python(),
        *programs.check_packages(programs.read_versions(), programs.read_requirements()),
        *imports.values(),
        *machine.check_devices(
            num_cores=cpu_count(),
            memory_bytes=machine.count_memory_bytes(),
            gpus=machine.list_gpus() if has_torch else [],
            sees_driver=machine.sees_nvidia_driver(),
        ),
        *machine.check_codecs(
            machine.list_codecs(decoders, "r") if has_av else (),
            machine.list_codecs(machine.ENCODERS, "w") if has_av else (),
        ),
        check_off_the_shelf("off-the-shelf model", is_used=False),
        machine.check_disk(paths.DATA, machine.count_free_bytes(paths.DATA)),
    ]


def _check_project() -> "list[Finding]":
    from oragen.cli.checks.finding import Finding
    from oragen.cli.checks.project import check_git
    from oragen.config.messages import ParamsError
    from oragen.config.params import PARAMS_PATH, load_params

    if not PARAMS_PATH.is_file():
        advice = "Run it in a project's folder to have that checked, too."
        return [Finding("project", str(PARAMS_PATH), "ok", "not in this folder", advice)]
    git = check_git(Path())
    try:
        params = load_params()
    except ParamsError as error:
        return [*git, Finding("project", str(PARAMS_PATH), "problem", "not valid", str(error))]
    valid = Finding("project", str(PARAMS_PATH), "ok", "valid")
    return [*git, valid, *_check_corpora(params), *_check_weights(params)]


def _check_corpora(params: "Params") -> "list[Finding]":
    from oragen.cli.checks.project import check_corpus
    from oragen.config.corpora import GeneratedCorpus

    return [
        check_corpus(
            name,
            entry.root,
            is_used=name in params.use_corpora,
            is_generated=isinstance(entry, GeneratedCorpus),
        )
        for name, entry in params.corpora.items()
    ]


def _check_weights(params: "Params") -> "list[Finding]":
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    from oragen.cli.checks import project
    from oragen.config.settled_faces import find_settled_faces

    used = {params.features.audio.encoder, params.features.face.encoder}
    finetuned = [name for name in params.encoders.finetune if name in used]
    return [
        project.check_detector(params.faces.detector, params.faces.weights),
        *project.check_settled(params.faces, find_settled_faces()),
        *(
            project.check_encoder(
                name,
                entry.source,
                is_used=name in used,
                hub_cache=Path(HF_HUB_CACHE),
                is_offline=HF_HUB_OFFLINE,
            )
            for name, entry in params.encoders.catalogue.items()
        ),
        *(project.check_finetuned(name, paths.encoder_folder(name)) for name in finetuned),
        *(
            project.check_head(name, paths.head_folder(name), params.train.seeds)
            for name in params.use_heads
        ),
    ]


def _print(findings: "list[Finding]") -> None:
    table = Table("", "", "", "found", "what to do")
    last = findings[0].topic
    for finding in findings:
        if finding.topic != last:
            table.add_section()
            last = finding.topic
        state = f"[{COLOURS[finding.state]}]{finding.state}[/]"
        table.add_row(
            finding.topic, finding.name, state, *map(escape, (finding.found, finding.advice))
        )
    print_table(table)
