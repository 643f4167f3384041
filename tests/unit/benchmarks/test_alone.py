"""The benchmark without Spark, at tiny size: engine and reference score every row, and alike."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.text import alone_case
from benchmarks.text.alone import EngineAlone
from benchmarks.text.models import save_random
from benchmarks.text.reference import Reference
from benchmarks.text.spec import Spec
from benchmarks.text.team import deal
from benchmarks.text.texts import texts, tokens_of
from tests.unit.benchmarks.imports import brought

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("model"), initializer_range=0.4, **SIZES)


def spec(model: Path, made: list[str], **changed: object) -> Spec:
    path = model / "texts.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return Spec(
        **{
            "way": "reference",
            "texts": str(path),
            "rows": len(made),
            "cold_rows": 5,
            "model": str(model),
            "logged": {},
            **changed,
        }
    )


def plain(model: Path, made: list[str]) -> list[str]:
    """Labels by plain transformers, a text at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.inference_mode():
        best = [int(loaded(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in made]
    return [loaded.config.id2label[i] for i in best]


@pytest.mark.parametrize("way", [Reference, EngineAlone])
def test_both_ways_give_the_labels_of_plain_transformers(way: type, model: Path) -> None:
    made = texts(60, 27)
    scored = way(spec(model, made), made, dtype="float32")
    expected = plain(model, made)
    assert set(expected) == {"NEGATIVE", "POSITIVE"}
    assert scored(60) == expected
    assert scored(7) == expected[:7]
    assert scored(60) == expected


def test_the_reference_fills_its_budget_and_not_more(model: Path) -> None:
    made = texts(400, 27)
    scored = Reference(spec(model, made), made, dtype="float32")
    lengths = [tokens_of(text) for text in made]
    batches = list(scored._batches(sorted(range(400), key=lambda i: -lengths[i])))
    padded = [max(lengths[i] for i in batch) * len(batch) for batch in batches]
    assert sorted(i for batch in batches for i in batch) == list(range(400))
    assert max(padded) <= 4096
    assert all(size > 0.9 * 4096 for size in padded[:-1])
    assert len(scored(400)) == 400
    assert scored.facts()["padding"] == pytest.approx(1 - sum(lengths) / sum(padded))


def test_work_is_dealt_out_evenly() -> None:
    made = texts(1000, 27)
    shares = deal(made, 3)
    assert sorted(i for share in shares for i in share) == list(range(1000))
    work = [sum(tokens_of(made[i]) for i in share) for share in shares]
    assert max(work) / min(work) < 1.02


def test_operations_of_a_forward_pass_by_hand() -> None:
    config = {"hidden_size": 2, "num_hidden_layers": 3, "intermediate_size": 4}
    # weights of a layer: 4 · 2 · 2 + 2 · 2 · 4 = 32; 5 tokens: 2 · 3 · 32 · 5 = 960, attention 4 · 3 · 2 · 25 = 600
    assert alone_case.flops(config, [5]) == 1560
    assert alone_case.flops(config, [5, 5]) == 3120


def test_a_tiny_run_measures_every_row_of_both_ways(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone_case, "peak_tflops", lambda device, dtype: 0.5)
    monkeypatch.setattr(alone_case, "_teams", lambda device, cores: {"processes": 2})
    asked = alone_case.Settings(texts=40, lengths=(12,), runs=2, dtype="float32", device="cpu", models={"tiny": model})
    told: list[str] = []
    report = alone_case.run(asked, told.append)
    measured = report["models"]["tiny"]["12"]
    assert [*measured["ways"]] == ["engine-alone-processes", "reference-processes"]
    for way in measured["ways"].values():
        assert way["rows"] == 40
        assert way["labels_as_reference"] == 1.0
        assert way["dtype"] == "float32"
        assert len(way["runs_s"]) == 2
        assert way["spread"][0] <= way["rows_per_s"] <= way["spread"][1]
        assert way["tokens_per_s"] == pytest.approx(way["rows_per_s"] * 12, rel=0.02)
        assert way["of_peak"] == way["tflops"] / 0.5
    rates = [way["rows_per_s"] for way in measured["ways"].values()]
    assert measured["ratios"] == {"engine_alone_to_reference": rates[0] / rates[1]}
    json.dumps(report)


def test_a_process_that_dies_says_why(model: Path) -> None:
    from benchmarks.text.turns import take_turns

    made = texts(5, 12)
    with pytest.raises(RuntimeError, match="expected 6 texts in"):
        take_turns({"reference": spec(model, made, rows=6)}, 1, model, lambda line: None)


def test_a_terminated_worker_ends_its_processes(model: Path) -> None:
    made = texts(5, 12)
    root = Path(alone_case.__file__).parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.text.worker", spec(model, made).to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=root,
    )
    assert worker.stdout is not None
    assert json.loads(worker.stdout.readline())["answers"].keys() == {"0", "1", "2", "3", "4"}
    started = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text(encoding="utf-8").split()
    assert started
    worker.terminate()
    worker.communicate()
    assert worker.returncode == 143
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_no_jvm_and_no_mlflow_is_imported() -> None:
    modules = (
        "benchmarks.text.__main__, benchmarks.text.alone_case, benchmarks.text.worker, engine.models.bundle, "
        "engine.models.registry, engine.models.load, engine.scorer"
    )
    among = {"pyspark", "py4j", "mlflow", "rich", "typer", "pandas", "torch"}
    assert brought(modules, among=among) == []
