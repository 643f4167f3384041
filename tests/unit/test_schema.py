"""One table of types; what is derived from it, written out."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.errors import SchemaError, UnsupportedTaskError
from engine.schema import ERROR, SCHEMAS, STATS, ddl, schema_of
from engine.tasks import TASKS, task_class

_ERROR = "error: STRUCT<code: STRING, message: STRING, retryable: BOOLEAN>"
_SEEN = "tokens: INT, truncated: BOOLEAN"
_SCORES = "label: STRING, score: FLOAT, scores: ARRAY<STRUCT<label: STRING, score: FLOAT>>"
_HEARD = "duration_s: DOUBLE, truncated: BOOLEAN"
_ANSWER = "answer: STRING, score: FLOAT, start: INT, end: INT"
_CHOICES = "ARRAY<STRUCT<index: INT, text: STRING, finish_reason: STRING, logprob: FLOAT>>"
_USAGE = "usage: STRUCT<prompt_tokens: INT, completion_tokens: INT, total_tokens: INT>"
_TOKEN = "token: STRING, logprob: FLOAT, bytes: ARRAY<INT>"
_TEXT_TO_TEXT = (
    "text: STRING, prompt_tokens: INT, completion_tokens: INT, finish_reason: STRING, logprob: FLOAT, "
    f"alternatives: {_CHOICES}, truncated: BOOLEAN"
)
FIELDS = {
    "text-classification": f"{_SCORES}, {_SEEN}",
    "token-classification": (
        f"entities: ARRAY<STRUCT<entity: STRING, score: FLOAT, word: STRING, start: INT, end: INT>>, {_SEEN}"
    ),
    "zero-shot-classification": f"{_SCORES}, {_SEEN}",
    "fill-mask": f"masks: ARRAY<ARRAY<STRUCT<token: STRING, score: FLOAT, sequence: STRING>>>, {_SEEN}",
    "question-answering": f"{_ANSWER}, answers: ARRAY<STRUCT<{_ANSWER}>>, tokens: INT",
    "table-question-answering": (
        "answer: STRING, cells: ARRAY<STRUCT<row: INT, column: INT, text: STRING, score: FLOAT>>, "
        f"aggregator: STRING, {_SEEN}"
    ),
    "summarization": _TEXT_TO_TEXT,
    "translation": _TEXT_TO_TEXT,
    "text2text-generation": _TEXT_TO_TEXT,
    "text-generation": f"choices: {_CHOICES}, {_USAGE}, truncated: BOOLEAN",
    "llm/v1/completions": f"choices: {_CHOICES}, {_USAGE}, truncated: BOOLEAN",
    "llm/v1/chat": (
        "id: STRING, model: STRING, choices: ARRAY<STRUCT<index: INT, message: STRUCT<role: STRING, content: STRING, "
        "tool_calls: ARRAY<STRUCT<id: STRING, type: STRING, function: STRUCT<name: STRING, arguments: STRING>>>>, "
        f"finish_reason: STRING, logprobs: STRUCT<content: ARRAY<STRUCT<{_TOKEN}, "
        f"top_logprobs: ARRAY<STRUCT<{_TOKEN}>>>>>>>, "
        f"{_USAGE[:-1]}, prompt_tokens_details: STRUCT<cached_tokens: INT>>, "
        "turns: ARRAY<STRUCT<index: INT, content: STRING, finish_reason: STRING, prompt_tokens: INT, "
        "completion_tokens: INT, cached_tokens: INT>>, truncated: BOOLEAN"
    ),
    "embeddings": f"embedding: ARRAY<FLOAT>, {_SEEN}",
    "list-embeddings": f"embeddings: ARRAY<ARRAY<FLOAT>>, {_SEEN}",
    "llm/v1/embeddings": (
        "data: ARRAY<STRUCT<index: INT, embedding: ARRAY<FLOAT>>>, "
        "usage: STRUCT<prompt_tokens: INT, total_tokens: INT>, truncated: BOOLEAN"
    ),
    "feature-extraction": f"features: ARRAY<ARRAY<FLOAT>>, {_SEEN}",
    "reranking": f"score: FLOAT, {_SEEN}",
    "automatic-speech-recognition": (
        "text: STRING, language: STRING, duration_s: DOUBLE, segments: ARRAY<STRUCT<start: DOUBLE, end: DOUBLE, "
        "text: STRING, avg_logprob: FLOAT, no_speech_prob: FLOAT>>, "
        "words: ARRAY<STRUCT<start: DOUBLE, end: DOUBLE, word: STRING, score: FLOAT>>, "
        "tokens: INT, no_speech_prob: FLOAT"
    ),
    "audio-classification": f"{_SCORES}, {_HEARD}",
    "zero-shot-audio-classification": f"{_SCORES}, {_HEARD}",
    "text-to-audio": f"audio: BINARY, sampling_rate: INT, duration_s: DOUBLE, {_SEEN}",
}


@pytest.mark.parametrize("task", SCHEMAS)
def test_ddl_of_every_task(task: str) -> None:
    assert ddl(schema_of(task).output) == f"STRUCT<{FIELDS[task]}, {_ERROR}>"


@pytest.mark.parametrize("task", SCHEMAS)
def test_error_is_the_last_field_and_the_main_input_is_required(task: str) -> None:
    schema = schema_of(task)
    assert schema.output[-1] == pa.field("error", ERROR)
    assert [field.name for field in schema.fields].count("error") == 0
    assert schema.inputs[0].required


def test_every_schema_has_its_task_and_every_task_its_schema() -> None:
    assert SCHEMAS.keys() == TASKS.keys()
    assert {name: task_class(name).name for name in TASKS} == {name: name for name in SCHEMAS}


def test_ddl_of_the_figures() -> None:
    assert ddl(STATS).startswith("STRUCT<rows: BIGINT, nulls: BIGINT, failed: BIGINT, duplicates: BIGINT")
    assert ddl(STATS).endswith("decode_s: DOUBLE>")


def test_a_type_without_a_spark_name_is_refused() -> None:
    with pytest.raises(SchemaError, match="expected a type with a Spark name, got uint8"):
        ddl(pa.list_(pa.uint8()))


def test_a_task_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnsupportedTaskError, match=r"text-classification, token-classification.*'image-to-text'"):
        schema_of("image-to-text")


def test_an_input_is_found_by_its_role() -> None:
    assert schema_of("text-classification").role("text_pair").required is False
    with pytest.raises(SchemaError, match="expected inputs named text, text_pair, got 'body': rename the input"):
        schema_of("text-classification").role("body")
