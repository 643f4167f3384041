"""``--engine-only``: the engine and the reference without a JVM or MLflow, on a CPU or a GPU, beside the device's peak.

Needs torch, transformers, safetensors, NumPy and pyarrow, nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine, versions
from benchmarks.text import models
from benchmarks.text.ratios import agreement, ratios
from benchmarks.text.spec import Spec
from benchmarks.text.texts import rows_at, texts, token_lengths
from benchmarks.text.turns import take_turns
from engine.device import choose_device, choose_dtype, detect

#: Texts for each one asked for: a GPU is done with ten thousand before it is warm, and a CPU takes long over BERT-base.
_SCALE: Final = {
    ("minilm", "cpu"): 1.0,
    ("bert-base", "cpu"): 0.05,
    ("minilm", "cuda"): 10.0,
    ("bert-base", "cuda"): 10.0,
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    ``models`` names folders of saved classifiers; None makes MiniLM (where its package is) and BERT-base.
    """

    texts: int
    lengths: tuple[int, ...]
    runs: int
    dtype: str
    device: str
    models: Mapping[str, Path] | None = None
    seed: int = 0


def run(settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measures everything. Returns the report that is printed and saved."""
    on = machine()
    device = choose_device(settings.device, detect()).value.partition(":")[0]
    dtype = choose_dtype(settings.dtype, detect(), device).value
    report: dict[str, Any] = {
        "benchmark": "text --engine-only",
        "machine": on,
        "versions": versions(),
        "settings": {"runs": settings.runs, "device": device, "dtype": dtype, "seed": settings.seed},
        "models": {},
    }
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        folder = Path(name)
        peak = peak_tflops(device, dtype)
        tell(f"{dtype} matrix products: {peak:.2f} TFLOP/s")
        for model, path in (settings.models or _models(folder)).items():
            report["models"][model] = {}
            for length in settings.lengths:
                count = max(1, round(rows_at(settings.texts, length) * _SCALE.get((model, device), 1.0)))
                found = texts(count, length, seed=settings.seed)
                (folder / "texts.json").write_text(json.dumps(found), encoding="utf-8")
                specs = _specs(path, folder / "texts.json", count, device, dtype)
                tell(f"{model}, {count} texts of mean {length} tokens")
                results = take_turns(specs, settings.runs, folder, tell)
                measured = _measured(results, path, token_lengths(count, length), peak)
                report["models"][model][str(length)] = {"dtype": dtype, "peak_tflops": peak, **measured}
    return report


def flops(config: Mapping[str, Any], lengths: list[int]) -> int:
    """Floating-point operations of a BERT encoder's forward pass over sequences of these lengths, without padding.

    Twice the layers' weights for each token, and for a sequence of n tokens 4 · n² · hidden a layer for its attention.
    """
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    weights = layers * (4 * hidden * hidden + 2 * hidden * config["intermediate_size"])
    return sum(2 * weights * n + 4 * layers * hidden * n * n for n in lengths)


def peak_tflops(device: str, dtype: str) -> float:
    """TFLOP/s of the best large matrix product in this dtype, all cores at work; measured in a process of its own."""
    code = f"from benchmarks.text.alone_case import _peak; print(_peak({device!r}, {dtype!r}))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    return float(done.stdout)


def _peak(device: str, dtype: str) -> float:
    import time

    import torch

    size, repeats = (8192, 20) if device == "cuda" else (2048, 3)
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        _wait(device)
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        _wait(device)
        best = min(best, (time.perf_counter() - start) / repeats)
    return 2 * size**3 / best / 1e12


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _models(folder: Path) -> dict[str, Path]:
    found = {"minilm": models.save_minilm(folder / "minilm")} if models.has_minilm() else {}
    return {**found, "bert-base": models.save_random(folder / "bert-base")}


def _teams(device: str, cores: int) -> dict[str, int]:
    """How the cores are shared out: name → processes."""
    return {"threads": 1, **({"processes": cores} if device == "cpu" and cores > 1 else {})}


def _specs(model: Path, path: Path, rows: int, device: str, dtype: str) -> dict[str, Spec]:
    cores = detect().cores
    return {
        f"{way}-{team}": Spec(
            way=way,
            texts=str(path),
            rows=rows,
            cold_rows=max(1, rows // 4),
            model=str(model),
            logged={},
            dtype=dtype,
            device=device,
            cores=cores,
            processes=processes,
        )
        for team, processes in _teams(device, cores).items()
        for way in ("engine-alone", "reference")
    }


def _measured(results: dict[str, dict[str, Any]], model: Path, lengths: list[int], peak: float) -> dict[str, Any]:
    labels = {name: result.pop("answers") for name, result in results.items()}
    reference = next(name for name in labels if name.startswith("reference"))
    for name, share in agreement(labels, reference).items():
        results[name]["labels_as_reference"] = share
    work = flops(json.loads((model / "config.json").read_text(encoding="utf-8")), lengths)
    for result in results.values():
        result["tokens_per_s"] = result["rows_per_s"] * sum(lengths) / len(lengths)
        result["tflops"] = result["rows_per_s"] * work / len(lengths) / 1e12
        result["of_peak"] = result["tflops"] / peak
    rates = {name: result["rows_per_s"] for name, result in results.items()}
    alone = max(rate for name, rate in rates.items() if name.startswith("engine-alone"))
    return {"ways": results, "ratios": ratios({**rates, "engine-alone": alone})}
