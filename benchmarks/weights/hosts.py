"""Executors of several hosts on one machine: a host is what has a cache of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from udfs.weights import Weights


@dataclass(frozen=True)
class OnHosts:
    """Weights that each host keeps in a cache of its own; an executor's number says on which it is.

    Args:
        weights: as they travel.
        home: of the caches.
        hosts: how many.
    """

    weights: Weights
    home: Path
    hosts: int

    def folder(self) -> Path:
        """The bundle's folder on this executor's host. Runs on the executor, whose folder has its number."""
        cache = self.home / f"host-{int(Path.cwd().name) % self.hosts}"
        os.environ["EMBERCAST_CACHE"] = str(cache)
        return self.weights.folder()
