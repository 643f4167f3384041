"""What is asked to be logged, in the engine's words."""

from __future__ import annotations

import logging

import mlflow
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

from engine.errors import ParameterError, SchemaError
from udfs.pyfunc import asked
from udfs.pyfunc.signature import signature_of


def test_parameters_have_the_tasks_names() -> None:
    assert asked.params_of("ner", {"aggregation_strategy": "simple"}) == {"aggregation": "simple"}
    assert asked.params_of("llm/v1/chat", {"max_new_tokens": 8, "do_sample": False}) == {
        "max_tokens": 8,
        "temperature": 0,
    }
    assert asked.params_of("llm/v1/completions", {"max_tokens": 8, "stop": "now"}) == {
        "max_new_tokens": 8,
        "stop": ["now"],
    }
    assert asked.params_of("translation_en_to_de", {"max_length": 9}) == {
        "source_language": "en",
        "target_language": "de",
        "max_new_tokens": 8,
    }
    heard = {"chunk_length_s": 30, "return_timestamps": "word", "generate_kwargs": {"language": "en"}}
    assert asked.params_of("automatic-speech-recognition", heard) == {
        "language": "en",
        "timestamps": "words",
        "long_form": "fast",
        "window_s": 30,
        "stride_s": 5,
    }


def test_what_the_task_does_not_take_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="embercast"):
        found = asked.params_of("text-classification", {"truncation": True, "top_k": 2, "batch_size": 8, "device": 0})
    assert found == {"top_k": 2}
    assert [record.message for record in caplog.records] == [
        "parameters that text-classification does not take are not logged: truncation"
    ]


def test_values_are_looked_at_when_they_are_logged() -> None:
    with pytest.raises(ParameterError, match="expected top_k to be int or null, got 'many'"):
        asked.params_of("text-classification", {"top_k": "many"})
    with pytest.raises(ParameterError, match=r"expected prompt_template to hold \{prompt\} once"):
        asked.params_of("summarization", {}, "sum up")
    with pytest.raises(ParameterError, match="text-classification has no parameter 'prompt_template'"):
        asked.params_of("text-classification", {}, "say {prompt}")


def test_a_signature_of_a_pipeline_gives_its_parameters(caplog: pytest.LogCaptureFixture) -> None:
    """As MLflow's tutorials infer one: an unnamed text, whatever the pipeline returned, and parameters."""
    given = mlflow.models.infer_signature("a", "b", {"max_new_tokens": 8, "num_return_sequences": 2, "padding": True})
    with caplog.at_level(logging.WARNING, logger="embercast"):
        found = asked.signature("text-generation", {"temperature": 0.5}, given)
    own = signature_of("text-generation", {"temperature": 0.5})
    assert found is not None
    assert (found.inputs, found.outputs) == (own.inputs, own.outputs)
    defaults = {one.name: one.default for one in found.params.params}
    assert (defaults["max_new_tokens"], defaults["num_return_sequences"]) == (8, 2)
    assert "n" not in defaults  # num_return_sequences is its name in a pipeline
    assert defaults.keys() == {one.name for one in own.params.params} - {"n"} | {"num_return_sequences"}
    assert "parameters of the signature that text-generation does not take are left out: padding" in caplog.messages


def test_columns_of_the_task_are_taken_as_they_are_named() -> None:
    columns = Schema([ColSpec("string", "text"), ColSpec("long", "top_k", required=False)])
    found = asked.signature(
        "text-classification", {}, ModelSignature(inputs=columns, outputs=Schema([ColSpec("string")]))
    )
    assert found is not None
    assert found.inputs == columns
    assert found.outputs == signature_of("text-classification").outputs
    for other in (Schema([ColSpec("string", "body")]), Schema([ColSpec("string", "text_pair")])):
        with pytest.raises(SchemaError, match=r"expected columns of .*text, .* in the signature's inputs, got "):
            asked.signature("text-classification", {}, ModelSignature(inputs=other))


def test_parameters_alone_extend_a_signature() -> None:
    found = asked.signature(
        "text-classification", {}, ModelSignature(params=ParamSchema([ParamSpec("top_k", "long", 2)]))
    )
    own = signature_of("text-classification")
    assert found is not None
    assert found.inputs == own.inputs
    assert [one.name for one in found.params.params].count("top_k") == 1
    assert {one.name: one.default for one in found.params.params}["top_k"] == 2
