"""The signature says what the schema table says, and what a call may give."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.models import ModelSignature

from engine.errors import SchemaError
from engine.schema import SCHEMAS, schema_of
from engine.tasks import task_class
from engine.tasks.params import row_params
from udfs.pyfunc.signature import has_signature, in_json, signature_of

CARRIED = [task for task in SCHEMAS if task != "text-to-audio"]


def params_of(task: str, logged: dict[str, Any] | None = None) -> dict[str, Any]:
    return {one.name: (one.dtype.name, one.shape, one.default) for one in signature_of(task, logged).params}


@pytest.mark.parametrize("task", CARRIED)
def test_every_task_has_one_that_mlflow_can_write_and_read(task: str) -> None:
    made = signature_of(task)
    assert ModelSignature.from_dict(made.to_dict()) == made
    roles = schema_of(task).inputs
    assert made.inputs.input_names() == [*(role.name for role in roles), *row_params(task)]
    assert made.inputs.required_input_names() == [role.name for role in roles if role.required]
    (output,) = made.outputs.inputs
    assert [one.name for one in output.type.properties] == sorted(one.name for one in schema_of(task).output)
    assert not {*params_of(task), *row_params(task)} & {*task_class(task).fixed}


def test_a_task_that_gives_bytes_has_none_and_says_what_to_do() -> None:
    assert [task for task in SCHEMAS if not has_signature(task)] == ["text-to-audio"]
    with pytest.raises(SchemaError, match=r"stock spark_udf refuses as a result: score it with a job, udfs\.score"):
        signature_of("text-to-audio")


def test_one_value_has_no_default_and_a_list_that_of_its_model() -> None:
    assert params_of("text-classification")["top_k"] == ("long", None, None)
    assert params_of("text-classification", {"top_k": 2})["top_k"] == ("long", None, None)
    assert params_of("token-classification")["ignore_labels"] == ("string", (-1,), ["O"])
    assert params_of("token-classification", {"ignore_labels": []})["ignore_labels"] == ("string", (-1,), [])
    assert params_of("zero-shot-classification")["candidate_labels"] == ("string", (-1,), [])
    assert params_of("text-generation", {"stop_sequence": "so"})["stop"] == ("string", (-1,), ["so"])
    assert params_of("automatic-speech-recognition", {"temperature": 0.5})["temperatures"] == ("double", (-1,), [0.5])


def test_objects_are_text() -> None:
    assert in_json("llm/v1/chat") == {"template_args", "tools", "logit_bias", "response_format"}
    assert params_of("llm/v1/chat")["response_format"] == ("string", None, None)
    assert params_of("llm/v1/chat")["tools"] == ("string", None, None)
    assert in_json("text-classification") == frozenset()


def test_what_a_model_may_read_is_not_a_callers_to_say() -> None:
    assert not {"roots", "max_bytes", "max_duration_s"} & params_of("automatic-speech-recognition").keys()
    assert not {"chat_template", "control_tokens", "strings"} & params_of("llm/v1/chat").keys()
