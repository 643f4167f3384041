"""The checkpoint of a bundle: the names of the hub, tensors equal to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from safetensors import safe_open

from engine.models.bundle import make_bundle
from engine.models.load import load
from engine.models.registry import resolve
from engine.vllm.folder import checkpoint
from tests import generation

MIXTRAL = {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2}


def names(folder: Path) -> set[str]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return set(file.keys())


@pytest.mark.parametrize(
    ("architecture", "overrides"),
    [
        ("gpt2", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("qwen2", {}),
        ("gemma2", {"head_dim": 8, "num_key_value_heads": 2}),
        ("mixtral", MIXTRAL),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_is_the_model_that_was_logged(
    tmp_path: Path, architecture: str, overrides: dict[str, object], dtype: str
) -> None:
    logged = generation.save(tmp_path / "logged", architecture, **overrides)
    bundle = make_bundle(resolve(str(logged), task="text-generation"), dtype)
    loaded = load(bundle.path, "cpu", "vllm")
    folder = checkpoint(loaded.model, bundle.manifest)
    assert names(folder) == names(logged)
    expected = transformers.AutoModelForCausalLM.from_pretrained(logged, dtype=getattr(torch, dtype)).state_dict()
    read, info = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert read.dtype == getattr(torch, dtype)
    assert read.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in read.state_dict().items())


def test_it_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = generation.save(tmp_path / "logged", "llama", hidden_size=16)
    bundle = make_bundle(resolve(str(logged), task="text-generation"), "float32")
    model = load(bundle.path, "cpu", "vllm").model
    folder = checkpoint(model, bundle.manifest, root=tmp_path)
    monkeypatch.setattr(type(model), "save_pretrained", None)
    assert checkpoint(model, bundle.manifest, root=tmp_path) == folder
    assert folder.name == bundle.digest
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {bundle.digest, f"{bundle.digest}.lock"}


def test_one_that_was_not_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = generation.save(tmp_path / "logged", "llama", hidden_size=16)
    bundle = make_bundle(resolve(str(logged), task="text-generation"), "float32")
    model = load(bundle.path, "cpu", "vllm").model

    def full(self: object, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(type(model), "save_pretrained", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoint(model, bundle.manifest, root=tmp_path)
    assert names(checkpoint(model, bundle.manifest, root=tmp_path)) == names(logged)
