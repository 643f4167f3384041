"""What the set-up looks at before it downloads anything: one sentence for the first thing missing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

PREFLIGHT: Final = Path(__file__).resolve().parents[2] / ".ci" / "preflight"
DF: Final = "echo Filesystem 1024-blocks Used Available; echo disk 0 0 {kib}"


class Machine:
    """A machine with nothing on its PATH but what preflight itself runs, and what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.folder = folder
        for tool in ("sh", "sed", "head", "awk"):
            (self.bin / tool).symlink_to(next(p for d in os.defpath.split(":") if (p := Path(d or ".", tool)).exists()))
        self.put("python3", "case $1 in -c) echo 3.12 ;; -m) echo pip ;; esac")
        self.put("java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
        self.put("df", DF.format(kib=11 << 20))

    def put(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def ask(self, **environment: str) -> tuple[int, str]:
        """The exit code, and the one line on stderr."""
        done = subprocess.run(
            [self.bin / "sh", PREFLIGHT, "python3"],
            cwd=self.folder,
            env={"PATH": str(self.bin), "HOME": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""
        assert done.stderr.count("\n") <= 1
        return done.returncode, done.stderr.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_with_everything_passes(machine: Machine) -> None:
    assert machine.ask() == (0, "")


@pytest.mark.parametrize("version", ["3.10", "3.14", "2.7"])
def test_another_python(machine: Machine, version: str) -> None:
    machine.put("python3", f"echo {version}")
    code, said = machine.ask()
    assert code == 1
    assert said == (
        f"Expected Python 3.11 to 3.13, python3 is {version}: "
        "install one and name it, as in `make demo PYTHON=python3.12`."
    )


def test_no_python(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    assert machine.ask()[1].startswith("Expected Python 3.11 to 3.13, python3 is not there: install")


def test_neither_uv_nor_pip(machine: Machine) -> None:
    machine.put("python3", '[ "$1" = -c ] && echo 3.11')
    code, said = machine.ask()
    assert (code, said.partition(":")[0]) == (1, "Expected uv or pip, found neither")
    machine.put("uv", "echo uv 0.13.9")
    assert machine.ask() == (0, "")


@pytest.mark.parametrize(("told", "number"), [("11.0.2", "11"), ("1.8.0_402", "8")])
def test_an_old_java(machine: Machine, told: str, number: str) -> None:
    machine.put("java", f"echo 'openjdk version \"{told}\"' >&2")
    code, said = machine.ask()
    assert code == 1
    assert said.startswith(f"Expected Java 17 or later, java is {number}: install a JDK")


@pytest.mark.parametrize("told", ["17-ea", "21.0.1", "26"])
def test_a_newer_java(machine: Machine, told: str) -> None:
    machine.put("java", f"echo 'openjdk version \"{told}\"' >&2")
    assert machine.ask() == (0, "")


def test_no_java(machine: Machine) -> None:
    (machine.bin / "java").unlink()
    assert machine.ask()[1].startswith("Expected Java 17 or later, java is not there: install a JDK")


def test_java_home_counts_before_the_path(machine: Machine) -> None:
    code, said = machine.ask(JAVA_HOME="/nowhere")
    assert code == 1
    assert said.startswith("Expected Java 17 or later, /nowhere/bin/java is not there:")


def test_a_full_disk(machine: Machine) -> None:
    machine.put("df", DF.format(kib=3 << 20))
    code, said = machine.ask()
    assert code == 1
    assert said.startswith(f"Expected 10 GiB free for the environment, {machine.folder} has 3: free some")


def test_the_cache_of_uv_needs_room_too(machine: Machine, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    machine.put("df", f'if [ "$2" = {cache} ]; then kib={1 << 20}; else kib={64 << 20}; fi\n' + DF.format(kib="$kib"))
    code, said = machine.ask(UV_CACHE_DIR=str(cache))
    assert code == 1
    assert said.startswith(f"Expected 10 GiB free for the environment, {cache} has 1:")
