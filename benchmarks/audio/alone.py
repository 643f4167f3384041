"""The engine without Spark: Arrow batches through ``engine.scorer``, and where the time of its forward goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.audio.greedy import ENGINE
from benchmarks.audio.phases import summed
from benchmarks.audio.recordings import table
from benchmarks.audio.spec import Spec

#: Name of a way here → the engine's way whose parameters it has.
WAYS: Final = {f"{way}-alone": way for way in ENGINE}


class Alone:
    """A loaded model and tables of recordings. A pass transcribes one of them in this process."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.tables = {name: table(Path(folder)) for name, folder in spec.tables.items()}
        self.few = table(Path(spec.few))
        self.heard: dict[str, dict[str, Any]] = {}

    def cold(self) -> dict[str, Any]:
        """Loads the model and transcribes a few clips. Returns the seconds of both."""
        start = time.perf_counter()
        self.scorer, self.dtype = scorer(self.spec)
        self.spent = Spent(self.scorer.task)
        self.ready()
        return {"cold_s": time.perf_counter() - start}

    def ready(self) -> None:
        """A few clips, since a GPU slows down while others work."""
        self._transcribe(self.few)

    def run(self, name: str) -> None:
        """Transcribes a table."""
        self.spent.clear()
        self.heard[name] = self._transcribe(self.tables[name])

    def facts(self) -> dict[str, Any]:
        """Of the last pass, as ``benchmarks.audio.spark.AudioWay`` tells; the dtype, and the memory it took at most."""
        import resource

        import torch

        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        memory = {"host_gb": host / 2**30, "device_gb": device / 2**30}
        return {"dtype": self.dtype, "worker_threads": torch.get_num_threads(), **memory, "heard": self.heard}

    def close(self) -> None:
        """Nothing is left to end."""

    def _transcribe(self, rows: pa.Table) -> dict[str, Any]:
        texts: dict[int, str] = {}
        errors: dict[int, str] = {}
        stats = []
        for scored in self.scorer.score(rows.select(["id", "audio"]).to_batches()):
            stats.append(asdict(scored.stats))
            for row, struct in zip(scored.batch["id"].to_pylist(), scored.result.to_pylist(), strict=True):
                texts[row] = struct["text"] or ""
                if struct["error"] is not None:
                    errors[row] = struct["error"]["code"]
        return {"texts": texts, "errors": errors, "phases": {**summed(stats), **self.spent.seconds}}


class Spent:
    """Seconds within the engine's forward: waiting for the readers of files, and in the model's encoder.

    What is left of ``forward_s`` goes to the decoder, its steps' choice of tokens, and the transcripts' making.
    """

    def __init__(self, task: Any) -> None:
        self.seconds: dict[str, float] = {}
        self.clear()
        self.device = task.device
        task.pieces = self._waiting(task.pieces)
        encoder = task.model.get_encoder()
        encoder.register_forward_pre_hook(lambda *_: self._start())
        encoder.register_forward_hook(lambda *_: self._end("encoder_s"))

    def clear(self) -> None:
        """Counts from nothing."""
        self.seconds |= {"wait_s": 0.0, "encoder_s": 0.0}

    def _waiting(self, pieces: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def timed(*given: Any, **named: Any) -> Iterator[Iterator[Any]]:
            with pieces(*given, **named) as fed:
                yield self._timed(fed)

        return timed

    def _timed(self, fed: Iterator[Any]) -> Iterator[Any]:
        while True:
            self._start()
            piece = next(fed, None)
            self._end("wait_s", device=False)
            if piece is None:
                return
            yield piece

    def _start(self) -> None:
        self.started = time.perf_counter()

    def _end(self, name: str, *, device: bool = True) -> None:
        if device and self.device != "cpu":
            import torch

            torch.cuda.synchronize()
        self.seconds[name] += time.perf_counter() - self.started


def scorer(spec: Spec) -> tuple[Any, str]:
    """A scorer of the spec's model and way, and its dtype."""
    from engine.device import choose_batch_tokens, choose_device, choose_dtype, detect
    from engine.models.bundle import make_bundle
    from engine.models.load import load
    from engine.models.registry import resolve
    from engine.options import Request
    from engine.scorer import Scorer
    from engine.tasks import task_class

    ref = resolve(spec.model, task="automatic-speech-recognition")
    device = choose_device(spec.device, detect()).value
    dtype = choose_dtype(spec.dtype, detect(), device).value
    loaded = load(make_bundle(ref, dtype).path, device)
    sizes = {"hidden": loaded.manifest.hidden, "weight_bytes": loaded.manifest.weight_bytes}
    budget = choose_batch_tokens("auto", detect(), device, **sizes).value
    request = Request(inputs={"audio": "audio"}, params={**ENGINE[WAYS[spec.way]], **spec.params})
    return Scorer(task_class(ref.task)(loaded), request, batch_tokens=budget), dtype
