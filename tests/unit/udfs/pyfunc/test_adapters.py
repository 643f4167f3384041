"""PEFT adapters with their base: in memory and as folders, the weights inside the artifact or where they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import transformers
from safetensors.torch import load_file

import udfs.pyfunc
from engine.errors import ModelError
from engine.models.bundle import make_bundle
from engine.models.registry import resolve
from tests import scoring, tiny

pytestmark = [  # of PEFT's own doing
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.filterwarnings("ignore:Adapter 'default'. .* LoRA tensor.* have invalid shape"),
]

TEXTS = ["the water was hot", "how many people said that when they had no time"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "base", num_labels=3)


def adapted(base: Path, name: str = "default") -> Any:
    """A PEFT model with weights that matter."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["query", "value"], task_type="SEQ_CLS")
    model = get_peft_model(
        transformers.AutoModelForSequenceClassification.from_pretrained(base), config, adapter_name=name
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.3)
    return model


def parts(base: Path, model: Any) -> dict[str, Any]:
    return {"model": model, "tokenizer": transformers.AutoTokenizer.from_pretrained(base)}


def scores(model: Any, base: Path) -> list[list[float]]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        return [model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(0).tolist() for text in TEXTS]


def answers(artifact: Path) -> list[list[float]]:
    """The engine's scores, in the order of the labels."""
    found = scoring.rows(scoring.scorer(artifact), text=TEXTS)
    return [[one["score"] for one in sorted(row["scores"], key=lambda one: str(one["label"]))] for row in found if row]


@pytest.mark.parametrize("name", ["default", "mine"])
def test_the_base_is_kept_as_it_is_without_the_adapter(base: Path, tmp_path: Path, name: str) -> None:
    model, artifact = adapted(base, name), tmp_path / "artifact"
    expected = scores(model, base)
    udfs.pyfunc.save_model(parts(base, model), artifact, task="text-classification")
    kept, own = (load_file(folder / "model.safetensors") for folder in (artifact / "model", base))
    assert kept.keys() == own.keys()
    assert all(torch.equal(kept[key], own[key]) for key in own)
    for row, then in zip(answers(artifact), expected, strict=True):
        assert row == pytest.approx(then, abs=1e-5)
    stock = mlflow.transformers.load_model(str(artifact))  # whose base MLflow itself would have drawn at random
    for row, then in zip(scores(stock.model.eval(), base), expected, strict=True):
        assert row == pytest.approx(then, abs=1e-6)
    assert scores(model, base) == expected  # logging changed nothing


@pytest.mark.parametrize("shape", ["memory", "folder"])
def test_the_base_stays_where_it_is(base: Path, tmp_path: Path, shape: str) -> None:
    model, artifact = adapted(base), tmp_path / "artifact"
    expected = scores(model, base)
    given: Any = parts(base, model)
    if shape == "folder":
        given = str(tmp_path / "adapter")
        model.save_pretrained(given)
    udfs.pyfunc.save_model(given, artifact, task="text-classification", base_model_path=base)
    assert not (artifact / "model").exists()
    assert resolve(str(artifact)).notes == (f"the base model's weights lie outside of the registry, in {base}",)
    for row, then in zip(answers(artifact), expected, strict=True):
        assert row == pytest.approx(then, abs=1e-5)


def test_the_folder_of_an_adapter_brings_its_base(base: Path, tmp_path: Path) -> None:
    adapted(base).save_pretrained(tmp_path / "adapter")
    udfs.pyfunc.save_model(str(tmp_path / "adapter"), tmp_path / "artifact")
    ref = resolve(str(tmp_path / "artifact"))
    assert (ref.task, ref.model_dir) == ("text-classification", tmp_path / "artifact" / "model")
    udfs.pyfunc.save_model(parts(base, adapted(base)), tmp_path / "memory")
    one, two = (make_bundle(resolve(str(tmp_path / name)), "float32").manifest for name in ("artifact", "memory"))
    assert one.files["model.safetensors"] == two.files["model.safetensors"]
    assert one.files["base.safetensors"] == two.files["base.safetensors"]


def test_a_merged_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    model = adapted(base)
    model.merge_adapter()
    with pytest.raises(ModelError, match="expected an adapter beside its base, it is merged"):
        udfs.pyfunc.save_model(parts(base, model), tmp_path / "artifact")
