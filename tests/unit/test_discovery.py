"""The script by which Spark learns what GPUs a host has, with a stand-in for NVIDIA's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "conf" / "spark" / "gpus.sh"


@pytest.mark.parametrize(("printed", "addresses"), [("0", ["0"]), ("0\\n1\\n2", ["0", "1", "2"])])
def test_gpus_are_named_by_their_numbers(tmp_path: Path, printed: str, addresses: list[str]) -> None:
    told = run(tmp_path, f"printf '{printed}\\n'")
    assert told.returncode == 0
    assert json.loads(told.stdout) == {"name": "gpu", "addresses": addresses}


def test_a_host_that_can_not_tell_has_none(tmp_path: Path) -> None:
    told = run(tmp_path, "exit 9")
    assert (told.returncode, told.stdout) == (9, "")


def run(folder: Path, does: str) -> subprocess.CompletedProcess[str]:
    stand_in = folder / "nvidia-smi"
    stand_in.write_text(f"#!/bin/sh\n{does}\n")
    stand_in.chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run([str(SCRIPT)], env=env, capture_output=True, text=True, check=False)
