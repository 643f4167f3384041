"""Every task answers at MLflow's door as the engine answers alone: values, nulls and bad rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import mlflow
import pandas as pd
import pyarrow as pa
import pytest

import udfs.pyfunc
from engine.inferred import plain
from engine.schema import schema_of
from tests import artifacts, audio_models, chats, ctc_models, generation, scoring, tagging, tiny
from udfs.pyfunc.frames import frame_of

TEXTS: Final = ["a good day", None, "so many people said no", "a good day", ""]
OTHERS: Final = ["they were there", "no", "by water", "they were there", "now"]
MASKED: Final = [None if text is None else f"the [MASK] {text}" for text in TEXTS]
TABLES: Final = [json.dumps([{"so": "water", "how": i}, {"so": "day", "how": 2}]) for i in range(5)]
LABELS: Final = {"candidate_labels": ["water", "people"]}
NLI: Final = {"contradiction": 0, "neutral": 1, "entailment": 2}
SHORT: Final = {"max_new_tokens": 4}
#: A character of half a pair: no text of any encoding.
HALF: Final = "a \ud800"


def sounds() -> list[bytes | None]:
    return [audio_models.wav(audio_models.tone(0.3, seed=seed)) if seed else None for seed in (1, 0, 2)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, how its tiny model is saved, its columns, and what it is logged with."""

    task: str
    save: Callable[[Path], Any]
    columns: Mapping[str, list[Any]]
    config: Mapping[str, Any] = field(default_factory=dict)


def case(task: str, save: Callable[[Path], Any], config: Mapping[str, Any] | None = None, **columns: Any) -> Any:
    return pytest.param(Case(task=task, save=save, columns=columns, config=config or {}), id=task)


def entailing(folder: Path) -> None:
    tiny.save(folder, id2label={i: label for label, i in NLI.items()}, label2id=NLI)


def encoder(folder: Path) -> None:
    tiny.save(folder, head="")


def writer(architecture: str) -> Callable[[Path], Any]:
    return lambda folder: generation.save(folder, architecture, generation={"eos_token_id": generation.ENDS})


CASES: Final = [
    case("text-classification", lambda f: tiny.save(f, num_labels=4), {"top_k": 3}, text=TEXTS, text_pair=OTHERS),
    case("token-classification", tagging.save, {"aggregation_strategy": "none", "ignore_labels": []}, text=TEXTS),
    case("zero-shot-classification", entailing, LABELS, text=TEXTS),
    case("fill-mask", lambda f: tiny.save(f, head="MaskedLM"), {"top_k": 2}, text=MASKED),
    case("question-answering", lambda f: tiny.save(f, head="QuestionAnswering"), question=TEXTS, context=OTHERS),
    case("table-question-answering", tiny.save_tapas, question=TEXTS, table=TABLES),
    case("summarization", writer("t5"), SHORT, text=TEXTS),
    case("translation", writer("t5"), SHORT, text=TEXTS),
    case("text2text-generation", writer("t5"), SHORT, text=TEXTS),
    case("text-generation", writer("llama"), SHORT, prompt=TEXTS),
    case("llm/v1/completions", writer("llama"), SHORT, prompt=TEXTS),
    case("llm/v1/chat", chats.save, {"max_tokens": 4, "logprobs": True}, messages=TEXTS),
    case("embeddings", encoder, {"normalize": True}, text=TEXTS),
    case("list-embeddings", encoder, texts=[["a good day", "no"], None, [], ["water", None], ["no"]]),
    case("llm/v1/embeddings", encoder, input=[["a good day", "no"], None, ["water"]]),
    case("feature-extraction", encoder, text=TEXTS),
    case("reranking", lambda f: tiny.save(f, num_labels=1), query=TEXTS, passage=OTHERS),
    case("automatic-speech-recognition", ctc_models.save, audio=sounds()),
    case("audio-classification", lambda f: audio_models.save_encoder(f, num_labels=3), audio=sounds()),
    case("zero-shot-audio-classification", audio_models.save_clap, LABELS, audio=sounds()),
]


def same(found: Any, expected: Any) -> None:
    """Equal leaf by leaf, numbers within 1e-5. What names the model that answers is left out: alone it has no name."""
    if isinstance(expected, dict):
        assert found is not None
        assert found.keys() == expected.keys()
        for name in expected.keys() - {"id", "model"}:
            same(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
    else:
        assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_every_task_answers_as_the_engine_does(case: Case, tmp_path: Path) -> None:
    case.save(tmp_path / "model")
    artifact = str(artifacts.write(tmp_path / "model", tmp_path / "logged", case.task, config=case.config))
    schema = schema_of(case.task)
    types = {role.name: pa.list_(pa.string()) if role.name == "input" else role.type for role in schema.inputs}
    table = pa.table({name: pa.array(cells, types[name]) for name, cells in case.columns.items()})

    ours = udfs.pyfunc.load(artifact)
    found = ours.predict(table)
    assert found.type == schema.output
    params = {name: value for name, value in ours.parameters.values.items() if value is not None}
    made = scoring.scorer(tmp_path / "model", task=case.task, params=params, inputs=list(case.columns))
    same(found.to_pylist(), [row for batch in table.to_batches() for row in rows(made, batch)])

    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in case.columns.items()})
    stock = mlflow.pyfunc.load_model(artifact, suppress_warnings=True).predict(frame)
    expected = frame_of(found)
    assert list(stock.columns) == [one.name for one in schema.output]
    for name in stock.columns:
        same(values(stock[name]), values(expected[name]))


def rows(made: Any, batch: pa.RecordBatch) -> list[Any]:
    return [row for scored in made.score([batch]) for row in scored.result.to_pylist()]


def values(column: pd.Series) -> list[Any]:
    return [None if value is pd.NA else plain(value) for value in column]


TEXT_CASES: Final = [one for one in CASES if {"text", "prompt", "messages"} & one.values[0].columns.keys()]


@pytest.mark.parametrize("case", [TEXT_CASES[0], TEXT_CASES[-3]])
def test_a_bad_row_costs_that_row(case: Case, tmp_path: Path) -> None:
    case.save(tmp_path / "model")
    artifact = str(artifacts.write(tmp_path / "model", tmp_path / "logged", case.task, config=case.config))
    model = mlflow.pyfunc.load_model(artifact, suppress_warnings=True)
    main = next(iter(case.columns))
    found = model.predict(pd.DataFrame({main: ["a good day", HALF, "no"]}))
    good = model.predict(pd.DataFrame({main: ["a good day", "no"]}))
    assert [one["code"] for one in found["error"]] == [None, "invalid_text", None]
    for name in good.columns.drop("error"):
        same(values(found[name].iloc[[0, 2]]), values(good[name]))
