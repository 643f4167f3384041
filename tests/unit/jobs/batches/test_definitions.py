"""What a definition of batch files says, and what its format says for it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.options import Column
from jobs.batches.endpoints import ENDPOINTS
from jobs.batches.implied import definition_of
from jobs.definition import JobDefinition, made
from jobs.errors import DefinitionError


def define(task: str | None = "llm/v1/completions", **sections: Any) -> JobDefinition:
    data: dict[str, Any] = {
        "version": 1,
        "name": "batch",
        "model": "models:/m@champion",
        "task": task,
        "source": {"path": "in/*.jsonl", "format": "openai-batch"},
        "sink": {"path": "in/out", "format": "openai-batch"},
    }
    return made({**data, **sections})


def test_key_inputs_and_parameters_come_from_the_requests() -> None:
    job = define(params={"max_new_tokens": 9, "no_repeat_ngram_size": 3, "temperature": {"column": "heat"}})
    assert job.source.key == ["custom_id"]
    request = job.request()
    assert request.inputs == {"prompt": "prompt"}
    assert request.params["max_new_tokens"] == Column("max_tokens", 9)
    assert request.params["top_p"] == Column("top_p")
    assert request.params["temperature"] == Column("heat")
    assert request.params["no_repeat_ngram_size"] == 3
    assert define("llm/v1/embeddings").request().inputs == {"input": "input"}


def test_a_chat_reads_whole_requests() -> None:
    endpoint = ENDPOINTS["llm/v1/chat"]
    assert (endpoint.role, endpoint.column, endpoint.params) == ("messages", "body", {"strings": "json"})


def test_the_table_lies_in_the_folder() -> None:
    assert define().sink.delta.path == "in/out/_scored"
    assert define(sink={"path": "${env:HOME}/out/", "format": "openai-batch"}).sink.delta.path == (
        "${env:HOME}/out/_scored"
    )
    assert define(sink={"path": "t"}).sink.delta.path == "t"


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({"task": None}, r"source: expected the task llm/v1/chat or .*, got none; write task: llm/v1/chat"),
        ({"task": "fill-mask"}, "source: expected the task llm/v1/chat or .*, got fill-mask"),
        ({"sink": {"table": "t", "format": "openai-batch"}}, "sink.format: expected a path for files"),
        ({"sink": {"path": "in", "format": "openai-batch"}}, "sink: expected a folder that the source does not read"),
        ({"source": {"table": "t", "key": ["id"], "inputs": "p"}}, "sink: expected the key custom_id .*, got id"),
        (
            {"source": {"path": "in", "format": "openai-batch", "schema": "a INT"}},
            "source.schema: expected no schema for a source of format openai-batch",
        ),
        (
            {"source": {"path": "in", "format": "openai-batch", "fold": {}}},
            "source.fold: expected no fold for a source of format openai-batch, got one; remove it: it has the columns",
        ),
        ({"sink": {"path": "out", "output": "custom_id"}}, "sink.output: expected a name that no key column has"),
    ],
)
def test_what_does_not_fit_is_refused(sections: dict[str, Any], what: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        define(**sections)


@pytest.mark.parametrize(
    ("source", "sink", "read"),
    [
        ("in/*", "in/out", True),  # a folder that a glob meets is read
        ("in/*/*", "in/out", True),
        ("in/out/e*.jsonl", "in/out", True),
        ("*.jsonl", ".", True),
        ("s3://in/*", "s3://in/out", True),
        ("in[1].jsonl", "in[1].jsonl", True),
        ("in/*.jsonl", "in/out", False),
        ("in", "in/out", False),
        ("in/batch.jsonl", "in", False),
        ("s3://in/*", "s3://other/out", False),
    ],
)
def test_what_was_written_is_never_read(source: str, sink: str, read: bool) -> None:
    sections: dict[str, Any] = {
        "source": {"path": source, "format": "openai-batch"},
        "sink": {"path": sink, "format": "openai-batch"},
    }
    if not read:
        assert define(**sections).sink.path == sink
        return
    with pytest.raises(DefinitionError, match="sink: expected a folder that the source does not read"):
        define(**sections)


def test_one_command_makes_a_definition() -> None:
    job = made(definition_of("in.jsonl", model="models:/m@champion", output="out", task="llm/v1/embeddings"))
    assert (job.source.path, job.sink.path, job.errors.max_fraction) == ("in.jsonl", "out", 1.0)
    with pytest.raises(DefinitionError, match="task: expected a task among"):
        made(definition_of("in.jsonl", model="models:/m@champion", output="out", task="chat"))


def test_a_table_with_custom_ids_may_become_files() -> None:
    job = define(source={"table": "t", "key": ["custom_id"], "inputs": {"prompt": "p"}})
    assert job.params == {}
