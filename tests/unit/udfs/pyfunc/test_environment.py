"""MLflow's environment variables stand below what an artifact says itself."""

from __future__ import annotations

import logging

import pytest

from engine.errors import ParameterError
from udfs.pyfunc.environment import DEVICE, device_of


@pytest.mark.parametrize(
    ("value", "device"),
    [
        ("-1", "cpu"),
        ("0", "cuda:0"),
        ("2", "cuda:2"),
        ("cpu", "cpu"),
        ("cuda:1", "cuda:1"),
        ("", "auto"),
        (" ", "auto"),
    ],
)
def test_the_variable_names_the_device_of_a_model_that_names_none(
    value: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEVICE, value)
    assert device_of("auto") == device
    assert device_of("cuda:3") == "cuda:3"


def test_a_value_that_names_no_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICE, "tpu")
    with pytest.raises(ParameterError, match=r"-1 \(the CPU\), the number of a GPU, cpu or cuda:N; got 'tpu'"):
        device_of("auto")
    assert device_of("cpu") == "cpu"


def test_a_device_map_is_said_to_be_left_aside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "embercast"):
        assert device_of("auto") == "auto"
        assert caplog.messages == []
        monkeypatch.setenv("MLFLOW_HUGGINGFACE_USE_DEVICE_MAP", "true")
        assert device_of("auto") == "auto"
    assert "a model lies on one device here" in caplog.messages[0]
