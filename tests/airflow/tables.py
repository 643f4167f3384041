"""Small tables without a JVM: Parquet that a job reads, and the rows that a Delta log names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq


def add(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds a file of rows to a folder."""
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / f"{len(list(folder.iterdir()))}.parquet")


def rows(table: Path) -> list[dict[str, Any]]:
    """The rows of a Delta table without partitions or deletion vectors, in no order."""
    files: dict[str, None] = {}
    for log in sorted((table / "_delta_log").glob("*.json")):
        for action in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
            if "add" in action:
                files[unquote(action["add"]["path"])] = None
            elif "remove" in action:
                del files[unquote(action["remove"]["path"])]
    return [row for file in files for row in pq.read_table(table / file).to_pylist()]
