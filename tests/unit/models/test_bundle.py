"""Bundles: made once, named by their bytes, and bit for bit what transformers loads."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification

from engine.errors import ModelError, UnsupportedTaskError
from engine.models import bundle as bundles
from engine.models.bundle import WEIGHTS, make_bundle
from engine.models.load import load
from engine.models.manifest import Manifest
from engine.models.registry import resolve
from engine.models.tensors import ALIGNMENT, map_tensors
from tests import scoring, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("bundle") / "model", num_labels=3)


def without(folder: Path, *beginnings: str) -> Path:
    """Takes weights with these beginnings out of a saved model."""
    kept = {k: v for k, v in load_file(folder / WEIGHTS).items() if not k.startswith(beginnings)}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def test_a_bundle_is_made_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_bundle(resolve(str(folder)), "float32", root=tmp_path)
    monkeypatch.setattr(bundles, "_write", lambda *_: pytest.fail("the bundle was there"))
    found = make_bundle(resolve(str(folder)), "float32", root=tmp_path)
    assert found == made
    assert made.path == tmp_path / "bundles" / made.digest
    assert [path.name for path in tmp_path.glob(".making-*")] == []


def test_workers_that_come_together_load_the_model_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, wrote = bundles._write, []

    def slow(*arguments: Any) -> Manifest:
        wrote.append(1)
        time.sleep(0.2)
        return writing(*arguments)

    monkeypatch.setattr(bundles, "_write", slow)
    ref, together = resolve(str(folder)), Barrier(4)

    def make(_: int) -> bundles.Bundle:
        together.wait()
        return make_bundle(ref, "float32", root=tmp_path)

    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(make, range(4)))
    assert len(wrote) == 1
    assert found == found[:1] * 4


def test_a_damaged_bundle_is_made_again_with_the_same_digest(folder: Path, tmp_path: Path) -> None:
    made = make_bundle(resolve(str(folder)), "float32", root=tmp_path)
    os.truncate(made.path / WEIGHTS, 1000)
    again = make_bundle(resolve(str(folder)), "float32", root=tmp_path)
    assert again == made
    assert (made.path / WEIGHTS).stat().st_size == made.manifest.files[WEIGHTS][1]


def test_equal_models_have_equal_digests_and_other_dtypes_or_tasks_others(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "under another name"
    shutil.copytree(folder, copy)
    make = [
        make_bundle(resolve(str(source), task=task), dtype, root=tmp_path / root).digest
        for source, task, dtype, root in (
            (folder, None, "float32", "."),
            (copy, None, "float32", "elsewhere"),
            (folder, None, "bfloat16", "."),
            (folder, "embeddings", "float32", "."),
        )
    ]
    assert make[0] == make[1]
    assert len(set(make)) == 3


def test_another_weight_gives_another_digest(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "model")
    weights = load_file(other / WEIGHTS)
    weights["classifier.bias"][0] += 1e-3
    save_file(weights, other / WEIGHTS, metadata={"format": "pt"})
    one, two = (make_bundle(resolve(str(path)), "float32", root=tmp_path) for path in (folder, other))
    assert one.digest != two.digest


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_the_mapped_weights_are_those_transformers_loads(tmp_path: Path, architecture: str, dtype: str) -> None:
    saved = tiny.save(tmp_path / "model", architecture, num_labels=3)
    made = make_bundle(resolve(str(saved)), dtype)
    plain = AutoModelForSequenceClassification.from_pretrained(saved, dtype=getattr(torch, dtype))
    mapped = load(made.path, "cpu").model
    expected = dict([*plain.named_parameters(), *plain.named_buffers()])
    found = dict([*mapped.named_parameters(), *mapped.named_buffers()])
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
        assert found[name].data_ptr() % ALIGNMENT == 0, name


def test_the_manifest_says_what_lies_there(folder: Path, tmp_path: Path) -> None:
    made = make_bundle(resolve(str(folder)), "bfloat16", root=tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    manifest = made.manifest
    assert manifest == Manifest.read(made.path)
    assert (manifest.task, manifest.dtype, manifest.hidden) == ("text-classification", "bfloat16", 32)
    assert manifest.parameters == sum(p.numel() for p in plain.parameters())
    assert manifest.weight_bytes == sum(t.nbytes for t in map_tensors(made.path / WEIGHTS).values())
    assert made.nbytes == sum(p.stat().st_size for p in made.path.rglob("*") if p.is_file()) - len(manifest.to_json())


def test_a_bundle_holds_no_second_copy_of_the_weights(folder: Path, tmp_path: Path) -> None:
    crowded = shutil.copytree(folder, tmp_path / "model")
    for name in ("pytorch_model.bin", "training_args.bin", "tf_model.h5", "README.md", "modeling.py"):
        (crowded / name).write_text("x")
    (crowded / "onnx").mkdir()
    (crowded / "onnx" / "model.onnx").touch()
    made = make_bundle(resolve(str(crowded)), "float32", root=tmp_path)
    assert {name.partition("/")[0] for name in made.manifest.files} == {"config.json", WEIGHTS, "tokenizer"}
    assert {Path(name).suffix for name in made.manifest.files} <= {".json", ".safetensors", ".txt", ".jinja"}


def test_tied_weights_lie_there_once_and_are_tied_again(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    saved = tiny.save(tmp_path / "model", "t5", head="", decoder_start_token_id=0, **sizes)
    made = make_bundle(resolve(str(saved), task="embeddings"), "bfloat16")
    assert made.manifest.tied == {
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    }
    model = load(made.path, "cpu").model
    assert model.encoder.embed_tokens.weight is model.decoder.embed_tokens.weight is model.shared.weight
    plain = AutoModel.from_pretrained(saved, dtype=torch.bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_a_head_without_weights_is_refused(tmp_path: Path) -> None:
    folder = without(tiny.save(tmp_path / "model", num_labels=3), "classifier")
    with pytest.raises(UnsupportedTaskError) as caught:
        make_bundle(resolve(str(folder)), "float32", root=tmp_path)
    assert "has no weights for classifier.bias, classifier.weight, which text-classification needs" in str(caught.value)
    assert "log the fine-tuned model" in str(caught.value)
    assert not (tmp_path / "bundles").exists()
    assert list(tmp_path.glob(".making-*")) == []


def test_an_encoder_without_a_layer_is_refused(tmp_path: Path) -> None:
    folder = without(tiny.save(tmp_path / "model", head=""), "encoder.layer.1.")
    with pytest.raises(UnsupportedTaskError, match=r"has no weights for encoder\.layer\.1\..*, which embeddings needs"):
        make_bundle(resolve(str(folder), task="embeddings"), "float32", root=tmp_path)


@pytest.mark.parametrize("head", ["MaskedLM", "SequenceClassification"])
def test_embeddings_need_no_pooler(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, head: str) -> None:
    """RoBERTa's checkpoints come without one. Drawn at random, it would give every bundle another digest."""
    folder = tiny.save(tmp_path / "model", "roberta", head=head)
    ref = resolve(str(folder), task="embeddings")
    one, two = (make_bundle(ref, "float32", root=root) for root in (tmp_path, tmp_path_factory.mktemp("other")))
    assert one.digest == two.digest
    [row] = scoring.rows(scoring.scorer(folder, task="embeddings"), text=["the cat"])
    assert row is not None
    plain = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    with torch.no_grad():
        hidden = plain(**load(one.path, "cpu").tokenizer("the cat", return_tensors="pt")).last_hidden_state
    assert row["embedding"] == pytest.approx(hidden[0].mean(dim=0).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("config", "words"),
    [({"model_type": "no-such-thing"}, "no-such-thing"), ({"hidden_size": 48}, "mismatch")],
)
def test_what_transformers_does_not_load_is_an_error_of_ours(
    folder: Path, tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / "model")
    own = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**own, **config}))
    with pytest.raises(ModelError, match=f"expected a model that transformers .* loads at .*(?s:.*)({words})"):
        make_bundle(resolve(str(broken)), "float32", root=tmp_path)


def test_a_file_that_is_no_safetensors_is_an_error_of_ours(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "model")
    os.truncate(broken / WEIGHTS, 1000)
    with pytest.raises(ModelError, match=r"expected a model that transformers .* loads"):
        make_bundle(resolve(str(broken)), "float32", root=tmp_path)
