"""Parameters that a model was logged with, beside those of the job."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ParameterError
from engine.models.ref import ModelRef
from engine.options import Column
from udfs.logged import _logged_params, over_logged


def ref(**params: Any) -> ModelRef:
    here = Path()
    return ModelRef(
        uri="models:/m@champion",
        pinned="models:/m/3",
        version="3",
        model_dir=here,
        tokenizer_dir=here,
        task="text-classification",
        params=params,
    )


def test_what_the_task_takes_is_taken_and_the_rest_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="embercast"):
        assert _logged_params(ref(top_k=2, batch_size=8, truncation=True), {}) == {"top_k": 2}
    [warning] = caplog.messages
    assert warning.endswith("logged with models:/m/3 that text-classification does not take: batch_size, truncation")


def test_the_jobs_value_comes_first(caplog: pytest.LogCaptureFixture) -> None:
    assert _logged_params(ref(top_k=2, max_length=9), {"top_k": Column("k")}) == {"max_length": 9}
    assert caplog.messages == []


def test_a_logged_value_stays_for_the_rows_whose_column_is_null() -> None:
    logged = ref(top_k=2, max_length=9, function_to_apply="none")
    asked = {"top_k": Column("k"), "max_length": Column("m", default=8), "stride": Column("s")}
    assert over_logged(logged, asked) == {
        "top_k": Column("k", default=2),
        "max_length": Column("m", default=8),
        "stride": Column("s"),
        "function_to_apply": "none",
    }
    assert over_logged(logged, {"top_k": None, "max_length": 7}) == {
        "top_k": None,
        "max_length": 7,
        "function_to_apply": "none",
    }


def test_a_logged_value_that_the_task_refuses_says_where_it_is_from() -> None:
    with pytest.raises(ParameterError) as caught:
        _logged_params(ref(top_k="all"), {})
    assert "expected top_k to be int or null, got 'all'" in str(caught.value)
    assert str(caught.value).endswith("models:/m/3 was logged with it: give top_k in params")
    assert _logged_params(ref(top_k="all"), {"top_k": None}) == {}


def test_logged_parameters_may_need_each_other() -> None:
    chat = replace(ref(), task="llm/v1/chat", params={"top_logprobs": 2, "logprobs": True})
    assert over_logged(chat, {}) == {"top_logprobs": 2, "logprobs": True}
    assert over_logged(replace(chat, params={"top_logprobs": 2}), {"logprobs": True})["top_logprobs"] == 2
    with pytest.raises(ParameterError, match=r"expected logprobs: true .* was logged with it: give top_logprobs"):
        over_logged(replace(chat, params={"top_logprobs": 2}), {})
