"""What predict may be given, and the rows that it comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.errors import SchemaError
from engine.schema import schema_of
from udfs.pyfunc.given import frame_of_given

TEXT, CHAT = schema_of("text-classification"), schema_of("llm/v1/chat")
TURNS = [{"role": "system", "content": "be short"}, {"role": "user", "content": "how long"}]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("one", ["one"]),
        (["one", None], ["one", None]),
        (np.array(["one", "two"]), ["one", "two"]),
        (pd.Series(["one", "two"], name="body"), ["one", "two"]),
        ({"text": "one"}, ["one"]),
        ({"text": ["one", "two"]}, ["one", "two"]),
        ({"text": []}, []),
        ([{"text": "one"}, {"text": "two"}], ["one", "two"]),
    ],
)
def test_texts_in_many_forms(data: Any, texts: list[Any]) -> None:
    assert frame_of_given(data, TEXT)["text"].tolist() == texts


def test_pairs_of_a_request_stay_together() -> None:
    frame = frame_of_given({"text": ["one", "two"], "text_pair": ["three", "four"], "top_k": 1}, TEXT)
    assert frame.to_dict("list") == {"text": ["one", "two"], "text_pair": ["three", "four"], "top_k": [1, 1]}
    with pytest.raises(SchemaError, match="as many values of each input of a request, got 2 of text, 1 of text_pair"):
        frame_of_given({"text": ["one", "two"], "text_pair": ["three"]}, TEXT)


@pytest.mark.parametrize(
    "data",
    [
        {"messages": TURNS},
        TURNS,
        [TURNS],
        pd.DataFrame({"messages": TURNS}),  # what MLflow makes of the first
        pd.DataFrame({"messages": [TURNS]}),
    ],
)
def test_the_messages_of_one_request_are_one_conversation(data: Any) -> None:
    assert frame_of_given(data, CHAT)["messages"].tolist() == [TURNS]


def test_rows_of_conversations_stay_rows() -> None:
    frame = pd.DataFrame({"messages": [TURNS, "how long", None, TURNS[:1]]}, index=[7, 8, 9, 9])
    assert frame_of_given(frame, CHAT) is frame
    assert frame_of_given([TURNS, TURNS[1:]], CHAT)["messages"].tolist() == [TURNS, TURNS[1:]]


def test_the_samples_of_an_array_are_one_recording() -> None:
    heard = schema_of("automatic-speech-recognition")
    samples = np.zeros(8, np.float32)
    frame = frame_of_given(samples, heard)
    assert len(frame) == 1
    assert frame["audio"].iloc[0] is samples


def test_a_required_role_that_is_missing_is_named() -> None:
    with pytest.raises(SchemaError) as caught:
        frame_of_given(pd.DataFrame({"body": ["one"]}), TEXT)
    assert str(caught.value) == "expected a column text (STRING), got body: rename the columns"
