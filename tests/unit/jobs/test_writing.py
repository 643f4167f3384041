from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from engine.options import Column
from jobs import bounds
from jobs.bounds import Bounds, Shortened, limit_of, rows_of, shortened
from jobs.summary import Writing
from jobs.trial import Trial, expect
from jobs.writing import Texts, count


@dataclass(frozen=True)
class Model:
    task: str
    params: dict[str, Any]
    device: Any
    bundle: Any


@dataclass(frozen=True)
class Job:
    model: Any
    inputs: Mapping[str, str]


def job(folder: Path, task: str = "llm/v1/chat", *, device: str = "cpu", roles: str = "", **params: Any) -> Any:
    own = SimpleNamespace(path=folder)
    return Job(Model(task, params, SimpleNamespace(value=device), own), {role: role for role in roles.split()})


ROWS = pa.table({"messages": ["hello", "you"]})


@pytest.fixture(autouse=True)
def _bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_ON_CPU", Bounds(texts=16, tokens=32))
    monkeypatch.setattr(bounds, "_ON_GPU", Bounds(texts=64, tokens=128))


def test_tasks_that_write_texts_have_a_parameter_that_bounds_them() -> None:
    tasks = ("llm/v1/chat", "text-generation", "llm/v1/completions", "summarization", "text-classification", "pyfunc")
    assert [limit_of(task) for task in tasks] == ["max_tokens", *["max_new_tokens"] * 3, None, None]


def test_a_trial_writes_little_and_tells_what_a_run_may(tmp_path: Path) -> None:
    short = shortened(job(tmp_path, max_tokens=300, min_tokens=50, temperature=0.5), ROWS)
    assert short.resolved.model.params == {"max_tokens": 32, "min_tokens": 32, "temperature": 0.5}
    assert (short.cap, short.most) == (32, 300)
    assert short.rows == ROWS
    short = shortened(job(tmp_path, "text-generation", device="cuda:0", max_new_tokens=100), ROWS)
    assert (short.resolved.model.params, short.cap, short.most) == ({"max_new_tokens": 100}, 128, 100)
    short = shortened(job(tmp_path), ROWS)
    assert (short.resolved.model.params, short.most) == ({"max_tokens": 32}, 256)
    (tmp_path / "generation_config.json").write_text('{"max_new_tokens": 70}', encoding="utf-8")
    assert shortened(job(tmp_path), ROWS).most == 70


def test_rows_that_ask_for_more_are_bounded_too(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "long": pa.array([400, None, 5], pa.int32()),
            "params": ['{"max_completion_tokens": 90, "top_p": 0.5}', "no JSON", None],
            "messages": ['{"messages": [], "max_tokens": 500}', "[]", '{"messages": []}'],
        }
    )
    short = shortened(job(tmp_path, roles="messages params", max_tokens=Column("long", default=300)), rows)
    assert short.resolved.model.params == {"max_tokens": Column("long", default=300)}
    assert short.rows.column("long").to_pylist() == [32, 32, 5]
    asked = [json.loads(text) if text and text.startswith("{") else text for text in short.rows["params"].to_pylist()]
    assert asked == [{"max_completion_tokens": 32, "top_p": 0.5}, "no JSON", None]
    assert json.loads(short.rows["messages"].to_pylist()[0]) == {"messages": [], "max_tokens": 32}
    assert short.rows["messages"].to_pylist()[1:] == ["[]", '{"messages": []}']
    assert short.most == 500
    assert short.rows.schema == rows.schema
    structs = pa.table({"params": [{"max_tokens": 90, "top_p": 0.5}, {"max_tokens": None, "top_p": None}]})
    short = shortened(job(tmp_path, roles="params", max_tokens=40), structs)
    assert short.rows["params"].to_pylist() == [{"max_tokens": 32, "top_p": 0.5}, {"max_tokens": None, "top_p": None}]
    assert short.most == 90


def test_no_more_texts_are_written_than_a_trial_may(tmp_path: Path) -> None:
    none = pa.array([None] * 20, pa.int32())
    rows = pa.table({"messages": ["hello"] * 20, "long": none, "n": pa.array([5, None] * 10)})

    def tried(rows: pa.Table = rows, **params: Any) -> int:
        return int(shortened(job(tmp_path, roles="messages", **params), rows).rows.num_rows)

    assert rows_of(job(tmp_path)) == 16
    assert [tried(), tried(n=3), tried(n=40), tried(n=Column("n")), tried(n=Column("n", 6))] == [16, 5, 1, 4, 3]
    assert tried(pa.table({"messages": ['{"messages": [], "n": 4}', "no JSON"] * 10}), strings="json", n=2) == 5
    said = [{"role": role, "content": "a"} for role in ("system", "user", "assistant", "user", "user")]
    assert tried(pa.table({"messages": [said] * 20}), roll_forward=True) == 5
    assert tried(pa.table({"messages": [json.dumps({"messages": said})] * 20}), roll_forward=True, strings="json") == 5
    assert tried(pa.table({"messages": [json.dumps(said)] * 20}), strings="json") == 16
    least = shortened(job(tmp_path, min_tokens=Column("long"), max_tokens=Column("long")), rows)
    assert least.rows["long"].to_pylist() == [32] * 16
    least = shortened(job(tmp_path, min_tokens=Column("long")), rows)
    assert least.rows["long"].to_pylist() == [None] * 16


def test_texts_that_are_no_utf_8_stay_the_tasks_to_tell(tmp_path: Path) -> None:
    cells = [b"\xff", b'{"max_tokens": 90}']
    array = pa.StringArray.from_buffers(2, *pa.array(cells).buffers()[1:])
    short = shortened(job(tmp_path, roles="messages"), pa.table({"messages": array}))
    assert short.rows["messages"].cast(pa.binary()).to_pylist() == [b"\xff", b'{"max_tokens": 32}']


def usage(prompt: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def texts(prompt: int, written: int, *reasons: str) -> dict[str, Any]:
    choices = [{"finish_reason": reason} for reason in reasons]
    return {"choices": choices, "usage": usage(prompt, written), "error": None}


def failed(code: str) -> dict[str, Any]:
    return {"choices": None, "usage": None, "error": {"code": code}}


SHORT = Shortened(None, ROWS, cap=32, most=300)  # type: ignore[arg-type]


def test_results_are_counted() -> None:
    rows = [texts(10, 40, "stop", "length"), None, failed("too_long"), failed("incomplete")]
    assert count(rows, SHORT) == Texts(rows=1, prompt=10, tried=2, texts=3, cut=2, tokens=72, cap=32, most=300)
    rolled = {**texts(30, 12, "stop"), "turns": [{"finish_reason": "stop"}] * 3}
    assert count([rolled], SHORT) == Texts(rows=1, prompt=30, tried=1, texts=3, cut=0, tokens=12, cap=32, most=300)
    summary = {"text": "a", "prompt_tokens": 9, "completion_tokens": 3, "finish_reason": "length", "error": None}
    enough = Shortened(None, ROWS, cap=32, most=32)  # type: ignore[arg-type]
    found = count([summary, failed("incomplete")], enough)
    assert (found.texts, found.cut, found.tried, found.short) == (1, 0, 1, False)


def made(texts: int, cut: int, tokens: int, most: int = 300) -> Texts:
    return Texts(rows=texts, prompt=10 * texts, tried=texts, texts=texts, cut=cut, tokens=tokens, cap=32, most=most)


def test_how_long_texts_become_is_estimated_from_those_that_ended() -> None:
    assert made(0, 0, 0).each is None
    assert made(4, 0, 60).each == 15.0
    assert made(4, 4, 128).each == 300.0
    # 100 tokens, 4 ended: one in 25 ends at each, and a mean of 25 is bounded by 50 tokens.
    assert made(6, 2, 100, most=50).each == pytest.approx(25 * (1 - 0.96**50))
    assert made(6, 2, 100, most=10**6).each == pytest.approx(25.0)
    assert made(6, 2, 4).each == 1.0


def test_time_goes_by_the_tokens_to_write() -> None:
    tried = Trial([], rows_per_s=8.0, load_s=3.0, texts=made(4, 0, 60), written_per_s=100.0)
    planned = expect(1_000, tried, slots=2)
    assert planned.writing == Writing(
        prompt_tokens=10_000, output_tokens=15_000, per_s=200.0, rows=4, texts=4, cut=0, cap=32, most=300
    )
    assert planned.rows_per_s == pytest.approx(1_000 * 200 / 15_000)
    assert planned.seconds == pytest.approx(3.0 + 75.0)
    nothing = expect(1_000, Trial([], 8.0, 3.0, texts=made(0, 0, 0)), slots=2)
    assert (nothing.writing.output_tokens, nothing.rows_per_s) == (None, 16.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (made(0, 0, 0), "unknown: no row of the trial was answered"),
        (made(4, 0, 60), "about 10,000 of prompts and 15,000 to write, from 4 rows"),
        (
            made(4, 2, 60),
            "about 10,000 of prompts and 29,999 to write, from 4 rows; 2 of 4 texts were cut at the trial's 32 tokens: "
            "estimated by how many ended",
        ),
        (
            made(4, 4, 128),
            "about 10,000 of prompts and 300,000 to write, from 4 rows; 4 of 4 texts were cut at the trial's 32 "
            "tokens: at most, for all 300 of each",
        ),
    ],
)
def test_an_estimate_says_what_it_is_made_of(texts: Texts, words: str) -> None:
    assert str(expect(1_000, Trial([], 8.0, 3.0, texts=texts, written_per_s=100.0), slots=1).writing) == words
