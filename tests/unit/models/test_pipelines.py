"""A pipeline in a bundle says what it says outside of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import transformers

from engine.errors import ModelError
from engine.inferred import learn
from engine.models import pipelines as engine_pipelines
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from engine.options import Request
from engine.schema import Input, ddl
from engine.scorer import Scorer
from engine.tasks.foreign import Foreign
from tests import pipelines, speech, tiny

TEXTS = ["a good day", "now", None, "they were not there", "now", ""]


@pytest.fixture
def name() -> Iterator[str]:
    with pipelines.registered() as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("weighing"))


def test_a_pipeline_equals_plain_transformers(name: str, folder: Path) -> None:
    plain = transformers.pipeline(name, model=str(folder), device="cpu")
    loaded = load(make_bundle(resolve(str(folder), task=name), "float32").path, "cpu")
    predict = engine_pipelines.predictor(name, loaded)
    inputs = (Input(engine_pipelines.ROLE, pa.string()),)
    schema = learn(inputs, predict({engine_pipelines.ROLE: pa.array(["a sample"])}, {}))
    assert ddl(schema.output).startswith("STRUCT<weight: DOUBLE, logits: BIGINT, unit: STRING, error: ")
    task = Foreign(name, predict, schema, loaded.manifest)
    scorer = Scorer(task, Request(inputs={"text": "text"}, params={"unit": "g"}), batch_tokens=8)
    found: list[Any] = [
        row for one in scorer.score(pa.table({"text": TEXTS}).to_batches()) for row in one.result.to_pylist()
    ]
    for text, row in zip(TEXTS, found, strict=True):
        if text is None:
            assert row is None
        else:
            expected = plain(text, unit="g")
            assert row == {**expected, "weight": pytest.approx(expected["weight"], abs=1e-5), "error": None}


def test_a_model_that_the_pipeline_does_not_run_is_refused(name: str, tmp_path: Path) -> None:
    folder = speech.save(tmp_path)
    with pytest.raises(ModelError, match=rf"expected a model that {name} runs \(AutoModelForSequenceClassification\)"):
        make_bundle(resolve(str(folder), task=name), "float32")


def test_a_pipeline_that_can_not_be_made_is_an_error_that_says_why(name: str, folder: Path) -> None:
    loaded = load(make_bundle(resolve(str(folder), task=name), "float32").path, "cpu")
    with pytest.raises(ModelError, match="that a model and its tokenizer are enough for, RuntimeError was raised"):
        engine_pipelines.predictor(name, replace(loaded, model=None))
