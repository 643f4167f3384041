"""Weights in 4 and 8 bits are plain again in the bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from engine.errors import ModelError
from engine.models import quantized
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from tests import tiny

LAYER = "bert.encoder.layer.0.attention.self.query.weight"


def configured(folder: Path, quantization: dict[str, Any] | None) -> Path:
    """A tiny model whose configuration says how it is quantized."""
    tiny.save(folder, num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}))
    return folder


@pytest.mark.parametrize(("bits", "error"), [(4, 0.15), (8, 0.01)])
def test_bitsandbytes_weights_are_dequantized(tmp_path: Path, bits: int, error: float) -> None:
    from transformers import BitsAndBytesConfig

    plain = tiny.save(tmp_path / "plain", num_labels=3, hidden_size=64, intermediate_size=128)
    asked = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    small = AutoModelForSequenceClassification.from_pretrained(plain, quantization_config=asked, device_map="cpu")
    small.save_pretrained(tmp_path / "small")
    tiny.tokenizer().save_pretrained(tmp_path / "small")
    ref = resolve(str(tmp_path / "small"))
    assert ref.notes == (
        f"the weights were quantized to {bits} bits; they are dequantized, and take the memory of their new dtype",
    )
    made = make_bundle(ref, "float32")
    assert "quantization_config" not in json.loads((made.path / "config.json").read_text())
    found = load(made.path, "cpu").model.get_parameter(LAYER)
    before = AutoModelForSequenceClassification.from_pretrained(plain).get_parameter(LAYER)
    assert found.dtype == torch.float32
    assert 0 < (found - before).abs().max() < error


def test_without_bitsandbytes_they_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda _: None)
    folder = configured(tmp_path / "model", {"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelError, match=r"it is not installed: pip install 'embercast\[quantized\]', or log model"):
        resolve(str(folder))


def test_other_ways_to_quantize_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="they are quantized by gptq: log the model it was made from"):
        resolve(str(configured(tmp_path / "model", {"quant_method": "gptq", "bits": 4})))


def test_plain_weights_have_nothing_to_say(tmp_path: Path) -> None:
    assert resolve(str(configured(tmp_path / "model", None))).notes == ()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT reads it
def test_an_adapter_over_a_quantized_base_is_merged_into_plain_weights(tmp_path: Path) -> None:
    """QLoRA, as MLflow saves it: the base in 4 bits, with the adapter's layers in it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, BitsAndBytesConfig

    plain = tiny.save(tmp_path / "plain", num_labels=3, hidden_size=64, intermediate_size=128)
    four = BitsAndBytesConfig(load_in_4bit=True)
    base = AutoModelForSequenceClassification.from_pretrained(plain, quantization_config=four, device_map="cpu")
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["query", "value"])).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.3)
    inputs = AutoTokenizer.from_pretrained(plain)("the water was hot", return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits
    model.base_model.model.save_pretrained(tmp_path / "logged" / "model")
    model.save_pretrained(tmp_path / "logged" / "peft")
    tiny.tokenizer().save_pretrained(tmp_path / "logged" / "components" / "tokenizer")
    flavor = {"task": "text-classification", "peft_adaptor": "peft", "model_binary": "model"}
    (tmp_path / "logged" / "MLmodel").write_text(json.dumps({"flavors": {"transformers": flavor}}))
    ref = resolve(str(tmp_path / "logged"))
    assert "quantized to 4 bits" in ref.notes[0]
    with torch.no_grad():
        found = load(make_bundle(ref, "float32").path, "cpu").model(**inputs).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
