"""A CTC model that brings a language model says that it is scored without it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from engine.models import language_model
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import ctc_models


def with_language_model(folder: Path) -> Path:
    """A model as ``Wav2Vec2ProcessorWithLM.save_pretrained`` leaves it."""
    ctc_models.save(folder)
    (folder / "language_model").mkdir()
    (folder / "language_model" / "unigrams.txt").write_text("one\ntwo\n")
    (folder / "alphabet.json").write_text("{}")
    return folder


def test_it_is_a_note_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ref = resolve(str(with_language_model(tmp_path)))
    assert len(ref.notes) == 1
    assert "language model for beam search (pyctcdecode), which is not used" in ref.notes[0]
    assert [record.message for record in caplog.records] == [f"the model: {ref.notes[0]}"]


def test_a_processor_may_name_it(tmp_path: Path) -> None:
    named = {"processor_class": "Wav2Vec2ProcessorWithLM"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(named))
    assert len(language_model.check(None, tmp_path)) == 1


def test_a_model_without_one_has_no_note(tmp_path: Path) -> None:
    assert resolve(str(ctc_models.save(tmp_path))).notes == ()


def test_it_is_no_part_of_the_bundle(tmp_path: Path) -> None:
    bundle = make_bundle(resolve(str(with_language_model(tmp_path))), "float32")
    assert not any("language_model" in name for name in bundle.manifest.files)
