"""What MLflow's own flavor loses of each task, beside the whole answer of the same model logged here."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile
import transformers
from mlflow.exceptions import MlflowException

import udfs.pyfunc
from tests import chats, scoring, speech_models, tagging, tiny, whispering
from tests.conformance.base import assert_same
from tests.spark import plain

Both = Callable[..., tuple[Any, Any]]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A model that stock logged and the same logged here, each as stock's ``load_model`` gives it."""

    def logged(model: Any, task: str, **arguments: Any) -> tuple[Any, Any]:
        mlflow.transformers.save_model(
            model, f"{tmp_path}/stock", task=task, pip_requirements=["torch", "transformers"], **arguments
        )
        udfs.pyfunc.save_model(model, f"{tmp_path}/here", task=task, definition={"dtype": "float32"}, **arguments)
        stock, here = (mlflow.pyfunc.load_model(f"{tmp_path}/{one}") for one in ("stock", "here"))
        return stock, here

    return logged


def rows(model: Any, **columns: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = model.predict(pd.DataFrame(columns)).to_dict("records")
    return found


def codes(found: list[dict[str, Any]]) -> list[str | None]:
    return [row["error"]["code"] for row in found]


MERGED = {"aggregation_strategy": "simple"}


def test_entities_keep_their_scores_and_spans(tmp_path: Path, both: Both) -> None:
    folder = tagging.save(tmp_path / "model")
    texts = ["how many people find water", "they said so"]
    stock, here = both(tagging.plain(folder), "token-classification", model_config=MERGED)
    expected = tagging.expected(folder, texts, aggregation_strategy="simple")
    assert stock.predict(texts) == [",".join(one["entity"] for one in row) for row in expected]
    assert_same([row["entities"] for row in rows(here, text=texts)], expected)


def test_a_text_without_an_entity_costs_no_other(tmp_path: Path, both: Both) -> None:
    folder = tagging.save(tmp_path / "model")
    texts = ["how many people find water", ""]
    stock, here = both(tagging.plain(folder), "token-classification", model_config=MERGED)
    with pytest.raises(IndexError):
        stock.predict(texts)
    found = rows(here, text=texts)
    assert_same([row["entities"] for row in found], tagging.expected(folder, texts, aggregation_strategy="simple"))
    assert found[1]["entities"] == []


def test_every_text_has_its_own_zero_shot_answer(tmp_path: Path, both: Both) -> None:
    labels = {"id2label": dict(enumerate(("contradiction", "neutral", "entailment")))}
    folder = tiny.save(tmp_path / "model", **labels, label2id={name: i for i, name in labels["id2label"].items()})
    pipeline = transformers.pipeline("zero-shot-classification", model=str(folder), device="cpu")
    texts, candidates = ["the water", "how many people", "the water"], ["water", "people"]
    stock, here = both(pipeline, "zero-shot-classification")
    asked = {
        "sequences": texts,
        "candidate_labels": [json.dumps(candidates)] * 3,
        "hypothesis_template": ["This example is {}."] * 3,
    }
    assert stock.predict(pd.DataFrame(asked))["sequence"].tolist() == [*texts[:1] * 2, *texts[1:2] * 2]  # a row a label
    found = here.predict(pd.DataFrame({"text": texts}), params={"candidate_labels": candidates}).to_dict("records")
    for row, text in zip(found, texts, strict=True):
        expected = pipeline(text, candidate_labels=candidates)
        assert [one["label"] for one in row["scores"]] == expected["labels"]
        assert [one["score"] for one in row["scores"]] == pytest.approx(expected["scores"], abs=1e-5)


def test_every_text_has_its_own_features(tmp_path: Path, both: Both) -> None:
    folder = tiny.save(tmp_path / "model", head="")
    pipeline = transformers.pipeline("feature-extraction", model=str(folder), device="cpu")
    texts = ["the water", "how many people find water"]
    stock, here = both(pipeline, "feature-extraction")
    np.testing.assert_allclose(stock.predict(texts), pipeline(texts[0])[0], atol=1e-5)  # of the first text alone
    for row, text in zip(rows(here, text=texts), texts, strict=True):
        np.testing.assert_allclose(np.stack(row["features"]), pipeline(text)[0], atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # MLflow's own
def test_an_embedding_is_of_the_whole_text(tmp_path: Path, both: Both) -> None:
    """Stock takes the first token's vector, and makes one answer of all rows: a ValueError in its ``spark_udf``."""
    folder = tiny.save(tmp_path / "model", head="")
    pipeline = transformers.pipeline("feature-extraction", model=str(folder), device="cpu")
    texts = ["the water", "how many people find water"]
    stock, here = both(pipeline, "llm/v1/embeddings")
    answer = stock.predict(pd.DataFrame({"input": texts}))  # one for both
    for one, text in zip(answer["data"], texts, strict=True):
        np.testing.assert_allclose(one["embedding"], pipeline(text)[0][0], atol=1e-5)
    for row, text in zip(rows(here, input=texts), texts, strict=True):
        [one] = row["data"]
        np.testing.assert_allclose(one["embedding"], plain.embedding(folder, text), atol=1e-5)


def test_every_recording_has_its_own_segments(tmp_path: Path, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(file: bytes, rate: int) -> Any:  # no FFmpeg is needed for the test's wav files
        return soundfile.read(BytesIO(file), dtype="float32")[0]

    monkeypatch.setattr("transformers.pipelines.automatic_speech_recognition.ffmpeg_read", read)
    folder = speech_models.save(tmp_path / "model")
    pipeline = transformers.pipeline("automatic-speech-recognition", model=str(folder), device="cpu")
    clips = [whispering.wav(whispering.noise(2.0, seed=seed)) for seed in range(2)]
    settings = {"language": "en", "task": "transcribe", "max_new_tokens": 12, "temperature": 0.0}
    config = {"return_timestamps": True, "generate_kwargs": settings}
    stock, here = both(pipeline, "automatic-speech-recognition", model_config=config)
    assert len(stock.predict(pd.DataFrame({"audio": clips}))) > 2  # the texts of rows and of segments in one list
    found = rows(here, audio=clips)
    assert codes(found) == [None, None]
    made = scoring.scorer(
        folder,
        params={"timestamps": "segments", "language": "en", "max_new_tokens": 12, "temperatures": (0.0,)},
        inputs=("audio",),
    )
    for row, expected in zip(found, scoring.rows(made, audio=clips), strict=True):
        assert expected is not None
        assert row["text"] == expected["text"]
        assert whispering.spoken(row) == whispering.spoken(expected)
        assert row["segments"]


@pytest.fixture
def chat(tmp_path: Path) -> Any:
    return transformers.pipeline("text-generation", model=str(chats.save(tmp_path / "model")), device="cpu")


CHATS = [chats.user("how many people"), chats.user("what did they say")]


def test_chats_are_answered_with_the_parameters_of_their_rows(tmp_path: Path, both: Both, chat: Any) -> None:
    """Stock takes the first row's for all; through its ``spark_udf`` messages without a name raise KeyError."""
    stock, here = both(chat, "llm/v1/chat", model_config={"do_sample": False})
    model = chats.Plain(tmp_path / "model")
    expected = [model.text(model(one, max_new_tokens=n)[1]) for one, n in zip(CHATS, (2, 8), strict=True)]
    found = rows(here, messages=CHATS, params=[{"max_tokens": 2}, {"max_tokens": 8}])
    assert codes(found) == [None, None]
    assert [row["choices"][0]["message"]["content"] for row in found] == expected
    asked = pd.DataFrame({"messages": CHATS, "max_tokens": [2, 8]})
    assert len({row["usage"]["completion_tokens"] for row in stock.predict(asked)}) == 1


def test_a_row_that_is_no_chat_costs_itself(both: Both, chat: Any) -> None:
    stock, here = both(chat, "llm/v1/chat", model_config={"do_sample": False, "max_new_tokens": 4})
    broken = [*CHATS, [{"role": "narrator", "content": "a long day"}], None]
    with pytest.raises(MlflowException, match="Failed to enforce schema"):
        stock.predict(pd.DataFrame({"messages": broken}))
    found = rows(here, messages=broken)
    assert codes(found) == [None, None, "template_refused", None]
    assert found[3]["choices"] == []


def test_all_scores_keep_the_shape_that_one_has(tmp_path: Path, both: Both) -> None:
    """Stock gives a row's label and score, or with ``top_k`` a column for each label: another table."""
    folder = tiny.save(tmp_path / "model", num_labels=3)
    pipeline = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    texts = ["the water", "how many people"]
    stock, here = both(pipeline, "text-classification", model_config={"top_k": None})
    assert list(stock.predict(texts).columns) == [0, 1, 2]
    for row, text in zip(rows(here, text=texts), texts, strict=True):
        scoring.assert_ranked({**row, "error": None}, pipeline(text, top_k=None))


def test_a_text_is_what_was_written_and_says_why_it_ended(tmp_path: Path, both: Both) -> None:
    """Stock gives the prompt with it, and neither tokens nor the reason."""
    pipeline = transformers.pipeline("text-generation", model=str(chats.save(tmp_path / "model")), device="cpu")
    prompts = ["how many people", "the water"]
    stock, here = both(pipeline, "text-generation", model_config={"do_sample": False, "max_new_tokens": 6})
    assert all(text.startswith(prompt) for text, prompt in zip(stock.predict(prompts), prompts, strict=True))
    for row, prompt in zip(rows(here, prompt=prompts), prompts, strict=True):
        [choice] = row["choices"]
        [whole] = pipeline(prompt, do_sample=False, max_new_tokens=6)
        assert whole["generated_text"].removeprefix(prompt).strip() == choice["text"].strip()
        assert choice["finish_reason"] in ("stop", "length")
        assert row["usage"]["total_tokens"] == row["usage"]["prompt_tokens"] + row["usage"]["completion_tokens"]


def test_a_null_costs_itself(tmp_path: Path, both: Both) -> None:
    pipeline = transformers.pipeline("text-classification", model=str(tiny.save(tmp_path / "model")), device="cpu")
    stock, here = both(pipeline, "text-classification")
    texts = ["the water", None, "how many people"]
    with pytest.raises(ValueError, match="You need to specify either `text` or `text_target`"):
        stock.predict(texts)
    found = rows(here, text=texts)
    assert codes(found) == [None, None, None]
    assert [row["label"] is None for row in found] == [False, True, False]
