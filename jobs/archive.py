"""The engine as one file, for ``spark-submit --py-files``: executors whose Python lacks embercast import it from there.

``python -m jobs.archive`` prints its path. A wheel would do, were it named ``.zip``: Spark puts a file of any other
ending beside the executors and not on their path (``SparkContext.PACKAGE_EXTENSIONS``). Runs on the driver.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Final

import engine
from engine.models import cache

PACKAGES: Final = ("engine", "udfs", "jobs")
#: Equal files make equal archives, whenever they were written.
_THEN: Final = (1980, 1, 1, 0, 0, 0)


def archive() -> Path:
    """The packages as they are imported here, in the cache; made where they changed since the last time."""
    home = Path(engine.__file__).parent.parent
    files = [file for package in PACKAGES for file in sorted((home / package).rglob("*")) if _is_code(file)]
    contents = {file.relative_to(home).as_posix(): file.read_bytes() for file in files}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    path = cache.cache_root() / "archives" / f"embercast-{engine.__version__}-{digest.hexdigest()[:12]}.zip"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with cache.workspace(path.parent) as scratch:
            _write(scratch / path.name, contents)
            (scratch / path.name).rename(path)
    return path


def _is_code(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def _write(path: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in contents.items():
            made.writestr(zipfile.ZipInfo(name, _THEN), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    print(archive())
