"""``conf/spark``: each line, or lines of one thought, have a reason; ``embercast run`` starts what local.conf says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from jobs import session

FOLDER: Final = Path(__file__).resolve().parents[2] / "conf" / "spark"
FILES: Final = sorted(FOLDER.glob("*.conf"))


def settings(file: Path) -> dict[str, str]:
    """A properties file as spark-submit reads it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_they_are_there() -> None:
    assert {"gpu.conf", "local.conf", "standalone.conf"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_line_has_its_reason(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        assert above or not line or line.startswith("#"), line


def test_the_local_ones_are_those_of_the_command() -> None:
    assert settings(FOLDER / "local.conf") == session._LOCAL
