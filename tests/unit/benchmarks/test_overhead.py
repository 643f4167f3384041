"""The engine around a fake task: what the overhead benchmark times is right."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from benchmarks.overhead.__main__ import main, one_pass, short_texts
from benchmarks.overhead.task import FakeClassification
from engine.options import Request
from engine.scorer import Scorer


def test_short_texts_are_distinct() -> None:
    batches = short_texts(25_000)
    found = pa.Table.from_batches(batches)["text"].to_pylist()
    assert [batch.num_rows for batch in batches] == [10_000, 10_000, 5_000]
    assert len(set(found)) == 25_000
    assert {len(text) for text in found} == set(range(12, 44))


def test_the_fake_scores_each_text_by_its_length() -> None:
    scorer = Scorer(FakeClassification(), Request(inputs={"text": "text"}), batch_tokens=16)
    batch = pa.record_batch({"text": ["four", "to", None, "four", "a long one"]})
    rows = next(iter(scorer.score([batch]))).result.to_pylist()
    assert [row and row["score"] for row in rows] == pytest.approx([0.25, 0.5, None, 0.25, 0.1])
    assert rows[1] == {
        "label": "text",
        "score": 0.5,
        "scores": [{"label": "text", "score": 0.5}],
        "tokens": 2,
        "truncated": False,
        "error": None,
    }


def test_a_pass_gives_seconds_of_clock_core_and_phases() -> None:
    passed = one_pass(short_texts(1_000), 4096)
    assert [*passed] == ["s", "core_s", "encode_s", "forward_s", "decode_s"]
    assert 0 < passed["s"] < 60


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rows", "2000", "--runs", "1"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["settings"]["rows"] == 2000
    assert last["rows_per_s"] == round(2000 / last["passes"][0]["s"])
    assert last["rows_per_core_s"] == round(2000 / last["passes"][0]["core_s"])
