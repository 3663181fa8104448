"""What `make run` installs, and what it says where it cannot."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from local.template import ROOT

TOOLS = ("sh", "sed", "grep", "uname")


def _locked(name: str) -> dict[str, set[str]]:
    """Each requirement of a lock file, with its hashes."""
    entries = (ROOT / "requirements" / name).read_text().replace("\\\n", " ").splitlines()
    return {
        parts[0]: {part for part in parts[1:] if part.startswith("--hash=")}
        for parts in (entry.split() for entry in entries)
    }


def test_running_needs_a_part_of_what_development_needs_in_the_same_versions() -> None:
    run, dev = _locked("run.txt"), _locked("dev.txt")
    assert 20 < len(run) < len(dev) / 2
    assert all(hashes and hashes == dev.get(name) for name, hashes in run.items())


def test_what_running_needs_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    named = [
        of
        for of in [*project["project"]["dependencies"], *groups["run"], *groups["documents"]]
        if isinstance(of, str)
    ]
    locked = {name.partition("==")[0] for name in _locked("run.txt")}
    for requirement in named:
        name = requirement.split(">")[0].split("[")[0].lower()
        assert name in locked, name


def _says(folder: Path, only: str = "", **tools: str) -> str:
    """What the set-up says on a system that has these tools, each a shell script."""
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    for name, script in tools.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    arguments = [str(folder / "none"), str(ROOT / "requirements/run.txt"), *filter(None, [only])]
    done = subprocess.run(
        [str(folder / "sh"), str(ROOT / "local/setup.sh"), *arguments],
        env={"PATH": str(folder), "HOME": str(folder), "LANG": os.environ.get("LANG", "C")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert not (folder / "none").exists()
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


OLD = "exit 1"


@pytest.mark.parametrize(
    ("offered", "only", "said", "not_said"),
    [
        # Debian 12
        ("3.11.2-1+b1", "", "apt offers only 3.11 here; install uv", "apt install"),
        # Debian 13
        ("3.13.5-1", "3.13", "run 'apt install python3-venv'", "uv"),
        # Ubuntu 24.04
        ("3.12.3-0ubuntu2", "", "run 'apt install python3-venv'", "uv"),
        ("3.12.3-0ubuntu2", "3.13", "apt offers only 3.12 here; install uv", "apt install"),
    ],
)
def test_where_python_is_too_old_it_says_what_helps_on_that_system(
    offered: str, only: str, said: str, not_said: str, tmp_path: Path
) -> None:
    apt = f"echo '  Installed: (none)'; echo '  Candidate: {offered}'"
    told = _says(tmp_path, only, python3=OLD, apt_cache=apt)
    assert said in told
    assert not_said not in told


def test_where_no_package_helps_it_names_uv_pyenv_and_the_source(tmp_path: Path) -> None:
    told = _says(tmp_path, python3=OLD)
    assert "apt" not in told
    assert "docs.astral.sh/uv" in told
    assert "pyenv install 3.13" in told
    assert "python.org" in told


@pytest.mark.parametrize(("only", "version"), [("", "3.13"), ("3.13", "3.13")])
def test_where_no_python_will_do_uv_brings_one(only: str, version: str, tmp_path: Path) -> None:
    # A failure of uv, such as a download without a network, is told by uv alone.
    uv = 'case "$1" in venv) echo "uv $@" >&2; exit 1;; *) exit 1;; esac'
    said = _says(tmp_path, only, python3=OLD, uv=uv, rm="exit 0")
    assert said == f"uv venv --seed --python {version} {tmp_path / 'none'}\n"
