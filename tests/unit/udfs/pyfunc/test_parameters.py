"""Parameters by MLflow's precedence: of a call, of load_model, of the signature, as logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.models import names
from engine.models.ref import ModelRef
from udfs.pyfunc.artifact import Artifact
from udfs.pyfunc.definition import Definition
from udfs.pyfunc.parameters import Parameters, parameters
from udfs.pyfunc.signature import signature_of


def made(
    task: str,
    *,
    logged: dict[str, Any] | None = None,
    loaded: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
) -> Parameters:
    """Of a model logged with model_config and with defaults in its signature, loaded with another model_config."""
    config = logged or {}
    signed = {**{one.name: one.default for one in signature_of(task, config).params}, **(defaults or {})}
    known = {**config, **{name: value for name, value in signed.items() if value not in (None, [])}}
    ref = ModelRef(
        uri="x",
        pinned="x",
        version=None,
        model_dir=Path("x"),
        tokenizer_dir=Path("x"),
        task=task,
        params=names.params_of(task, known),
    )
    artifact = Artifact(
        root=Path("x"),
        definition=Definition(task=task, release="0.1.0"),
        config=config,
        defaults=signed,
        known_as="x",
    )
    return parameters(ref, artifact, {**config, **(loaded or {})})


def handed(known: Parameters, **asked: Any) -> dict[str, Any]:
    """What MLflow hands to predict: the signature's defaults where nothing was asked for."""
    return {**known.defaults, **asked}


def test_each_stands_over_the_next() -> None:
    plain = made("fill-mask")
    assert "top_k" not in plain.asked(handed(plain))
    logged = made("fill-mask", logged={"top_k": 2})
    assert logged.asked(handed(logged))["top_k"] == 2
    signed = made("fill-mask", logged={"top_k": 2}, defaults={"top_k": 3})
    assert signed.asked(handed(signed))["top_k"] == 3
    loaded = made("fill-mask", logged={"top_k": 2}, loaded={"top_k": 4}, defaults={"top_k": 3})
    assert loaded.asked(handed(loaded))["top_k"] == 4
    assert loaded.asked(handed(loaded, top_k=5))["top_k"] == 5


def test_a_call_may_ask_for_what_was_logged_over_what_was_loaded() -> None:
    known = made("fill-mask", logged={"top_k": 2}, loaded={"top_k": 4})
    assert known.asked(handed(known, top_k=2))["top_k"] == 2


def test_lists_too() -> None:
    known = made("token-classification", logged={"ignore_labels": ["O", "PER"]})
    assert known.asked(handed(known))["ignore_labels"] == ["O", "PER"]
    assert known.asked(handed(known, ignore_labels=[]))["ignore_labels"] == []
    loaded = made("token-classification", logged={"ignore_labels": ["O", "PER"]}, loaded={"ignore_labels": ["LOC"]})
    assert loaded.asked(handed(loaded))["ignore_labels"] == ["LOC"]


def test_the_names_of_transformers_are_read_as_they_are_when_logged() -> None:
    known = made("text2text-generation", logged={"max_length": 21, "num_beams": 2}, loaded={"max_length": 11})
    assert known.asked(handed(known)) == {"max_new_tokens": 10, "num_beams": 2}
    stopping = made("text-generation", logged={"stop_sequence": "so"}, loaded={"stop_sequence": "no"})
    assert stopping.asked(handed(stopping))["stop"] == ["no"]


def test_a_default_of_the_owner_keeps_its_name() -> None:
    """MLflow's tutorials log ``max_length``, which counts what is written; ours is the prompt's."""
    known = made("summarization", defaults={"max_length": 31})
    assert known.asked(handed(known))["max_new_tokens"] == 30
    assert known.asked(handed(known, max_length=9))["max_new_tokens"] == 8
    ours = made("summarization")
    assert ours.asked(handed(ours, max_length=9))["max_length"] == 9
    sampled = made("llm/v1/chat", logged={"temperature": 0.7}, defaults={"do_sample": True})
    assert sampled.asked(handed(sampled, do_sample=False))["temperature"] == 0


def test_objects_come_as_json() -> None:
    known = made("llm/v1/chat")
    asked = known.asked(handed(known, response_format='{"type": "json_object"}', logit_bias={"3": 1.0}))
    assert asked["response_format"] == {"type": "json_object"}
    assert asked["logit_bias"] == {"3": 1.0}
    with pytest.raises(ParameterError, match="expected tools as JSON, got text that is none"):
        known.asked(handed(known, tools="[{"))


def test_values_of_numpy_are_values() -> None:
    known = made("zero-shot-classification")
    asked = known.asked(handed(known, candidate_labels=np.array(["a", "b"]), multi_label=np.bool_(True)))
    assert asked == {"candidate_labels": ["a", "b"], "multi_label": True}


def test_what_a_model_may_read_is_not_a_calls_to_say() -> None:
    known = made("automatic-speech-recognition", logged={"roots": ["/data"]})
    assert known.asked(handed(known))["roots"] == ["/data"]
    with pytest.raises(ParameterError, match="expected roots from who logged or loaded the model"):
        known.asked(handed(known, roots=["/"]))
    with pytest.raises(ParameterError, match="expected roots from who logged or loaded the model"):
        known.asked(handed(known, generate_kwargs={"roots": ["/"]}))


def test_a_value_that_the_task_does_not_take_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(ParameterError, match=r"expected top_k to be int, got 'many'.*x was logged with it"):
        made("fill-mask", logged={"top_k": 2}, loaded={"top_k": "many"})
