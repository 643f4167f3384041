"""A bundle on disk → a model on a device, kept per process. Runs in the worker."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.models import vocoder
from engine.models.auto import auto_class
from engine.models.manifest import BASE, FILE, WEIGHTS, Manifest
from engine.models.spread import Spread, dispatch
from engine.models.tensors import map_tensors


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be called: on ``device``, gradients off.

    One that vLLM writes with stays mapped from its file, and only its configuration is asked for: vLLM has the weights
    on the device itself.

    Args:
        model: of transformers.
        tokenizer: of transformers; None for a task that needs none.
        manifest: what its bundle says.
        device: cpu or cuda:N, where inputs go.
        features: transformers' feature extractor, of a model of audio.
        vocoder: that makes waveforms of the model's spectrograms, where it lies beside it.
        path: the bundle's folder.
        backend: what writes its texts: transformers or vllm.
        devices: of one that is spread, over several or over one and the host's memory; empty of one that lies on one.
    """

    model: Any
    tokenizer: Any
    manifest: Manifest
    device: str
    features: Any = None
    vocoder: Any = None
    path: Path | None = None
    backend: str = "transformers"
    devices: tuple[str, ...] = ()

    def __call__(self, **inputs: Any) -> Any:
        """The model's output for tensors on ``device``, in inference mode."""
        import torch

        with torch.inference_mode():
            return self.model(**inputs)


def load(path: Path, device: str, backend: str = "transformers", spread: Spread | None = None) -> LoadedModel:
    """Loads a bundle, once per process, device and backend; the two last used are kept. One made again is new.

    ``spread`` says over which devices its layers go; ``device`` is the first of them.

    On a CPU every parameter stays in the file's mapping, so that all workers of a host share one copy. Nothing is
    asked of a hub. Raises ModelError where the installed transformers has another layout than the driver's, DeviceError
    where a model that is spread finds no room.
    """
    return _load(path, device, backend, spread, tuple(_identity(path / name) for name in (FILE, WEIGHTS)))


def forget() -> None:
    """Lets go of every model that is kept, and gives the memory of a GPU back."""
    import torch

    _load.cache_clear()
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _identity(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=2)
def _load(
    path: Path, device: str, backend: str, spread: Spread | None, written: tuple[tuple[int, int, int], ...]
) -> LoadedModel:
    manifest = Manifest.read(path)
    model = _skeleton(path, manifest)
    files = [name for name in (BASE, WEIGHTS) if name in manifest.files]
    _assign(model, manifest, {key: one for name in files for key, one in map_tensors(path / name).items()})
    tokenizer = load_tokenizer(path / "tokenizer") if (path / "tokenizer").exists() else None
    features = load_features(path / "features") if (path / "features").exists() else None
    if tokenizer is not None and features is None:  # the padding token of a tokenizer of speech is its blank
        _pad_token(model, tokenizer)
    beside = vocoder.load(path / vocoder.FOLDER, device)
    model = _placed(model.eval().requires_grad_(False), device, backend, spread, path)
    devices = () if spread is None else spread.devices
    return LoadedModel(model, tokenizer, manifest, device, features, beside, path, backend, devices)


def _placed(model: Any, device: str, backend: str, spread: Spread | None, path: Path) -> Any:
    if backend == "vllm":  # it reads the weights itself
        return model
    return model.to(device) if spread is None else dispatch(model, spread, str(path))


def load_tokenizer(folder: Path) -> Any:
    """A tokenizer from its files, no hub asked. Raises what transformers raises where it can't read them."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load_features(folder: Path) -> Any:
    """A feature extractor from its files, no hub asked. Raises what transformers raises where it can't read them."""
    from transformers import AutoFeatureExtractor

    return AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _skeleton(path: Path, manifest: Manifest) -> Any:
    """The model without its weights: memory is reserved and never touched, so it costs none."""
    import torch
    import transformers
    from transformers.initialization import no_init_weights

    config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    auto = auto_class(manifest.task, path)
    with no_init_weights():
        model = auto.from_config(config, dtype=getattr(torch, manifest.dtype), trust_remote_code=False)
    if (path / "generation_config.json").exists():
        model.generation_config = transformers.GenerationConfig.from_pretrained(path, local_files_only=True)
    return model


def _assign(model: Any, manifest: Manifest, tensors: dict[str, Any]) -> None:
    import torch

    everything = {**tensors, **{name: tensors[source] for name, source in manifest.tied.items()}}
    names = {
        name
        for name, _ in [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    }
    if names != everything.keys():
        made, here = manifest.made_with["transformers"], __import__("transformers").__version__
        raise ModelError(
            f"the bundle was made with transformers {made} and this worker has {here}, which lays the model out "
            f"differently ({len(names ^ everything.keys())} names differ): install the driver's release there"
        )
    parameters = {
        name: torch.nn.Parameter(t, requires_grad=False) for name, t in tensors.items() if t.is_floating_point()
    }
    for name, tensor in everything.items():
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner)
        if attribute in module._parameters:
            module._parameters[attribute] = parameters[manifest.tied.get(name, name)]
        else:
            module._buffers[attribute] = tensor


def _pad_token(model: Any, tokenizer: Any) -> None:
    """Gives model and tokenizer one padding token: the model looks for it to number positions and find the last token.

    Padding is masked, so any token will do that ends no text: bos before eos where neither names one.
    """
    pad = getattr(model.config, "pad_token_id", None)
    if pad is None or not 0 <= pad < len(tokenizer):
        own = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
        pad = model.config.pad_token_id = next((token for token in own if token is not None), 0)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
