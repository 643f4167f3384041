"""A tiny model that writes, loaded for vLLM, and the stand-in in vLLM's place."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import transformers

from engine.models.bundle import make_bundle
from engine.models.load import LoadedModel, load
from engine.models.registry import resolve
from tests import generation, vllm_stand_in


@pytest.fixture(scope="package")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = generation.save(tmp_path_factory.mktemp("llama"), "llama", max_position_embeddings=128)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, eos_token="[SEP]")  # as chats have one
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(llama: Path) -> LoadedModel:
    """Of a bundle; vLLM has the GPU, so none is needed to load it."""
    bundle = make_bundle(resolve(str(llama), task="text-generation"), "float32")
    return load(bundle.path, "cuda:0", "vllm")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return vllm_stand_in.install(monkeypatch)
