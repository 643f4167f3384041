from __future__ import annotations

import pickle
from typing import Any

import pytest

from engine.errors import ParameterError
from engine.options import Column, Compute, Request


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "bfloat16", "device": "cpu", "batch_tokens": 1, "threads": 4},
        {"device": "cuda"},
        {"device": "cuda:11"},
        {"window_rows": 1, "window_bytes": 1},
    ],
)
def test_good_options_are_taken(options: dict[str, Any]) -> None:
    made = Compute(**options)
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "expected dtype to be one of auto, float32, bfloat16, float16; got 'int8'"),
        ({"device": "gpu"}, "expected device to be auto, cpu, cuda or cuda:N; got 'gpu'"),
        ({"device": "cuda:x"}, "got 'cuda:x'"),
        ({"device": "cpu:0"}, "got 'cpu:0'"),
        ({"batch_tokens": 0}, "expected batch_tokens to be auto or a whole number above 0; got 0"),
        ({"batch_tokens": True}, "got True"),
        ({"threads": "many"}, "expected threads to be auto or a whole number above 0; got 'many'"),
        ({"threads": 1.5}, "got 1.5"),
        ({"window_rows": "auto"}, "expected window_rows to be a whole number above 0; got 'auto'"),
        ({"max_seconds_per_batch": 0}, "expected max_seconds_per_batch to be a number above 0; got 0"),
        ({"window_bytes": -1}, "expected window_bytes to be a whole number above 0; got -1"),
    ],
)
def test_bad_options_are_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Compute(**options)
    assert message in str(caught.value)


def test_a_request_reads_each_column_once() -> None:
    request = Request(
        inputs={"text": "body", "text_pair": "title"},
        params={"top_k": Column("k"), "max_length": Column("k"), "function_to_apply": "none"},
    )
    assert request.columns == ("body", "title", "k")
