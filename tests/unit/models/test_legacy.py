"""Folders that MLflow 2 with transformers 4 wrote (``tests/legacy``) resolve, bundle and answer as they did then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import UnsafeModelError
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from tests import scoring
from udfs.logged import _logged_params

#: Marian's tokenizer would tidy punctuation with it; neither then nor now is it installed.
pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

DATA = Path(__file__).parents[2] / "legacy" / "data"
TEXTS = ["the people who were there", "it was a good day and they would come again", "how can you know"]
GENERATING = ["t5_summarization", "marian_translation", "bart_text2text", "t5_translation"]


def expected(name: str) -> dict[str, Any]:
    """What transformers 4 answered."""
    read: dict[str, Any] = json.loads((DATA / name / "expected.json").read_text())
    return read


@pytest.mark.parametrize(
    ("name", "task", "params"),
    [
        ("t5_summarization", "summarization", {"max_new_tokens": 8, "min_new_tokens": 0}),
        ("bert_question_answering", "question-answering", {}),
        (
            "marian_translation",
            "translation",
            {"source_language": "en", "target_language": "de", "max_new_tokens": 8},
        ),
        (
            "bart_text2text",
            "text2text-generation",
            {"prompt_template": "they said: {prompt}", "max_new_tokens": 8, "num_beams": 2},
        ),
        ("t5_translation", "translation", {"source_language": "en", "target_language": "fr", "max_new_tokens": 8}),
    ],
)
def test_they_are_what_they_were(name: str, task: str, params: dict[str, Any], tmp_path: Path) -> None:
    """Task, parameters and, bit for bit, the tensors of the safetensors file."""
    ref = resolve(str(DATA / name))
    assert (ref.task, dict(ref.params), ref.dtype) == (task, params, "float32")
    made = make_bundle(ref, "float32", root=tmp_path)
    loaded = load(made.path, "cpu")
    stored = load_file(DATA / name / "model" / "model.safetensors")
    assert stored
    found = dict([*loaded.model.named_parameters(remove_duplicate=False), *loaded.model.named_buffers()])
    for key, tensor in stored.items():
        assert torch.equal(found[key], tensor), key
    assert loaded.tokenizer("how can you know")["input_ids"]


def test_a_lora_model_of_mlflow_2_answers_as_it_did() -> None:
    rows = scoring.rows(scoring.scorer(DATA / "bert_lora"), text=TEXTS)
    for row, then in zip(rows, expected("bert_lora")["rows"], strict=True):
        assert row is not None
        found = {one["label"]: one["score"] for one in row["scores"]}
        assert found == pytest.approx({one["label"]: one["score"] for one in then}, abs=1e-5)


def test_pickled_weights_of_mlflow_2_3_are_refused_with_what_to_do() -> None:
    with pytest.raises(UnsafeModelError) as caught:
        resolve(str(DATA / "pickled_question_answering"), task="embeddings")
    assert "found only pytorch_model.bin, which is unpickled to be read" in str(caught.value)
    assert "Load it where it is trusted, save the model again with save_pretrained(…)" in str(caught.value)


@pytest.mark.parametrize("name", GENERATING)
def test_texts_are_those_that_transformers_4_generated(name: str) -> None:
    then = expected(name)
    rows = scoring.rows(scoring.scorer(DATA / name, params=_logged_params(resolve(str(DATA / name)), {})), text=TEXTS)
    assert [row["text"] for row in rows if row] == [next(iter(one.values())) for one in then["rows"]]


def test_answers_are_those_that_transformers_4_gave() -> None:
    then = expected("bert_question_answering")
    columns = {role: [one[role] for one in then["inputs"]] for role in ("question", "context")}
    rows = scoring.rows(scoring.scorer(DATA / "bert_question_answering", inputs=("question", "context")), **columns)
    for row, one in zip(rows, then["rows"], strict=True):
        assert row is not None
        assert (row["answer"], row["start"], row["end"]) == (one["answer"], one["start"], one["end"])
        assert row["score"] == pytest.approx(one["score"], abs=1e-5)


def test_a_copy_elsewhere_is_the_same_model(tmp_path: Path) -> None:
    copy = shutil.copytree(DATA / "bert_lora", tmp_path / "copy")
    one, two = (make_bundle(resolve(str(folder)), "float32", root=tmp_path) for folder in (copy, DATA / "bert_lora"))
    assert one.digest == two.digest
