"""A pipeline in a bundle says what it says outside of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import ModelError
from engine.inferred import learn
from engine.models import pipelines
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from engine.options import Request
from engine.schema import Input, ddl
from engine.scorer import Scorer
from engine.tasks.foreign import Foreign
from tests import speech, tiny

TEXTS = ["a good day", "now", None, "they were not there", "now", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech.save(tmp_path_factory.mktemp("speech"))


def test_text_to_audio_equals_plain_transformers(folder: Path) -> None:
    import transformers

    plain = transformers.pipeline("text-to-audio", model=str(folder))
    loaded = load(make_bundle(resolve(str(folder), task="text-to-speech"), "float32").path, "cpu")
    predict = pipelines.predictor("text-to-speech", loaded)
    inputs = (Input(pipelines.ROLE, pa.string()),)
    schema = learn(inputs, predict({pipelines.ROLE: pa.array(["a sample"])}, {}))
    assert ddl(schema.output).startswith("STRUCT<audio: ARRAY<DOUBLE>, sampling_rate: BIGINT, error: ")
    task = Foreign("text-to-speech", predict, schema, loaded.manifest)
    scorer = Scorer(task, Request(inputs={"text": "text"}), batch_tokens=8)
    found: list[Any] = [row for one in scorer.score(pa.table({"text": TEXTS}).to_batches()) for row in one.result]
    for text, row in zip(TEXTS, found, strict=True):
        if text is None:
            assert not row.is_valid
        elif text:
            expected = plain(text)
            assert row["error"].as_py() is None
            assert row["sampling_rate"].as_py() == expected["sampling_rate"] == 8000
            np.testing.assert_allclose(row["audio"].values, expected["audio"], atol=1e-5)


def test_a_model_that_the_pipeline_does_not_run_is_refused(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path)
    with pytest.raises(ModelError, match=r"expected a model that text-to-audio runs \(AutoModelForTextToWaveform, "):
        make_bundle(resolve(str(folder), task="text-to-audio"), "float32")


def test_a_pipeline_that_can_not_be_made_is_an_error_that_says_why(folder: Path) -> None:
    loaded = load(make_bundle(resolve(str(folder), task="text-to-audio"), "float32").path, "cpu")
    with pytest.raises(ModelError, match="that a model and its tokenizer are enough for, RuntimeError was raised"):
        pipelines.predictor("text-to-audio", replace(loaded, model=None))
