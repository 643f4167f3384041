"""What a cross-encoder's folder names, from files written out here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.models.activation import read

IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"config.json": {"model_type": "bert"}}, None),
        ({"config.json": {"sentence_transformers": None, "sbert_ce_default_activation_function": None}}, None),
        ({"config.json": {"sentence_transformers": {"version": "4.0.1"}}}, None),
        ({"config.json": {"sbert_ce_default_activation_function": IDENTITY}}, IDENTITY),
        ({"config.json": {"sentence_transformers": {"activation_fn": IDENTITY}}}, IDENTITY),
        ({"config_sentence_transformers.json": {"activation_fn": IDENTITY}}, IDENTITY),
        ({"config_sentence_transformers.json": {"prompts": {}}}, None),  # an encoder of one text
        (
            {
                "config.json": {"sbert_ce_default_activation_function": SIGMOID},
                "config_sentence_transformers.json": {"activation_fn": IDENTITY},
            },
            IDENTITY,
        ),
    ],
)
def test_the_newest_file_that_names_one_is_read(tmp_path: Path, files: dict[str, Any], expected: str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert read(tmp_path) == expected
