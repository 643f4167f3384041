"""Batch files of OpenAI's: lines in, lines out, each request answered exactly once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import runner, storage
from jobs.batches import files
from jobs.cli import app
from jobs.definition import JobDefinition, made
from jobs.errors import RunError
from jobs.plan import plan
from jobs.sample import sample
from tests import generation
from tests.scoring import rows as score_rows
from tests.scoring import scorer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

MOST = "spark.sql.files.maxRecordsPerFile"


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny causal model."""
    return generation.save(tmp_path_factory.mktemp("writer"), "llama")


def job(folder: Path, model: Path, path: str, **sections: Any) -> JobDefinition:
    """A job that answers ``path`` of a folder into its out/."""
    return made(
        {
            "version": 1,
            "name": "batch",
            "model": str(model),
            "task": "llm/v1/completions",
            "source": {"path": f"{folder}/{path}", "format": "openai-batch"},
            "params": {"max_new_tokens": 5},
            "compute": {"dtype": "float32"},
            "sink": {"path": f"{folder}/out", "format": "openai-batch"},
            "errors": {"max_fraction": 1.0},
            **sections,
        }
    )


def request(custom_id: str, url: str = "/v1/completions", **body: Any) -> str:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": "gpt", **body}})


def put(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(folder: Path, name: str) -> dict[str | None, dict[str, Any]]:
    """The lines of a file of out/, by custom_id."""
    lines = [json.loads(line) for line in (folder / "out" / name).read_text(encoding="utf-8").splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def test_a_batch_is_answered_and_its_bad_lines_cost_only_themselves(
    spark: SparkSession, writer: Path, tmp_path: Path
) -> None:
    put(
        tmp_path / "batch.jsonl",
        [
            request("plain", prompt="a good day"),
            request("short", prompt="a good day", max_tokens=2),
            "",
            request("drawn", prompt="they were not there", temperature=0.9, seed=7, n=2, stop=["zzz"]),
            request("too-hot", prompt="now", temperature=-1),
            request("chat", url="/v1/chat/completions", messages=[]),
            '{"custom_id": ',
        ],
    )
    definition = job(tmp_path, writer, "batch.jsonl")
    spark.conf.set(MOST, 1)  # of the files of a cluster, whose operator likes small ones
    try:
        summary = runner.run(definition, spark=spark)
    finally:
        spark.conf.unset(MOST)
    assert (summary.rows, summary.failed, summary.skipped) == (6, 3, 0)

    done = read(tmp_path, "output.jsonl")
    expected = {
        "plain": {"prompt": "a good day", "max_new_tokens": 5},
        "short": {"prompt": "a good day", "max_new_tokens": 2},
        "drawn": {"prompt": "they were not there", "max_new_tokens": 5, "temperature": 0.9, "seed": 7, "n": 2},
    }
    assert set(done) == set(expected)
    for name, params in expected.items():
        prompt = params.pop("prompt")
        one = scorer(writer, task="llm/v1/completions", inputs=("prompt",), params=params)
        row = score_rows(one, prompt=[prompt])[0]
        assert row is not None
        body = done[name]["response"]["body"]
        assert [choice["text"] for choice in body["choices"]] == [choice["text"] for choice in row["choices"]]
        assert body["usage"] == row["usage"]
        assert (body["object"], body["model"]) == ("text_completion", writer.name)

    failed = read(tmp_path, "errors.jsonl")
    told = {name: line["response"]["body"]["error"]["code"] for name, line in failed.items()}
    assert told == {"too-hot": "invalid_parameter", "chat": "invalid_request", None: "invalid_request"}
    assert {line["response"]["status_code"] for line in failed.values()} == {400}
    assert spark.read.format("delta").load(f"{tmp_path}/out/_scored").where(summary.failed_where).count() == 3

    planned = plan(definition, spark=spark)
    assert (planned.rows, planned.scored, planned.keys.nulls) == (6, 6, 1)
    assert sum("lines are no requests of this job's endpoint: expected" in text for text in planned.warnings) == 2
    taken = sample(definition, spark=spark, rows=2)
    assert [key["custom_id"] for key in taken.keys] == ["plain", "short"]


def test_files_come_once_and_a_run_that_died_leaves_its_files_to_the_next(
    spark: SparkSession, writer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    definition = job(tmp_path, writer, "in")
    put(tmp_path / "in" / "1.jsonl", [request(name, prompt=name) for name in "abc"])
    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", die)
        with pytest.raises(RunError, match="killed"):
            runner.run(definition, spark=spark)
    assert not (tmp_path / "out" / "output.jsonl").exists()
    assert runner.run(definition, spark=spark).rows == 0
    assert set(read(tmp_path, "output.jsonl")) == {"a", "b", "c"}
    assert read(tmp_path, "errors.jsonl") == {}

    before = (tmp_path / "out" / "output.jsonl").stat().st_mtime_ns
    assert runner.run(definition, spark=spark).rows == 0
    assert (tmp_path / "out" / "output.jsonl").stat().st_mtime_ns == before  # nothing new: not written again

    put(tmp_path / "in" / "2.jsonl", [request("c", prompt="again")])
    monkeypatch.setattr(storage, "_OBJECTS", {"file"})  # as if renames were no good there
    runner.run(definition, spark=spark)
    lines = (tmp_path / "out" / "output.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["custom_id"] for line in lines) == ["a", "b", "c", "c"]
    assert "custom_id stands on more than one line" in caplog.text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_scored", "errors.jsonl", "output.jsonl"]


def die(*_: Any) -> None:
    raise RunError("killed")


def test_one_command_moves_a_batch_of_embeddings(
    spark: SparkSession, sentiment: Path, tmp_path: Path, no_mlflow: None
) -> None:
    import gzip

    lines = [request("two", "/v1/embeddings", input=["a good day", "now"]), request("one", "/v1/embeddings", input="x")]
    (tmp_path / "batch.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    command = ["batch", f"{tmp_path}/batch.jsonl.gz", "--model", str(sentiment), "--output", f"{tmp_path}/out"]
    app([*command, "--task", "llm/v1/embeddings", "--set", "compute.dtype=float32"], standalone_mode=False)

    body = read(tmp_path, "output.jsonl")["two"]["response"]["body"]
    expected = score_rows(scorer(sentiment, task="llm/v1/embeddings", inputs=("input",)), input=["a good day", "now"])
    assert [(one["object"], one["index"]) for one in body["data"]] == [("embedding", 0), ("embedding", 1)]
    for one, row in zip(body["data"], expected, strict=True):
        assert row is not None
        assert one["embedding"] == pytest.approx(row["data"][0]["embedding"], abs=1e-5)
