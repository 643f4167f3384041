"""A fake model that writes down what it is asked for, and ends or holds up its process at some words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.batching import Index
from engine.errors import ModelNotFoundError
from engine.options import Request
from engine.scorer import Scorer
from engine.tasks.base import Encoded
from tests.fakes import FakeTask
from udfs.worker import Descriptor

if TYPE_CHECKING:
    import pytest

    from udfs.scoring import PreparedModel


class DeadlyTask(FakeTask):
    """Scores a text by its length; one with ``kills`` kills the process, one with ``hangs`` keeps it for long.

    Args:
        calls: a file of the texts it was asked for, a line each.
        seconds: that it takes for a text.
    """

    def __init__(self, calls: str, seconds: float) -> None:
        super().__init__()
        self.calls, self.seconds = calls, seconds

    def forward(self, encoded: Encoded, items: Index) -> np.ndarray:
        texts = [encoded.data[i] for i in items]
        with open(self.calls, "a") as file:
            file.write("".join(f"{text}\n" for text in texts))
        if any("kills" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("hangs" in text for text in texts):
            time.sleep(600)
        time.sleep(self.seconds * len(texts))
        return super().forward(encoded, items)


@dataclass(frozen=True)
class Deadly(Descriptor):
    """Makes its scorer of no weights, or can't: one that is ``missing`` raises, one that ``dies`` ends its process."""

    calls: str = ""
    seconds: float = 0.0

    def _scorer(self) -> Scorer:
        if self.known_as == "missing":
            raise ModelNotFoundError("expected a model, there is none")
        if self.known_as == "dies":
            os._exit(7)
        task = DeadlyTask(self.calls, self.seconds)
        return Scorer(task, self.request, batch_tokens=1000, compute=self.compute)


@dataclass(frozen=True)
class Calls:
    """What the fake model was asked for, in every process."""

    path: Path

    def take(self) -> list[str]:
        """The texts since the last look."""
        found = self.path.read_text().splitlines() if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        return found


def in_place_of(patch: pytest.MonkeyPatch, folder: Path, *, seconds: float = 0.0) -> Calls:
    """Has the workers score with the fake model, whatever model was prepared; its calls lie in the folder."""
    from udfs.scoring import PreparedModel  # the processes that score need less

    calls = Calls(folder / "calls.txt")

    def descriptor(model: PreparedModel, inputs: Mapping[str, str]) -> Descriptor:
        request = Request(inputs=dict(inputs), params=model.params)
        return Deadly(model.task, request, model.compute, model.weights, calls=str(calls.path), seconds=seconds)

    patch.setattr(PreparedModel, "descriptor", descriptor)
    return calls
