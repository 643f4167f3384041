"""A vocoder beside a model travels in its bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import SpeechT5HifiGan

from engine.errors import ModelError
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from tests import speech


def test_it_is_found_beside_the_model_and_carried_with_it(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model")
    bundle = make_bundle(resolve(str(folder)), "float32")
    assert {"vocoder/config.json", "vocoder/model.safetensors"} <= bundle.manifest.files.keys()
    assert not (bundle.path / "tokenizer" / "vocoder").exists()
    carried = load(bundle.path, "cpu").vocoder
    spectrogram = torch.randn(1, 30, 8)
    with torch.inference_mode():
        expected = SpeechT5HifiGan.from_pretrained(folder / "vocoder").eval()(spectrogram)
        assert torch.equal(carried(spectrogram), expected)
    assert not any(parameter.requires_grad for parameter in carried.parameters())


def test_a_folder_that_gets_one_is_another_bundle(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model")
    shutil.move(folder / "vocoder", tmp_path / "aside")
    without = make_bundle(resolve(str(folder)), "float32")
    assert load(without.path, "cpu").vocoder is None
    shutil.move(tmp_path / "aside", folder / "vocoder")
    assert make_bundle(resolve(str(folder)), "float32").digest != without.digest


def test_it_has_the_dtype_of_the_model(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model")
    loaded = load(make_bundle(resolve(str(folder)), "bfloat16").path, "cpu")
    assert {parameter.dtype for parameter in loaded.vocoder.parameters()} == {torch.bfloat16}


def test_one_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = speech.save_speecht5(tmp_path / "model")
    (folder / "vocoder" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="expected a SpeechT5HifiGan that transformers loads at "):
        make_bundle(resolve(str(folder)), "float32")
