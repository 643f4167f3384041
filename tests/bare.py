"""A Python that has every package but ours."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path


def bare_python(home: Path) -> Path:
    """A Python with this one's packages but embercast: a checkout is installed by a hook, which it does not run."""
    venv.create(home, symlinks=True)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "packages.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    return home / "bin" / "python"
