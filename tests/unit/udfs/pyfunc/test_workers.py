"""MLflow gives each worker a folder of its own; the weights lie once on the host, and are mapped from there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.models.manifest import WEIGHTS
from tests import artifacts, tiny
from tests.unit.models.test_mapping import Held, measure


def test_workers_map_one_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "model", vocab_size=60_000, hidden_size=256, intermediate_size=256)
    logged = artifacts.write(folder, tmp_path / "one", "text-classification")
    other = shutil.copytree(logged, tmp_path / "other")
    (tmp_path / "cache").mkdir(mode=0o700)
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "cache"))
    found = at_once(str(logged), str(other))
    (bundle,) = (tmp_path / "cache" / "bundles").glob("*/" + WEIGHTS)
    copy = bundle.stat().st_size
    assert copy > 60 << 20
    for path, held in found:
        assert path == str(bundle.parent)
        assert held.inside >= 0.99 * held.parameters
    assert 0.95 * copy <= sum(held.pss for _, held in found) <= 1.2 * copy


def at_once(own: str, other: str) -> list[tuple[str, Held]]:
    """This process and a second one load a copy of the artifact each, and measure when both have loaded."""
    context = multiprocessing.get_context("spawn")
    both = context.Barrier(2, timeout=300)
    question, answer = context.Pipe(duplex=False)
    worker = context.Process(target=work, args=(other, both, answer), daemon=True)
    worker.start()
    answer.close()  # so that a dead worker ends the reading below
    try:
        return [load_and_measure(own, both), question.recv()]
    finally:
        both.abort()
        worker.join()


def work(artifact: str, both: Any, answer: Any) -> None:
    """Runs in the second process."""
    answer.send(load_and_measure(artifact, both))


def load_and_measure(artifact: str, both: Any) -> tuple[str, Held]:
    """What MLflow calls in a worker; then the bundle's folder, and what the process holds of it."""
    import pandas as pd

    from engine.models.load import load
    from udfs.pyfunc import embercast_loader

    try:
        both.wait()
        model = embercast_loader._load_pyfunc(artifact)
        model.predict(pd.DataFrame({"text": ["a good day"]}))
        path = model.weights.folder()
        parameters = list(load(path, "cpu").model.parameters())
        for parameter in parameters:
            parameter.max()
        both.wait()
        held = measure(parameters, os.path.join(path, WEIGHTS))
        both.wait()
    except BaseException:
        both.abort()
        raise
    return str(path), held
