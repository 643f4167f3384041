"""What an artifact tells the loader, and what the loader does not take."""

from __future__ import annotations

from typing import Any

import pytest

import engine
from engine.errors import ModelError, ParameterError
from udfs.pyfunc.definition import FORMAT, KEY, Definition

TOLD = {"task": "text-classification", "release": "0.1.0", "format": FORMAT}


def described(**told: Any) -> dict[str, Any]:
    return {"flavors": {"python_function": {"loader_module": "embercast_loader", KEY: {**TOLD, **told}}}}


def test_what_is_written_is_read() -> None:
    made = Definition(task="llm/v1/chat", release="0.1.0", dtype="bfloat16", device="cuda:1", batch_tokens=512)
    assert Definition.of(described(**made.to_dict()), "x") == made


def test_another_release_of_the_same_format_is_read() -> None:
    assert Definition.of(described(release="0.0.1"), "x").release == "0.0.1"
    assert Definition.of(described(release="9.9.9"), "x").release == "9.9.9"


def test_a_later_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError) as caught:
        Definition.of(described(release="9.1.0", format=FORMAT + 1, layout="new"), "sentiment")
    assert str(caught.value) == (
        f"expected a model of format {FORMAT} or before, which embercast {engine.__version__} reads; sentiment was "
        f"logged by embercast 9.1.0 in format {FORMAT + 1}: install that release or a later"
    )


def test_a_setting_that_this_release_does_not_know_is_refused() -> None:
    with pytest.raises(ModelError, match=r"sentiment has packing: install embercast 0\.3\.0, which logged it"):
        Definition.of(described(release="0.3.0", packing="tight"), "sentiment")


@pytest.mark.parametrize("told", [[], {"task": "text-classification"}, "text-classification"])
def test_what_is_no_definition_is_refused(told: Any) -> None:
    with pytest.raises(ModelError, match="expected task, release and format under embercast in the MLmodel of x"):
        Definition.of({"flavors": {"python_function": {KEY: told}}}, "x")


@pytest.mark.parametrize("found", [{}, {"flavors": {}}, {"flavors": {"python_function": {"loader_module": "other"}}}])
def test_a_model_of_another_logger_is_told_how_to_become_ours(found: Any) -> None:
    with pytest.raises(ModelError, match="embercast adopt makes one of it"):
        Definition.of(found, "x")


def test_settings_are_checked_when_a_model_is_logged() -> None:
    made = Definition.asked("fill-mask", {"dtype": "float32"})
    assert (made.task, made.release, made.dtype) == ("fill-mask", engine.__version__, "float32")
    with pytest.raises(ParameterError, match="expected dtype, device, batch_tokens, backend in the definition, got x"):
        Definition.asked("fill-mask", {"x": 1})
    with pytest.raises(ParameterError, match="got format"):
        Definition.asked("fill-mask", {"format": 2})
    with pytest.raises(ParameterError, match=r"expected dtype to be one of .*got 'float13'"):
        Definition.asked("fill-mask", {"dtype": "float13"})
