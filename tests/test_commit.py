"""A project's folder -> the commit that its report names."""

import re
import subprocess
from pathlib import Path

import pytest

from oragen.reporting.commit import Commit, describe_commit, read_commit


def run_git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_report_names_its_commit_and_what_was_changed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-03-04T05:06:07+0000")
    for name in ("params.yaml", "dvc.lock"):
        (tmp_path / name).write_text("a: 1\n")
    run_git(tmp_path, "init")
    run_git(tmp_path, "add", ".")
    assert read_commit(tmp_path) is None  # nothing was committed yet
    run_git(tmp_path, "commit", "--message=first")
    (tmp_path / "dvc.lock").write_text("a: 2\n")  # as each run does
    commit = read_commit(tmp_path)
    assert commit is not None
    assert describe_commit(commit) == f"{commit.digest} of 2026-03-04"
    assert re.fullmatch(r"[0-9a-f]{10,}", commit.digest)
    (tmp_path / "params.yaml").write_text("a: 2\n")
    changed = read_commit(tmp_path)
    assert changed == commit._replace(changed=["params.yaml"])
    assert describe_commit(changed).endswith(" of 2026-03-04, with changes to params.yaml")
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "params.yaml").write_text("a: 1\n")
    assert read_commit(tmp_path / "unpacked") is None


SIGNER = """#!/bin/sh
case "$*" in
*verify*) touch verified; echo "good" >&2 ;;
*) cat >/dev/null; echo "[GNUPG:] SIG_CREATED D" >&2; echo "-----BEGIN PGP SIGNATURE-----" ;;
esac
"""


def test_a_signed_commit_is_named_and_its_signature_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    signer = tmp_path / "signer"
    signer.write_text(SIGNER)
    signer.chmod(0o755)
    run_git(tmp_path, "init")
    run_git(tmp_path, "config", "gpg.program", str(signer))
    run_git(tmp_path, "config", "log.showSignature", "true")
    run_git(tmp_path, "add", "params.yaml")
    run_git(tmp_path, "commit", "--gpg-sign", "--message=first")
    assert read_commit(tmp_path) is not None
    assert not (tmp_path / "verified").exists()


def test_without_git_no_commit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_commit(tmp_path) is None
    assert describe_commit(None) == "not known: the project is not in a Git repository"


def test_many_changed_files_are_counted() -> None:
    commit = Commit("1c66188cab", "2026-03-04", ["a", "b", "c", "d", "e"])
    assert describe_commit(commit).endswith("with changes to a, b, c and 2 more")
