"""LoRA merged as PEFT applies it: compared with PEFT's own model, whose adapter is not merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from engine.errors import ModelError, UnsafeModelError
from engine.models import adapter, cache
from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.manifest import BASE, WEIGHTS
from engine.models.registry import resolve
from engine.models.tensors import map_tensors
from tests import scoring, tiny

pytestmark = [  # of PEFT's own doing
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.filterwarnings("ignore:Adapter 'default'. .* LoRA tensor.* have invalid shape"),
]

TEXTS = ["the water was hot", "how many people said that when they had no time", "oil"]


def adapted(base: Any, folder: Path, *, seed: int = 0, **config: Any) -> Any:
    """A PEFT model over ``base`` with weights that matter, saved to ``folder``."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    arguments: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": ["query", "value"], **config}
    model = get_peft_model(base, LoraConfig(**arguments)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.normal_(1.0 if "magnitude" in name else 0.0, 0.3)
    model.save_pretrained(folder)
    return model


def logged(folder: Path, base: Path) -> Path:
    """What MLflow writes for ``base_model_path``, beside the adapter in ``peft``: tokenizer and the base's place."""
    AutoTokenizer.from_pretrained(base).save_pretrained(folder / "components" / "tokenizer")
    flavor = {"task": "text-classification", "peft_adaptor": "peft", "local_base_model_path": str(base)}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"transformers": flavor}}))
    return folder


def logits(model: Any, folder: Path) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits.flatten(end_dim=-2) for text in TEXTS])


CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank-stabilized": {"use_rslora": True},
    "patterns": {"rank_pattern": {"query": 2}, "alpha_pattern": {"layer.1.attention.self.query": 11}},
    "a head": {"task_type": "SEQ_CLS"},
    "biases": {"bias": "all"},
    "biases of its own": {"lora_bias": True},
    "dora": {"use_dora": True},
    "embeddings": {"target_modules": ["word_embeddings", "dense"]},
    "gaussian": {"init_lora_weights": "gaussian"},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_merged_weights_answer_as_pefts_model(tmp_path: Path, config: dict[str, Any]) -> None:
    base = tiny.save(tmp_path / "base", num_labels=3)
    model = adapted(AutoModelForSequenceClassification.from_pretrained(base), tmp_path / "logged" / "peft", **config)
    expected = logits(model, base)
    plain = logits(AutoModelForSequenceClassification.from_pretrained(base), base)
    assert (expected - plain).abs().max() > 0.01  # the adapter matters
    ref = resolve(str(logged(tmp_path / "logged", base)))
    assert ref.notes == (f"the base model's weights lie outside of the registry, in {base}",)
    found = logits(load(make_bundle(ref, "float32").path, "cpu").model, base)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    rows = scoring.rows(scoring.scorer(tmp_path / "logged"), text=TEXTS)
    best = expected.softmax(dim=1).max(dim=1)
    assert [row["score"] for row in rows if row] == pytest.approx(best.values.tolist(), abs=1e-5)
    assert [row["label"] for row in rows if row] == [f"LABEL_{i}" for i in best.indices.tolist()]


def test_a_linear_layer_that_lies_transposed(tmp_path: Path) -> None:
    """GPT-2's Conv1D."""
    base = tiny.save(tmp_path / "base", "gpt2", head="CausalLM", bos_token_id=2, eos_token_id=3)
    config = {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True, "use_dora": True}
    expected = logits(adapted(AutoModelForCausalLM.from_pretrained(base), tmp_path / "peft", **config), base)
    merged = AutoModelForCausalLM.from_pretrained(base)
    adapter.merge(merged, tmp_path / "peft")
    torch.testing.assert_close(logits(merged, base), expected, atol=1e-4, rtol=1e-5)


def test_weights_are_those_that_peft_merges(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", num_labels=3)
    model = adapted(AutoModelForSequenceClassification.from_pretrained(base), tmp_path / "peft", task_type="SEQ_CLS")
    expected = model.merge_and_unload().state_dict()
    found = AutoModelForSequenceClassification.from_pretrained(base)
    adapter.merge(found, tmp_path / "peft")
    assert found.state_dict().keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found.state_dict()[name], tensor, atol=1e-6, rtol=1e-6)


def test_half_precision_is_rounded_once_after_the_sum(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", num_labels=3)
    adapted(AutoModelForSequenceClassification.from_pretrained(base), tmp_path / "peft")
    half = AutoModelForSequenceClassification.from_pretrained(base, dtype=torch.bfloat16)
    wide = AutoModelForSequenceClassification.from_pretrained(base, dtype=torch.bfloat16).float()
    adapter.merge(half, tmp_path / "peft")
    adapter.merge(wide, tmp_path / "peft")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert half.get_parameter(name).dtype == torch.bfloat16
    assert torch.equal(half.get_parameter(name), wide.get_parameter(name).bfloat16())


def test_a_base_saved_with_the_adapter_in_it_is_read_as_the_base(tmp_path: Path) -> None:
    """MLflow saves a base without a name on the hub that way: its layers are called base_layer there."""
    base = tiny.save(tmp_path / "base", num_labels=3)
    model = adapted(
        AutoModelForSequenceClassification.from_pretrained(base), tmp_path / "logged" / "peft", task_type="SEQ_CLS"
    )
    expected = logits(model, base)
    model.base_model.model.save_pretrained(tmp_path / "logged" / "model")
    names = load_file(tmp_path / "logged" / "model" / "model.safetensors")
    assert "bert.encoder.layer.0.attention.self.query.base_layer.weight" in names
    folder = logged(tmp_path / "logged", base)
    flavor = {"task": "text-classification", "peft_adaptor": "peft", "model_binary": "model"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"transformers": flavor}}))
    ref = resolve(str(folder))
    assert ref.notes == ()
    found = logits(load(make_bundle(ref, "float32").path, "cpu").model, base)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_head_of_the_adapter_is_enough(tmp_path: Path) -> None:
    """The base is a bare encoder: the head was trained with the adapter."""
    encoder = tiny.save(tmp_path / "base", head="")
    base = AutoModelForSequenceClassification.from_pretrained(encoder)
    model = adapted(base, tmp_path / "logged" / "peft", task_type="SEQ_CLS")
    ref = resolve(str(logged(tmp_path / "logged", encoder)))
    found = logits(load(make_bundle(ref, "float32").path, "cpu").model, encoder)
    torch.testing.assert_close(found, logits(model, encoder), atol=1e-5, rtol=1e-5)


def test_an_adapter_embeds_without_its_head(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", num_labels=3)
    model = adapted(
        AutoModelForSequenceClassification.from_pretrained(base), tmp_path / "logged" / "peft", task_type="SEQ_CLS"
    )
    logged(tmp_path / "logged", base)
    [row] = scoring.rows(scoring.scorer(tmp_path / "logged", task="embeddings"), text=TEXTS[:1])
    inputs = AutoTokenizer.from_pretrained(base)(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        hidden = model.base_model.model.bert(**inputs).last_hidden_state[0].mean(dim=0)
    assert row is not None
    assert row["embedding"] == pytest.approx(hidden.tolist(), abs=1e-5)


def test_adapters_over_one_base_share_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no adapter changed is one file on the disk, whose pages all their workers map."""
    monkeypatch.setattr(cache, "SHARED_BYTES", 1000)
    base = tiny.save(tmp_path / "base", num_labels=3)
    made = []
    for seed in (0, 1):
        folder = tmp_path / f"logged{seed}"
        adapted(AutoModelForSequenceClassification.from_pretrained(base), folder / "peft", seed=seed)
        made.append(make_bundle(resolve(str(logged(folder, base))), "float32", root=tmp_path).path)
    assert len({(path / BASE).stat().st_ino for path in made}) == 1
    assert len({(path / WEIGHTS).stat().st_ino for path in made}) == 2
    queries = [load(path, "cpu").model.bert.encoder.layer[0].attention.self.query.weight for path in made]
    assert not torch.equal(*queries)
    assert "bert.embeddings.word_embeddings.weight" in map_tensors(made[0] / BASE)
    assert {name.split(".")[-2] for name in map_tensors(made[0] / WEIGHTS)} == {"query", "value"}


def test_another_adapter_gives_another_bundle(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "base", num_labels=3)
    digests = set()
    for seed in (0, 1):
        folder = tmp_path / f"logged{seed}"
        adapted(AutoModelForSequenceClassification.from_pretrained(base), folder / "peft", seed=seed)
        digests.add(make_bundle(resolve(str(logged(folder, base))), "float32").digest)
    digests.add(make_bundle(resolve(str(base)), "float32").digest)
    assert len(digests) == 3


def plain_adapter(folder: Path, **config: Any) -> Path:
    """A LoRA adapter for one module of a tiny BERT, written by hand."""
    folder.mkdir(parents=True)
    module = "base_model.model.bert.encoder.layer.0.attention.self.query"
    save_file(
        {f"{module}.lora_A.weight": torch.ones(4, 32), f"{module}.lora_B.weight": torch.ones(32, 4)},
        folder / adapter.WEIGHTS,
    )
    own = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "init_lora_weights": True, "target_modules": ["query"]}
    (folder / "adapter_config.json").write_text(json.dumps({**own, **config}))
    return folder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights pissa_niter_4"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"something_of_the_future": {"x": 1}}, "something_of_the_future"),
    ],
)
def test_what_is_more_than_lora_is_refused(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    folder = plain_adapter(tmp_path / "logged" / "peft", **config)
    base = tiny.save(tmp_path / "base", num_labels=3)
    with pytest.raises(ModelError, match=rf"got one with {words}: merge it with peft \(model.merge_and_unload\(\)\)"):
        resolve(str(logged(folder.parent, base)))


def test_a_pickled_or_missing_adapter_is_refused(tmp_path: Path) -> None:
    folder = plain_adapter(tmp_path / "peft")
    adapter.check(folder)
    (folder / adapter.WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(UnsafeModelError, match=r"found only adapter_model\.bin, which is unpickled to be read"):
        adapter.check(folder)
    (folder / "adapter_model.bin").unlink()
    with pytest.raises(ModelError, match="found none: log the adapter again"):
        adapter.check(folder)


def test_a_base_that_is_not_the_adapters_is_refused(tmp_path: Path) -> None:
    folder = plain_adapter(tmp_path / "peft")
    wide = tiny.save(tmp_path / "wide", num_labels=3, hidden_size=64)
    other = tiny.save(tmp_path / "other", "distilbert", dim=32, hidden_dim=64)
    with pytest.raises(ModelError, match=r"of shape \(64, 64\) as the base has it, the adapter has \(32, 32\)"):
        adapter.merge(AutoModelForSequenceClassification.from_pretrained(wide), folder)
    with pytest.raises(
        ModelError, match=r"expected bert\.encoder\.layer\.0\.attention\.self\.query, which the adapter"
    ):
        adapter.merge(AutoModelForSequenceClassification.from_pretrained(other), folder)


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = plain_adapter(tmp_path / "peft")
    tensors = load_file(folder / adapter.WEIGHTS)
    save_file({**tensors, "base_model.model.classifier.weight": torch.ones(5, 32)}, folder / adapter.WEIGHTS)
    model = AutoModelForSequenceClassification.from_pretrained(tiny.save(tmp_path / "base", num_labels=3))
    with pytest.raises(
        ModelError, match=r"classifier\.weight of shape \(3, 32\) as the base has it, the adapter has \(5"
    ):
        adapter.merge(model, folder)


def test_a_base_that_lies_nowhere_is_refused(tmp_path: Path) -> None:
    plain_adapter(tmp_path / "logged" / "peft")
    base = tiny.save(tmp_path / "base", num_labels=3)
    folder = logged(tmp_path / "logged", base)
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"this driver has no such folder: mount it there, or log the merged model"):
        resolve(str(folder))
