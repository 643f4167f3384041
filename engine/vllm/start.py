"""vLLM's engine for a loaded model, kept per process. Runs in the worker.

It runs in the worker's own process: a worker that dies or is killed leaves no process behind that holds the GPU. One
is kept at a time, since each takes the GPU's memory for itself; so a GPU belongs to one task at a time, as Spark's
``spark.task.resource.gpu.amount`` of 1 gives it out.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any, Final

from engine.errors import DeviceError
from engine.generation.backend import Backend
from engine.models.load import LoadedModel
from engine.vllm.backend import VllmBackend
from engine.vllm.folder import checkpoint

#: Part of the GPU's memory for weights, activations, keys and values: vLLM plans the last from what the others leave.
_MEMORY: Final = 0.9
_engines: dict[tuple[Path, tuple[str, ...]], Any] = {}


def make(loaded: LoadedModel) -> Backend:
    """The backend of a model that was loaded for vLLM (``engine.models.load.load(…, backend="vllm")``).

    Raises DeviceError where vLLM is not installed, or does not start: it does not know the model, or has no room.
    """
    folder = checkpoint(loaded.model, loaded.manifest)
    key = (folder, loaded.devices or (loaded.device,))
    if key not in _engines:
        stop()
        _engines[key] = _start(folder, loaded)
    return VllmBackend(_engines[key])


def stop() -> None:
    """Gives back the memory that the last model's engine holds, whoever still has a hand on it."""
    while _engines:
        _engines.popitem()[1].llm_engine.engine_core.shutdown()
    gc.collect()


def _start(folder: Path, loaded: LoadedModel) -> Any:
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # read when vLLM is first asked for an engine
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # it tells its makers of each start otherwise
    try:
        import vllm
    except ImportError as error:
        raise DeviceError(
            f"expected vLLM on this worker, it can't be imported ({error}): install embercast[vllm] there, or write "
            "compute.backend: transformers"
        ) from error
    try:
        return vllm.LLM(**arguments(folder, loaded))
    except Exception as error:
        raise DeviceError(
            f"expected vLLM {vllm.__version__} to load {loaded.manifest.task}'s model on {loaded.device}, it raised "
            f"{type(error).__name__}: {error}. compute.backend: transformers writes without it"
        ) from error


def arguments(folder: Path, loaded: LoadedModel) -> dict[str, Any]:
    """What ``vllm.LLM`` is started with."""
    assert loaded.path is not None, "a model that is loaded from a bundle has its folder"
    indices = [int(device.partition(":")[2] or 0) for device in loaded.devices or (loaded.device,)]
    return {
        "model": str(folder),
        "tokenizer": str(loaded.path / "tokenizer"),
        "dtype": loaded.manifest.dtype,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "generation_config": "vllm",  # nothing is left to the model's own
        "max_model_len": -1,  # the model's positions, or as many as the keys and values of one text fit
        "gpu_memory_utilization": _MEMORY,
        "enable_prefix_caching": True,
        "max_logprobs": -1,
        "logprobs_mode": "raw_logprobs",
        "structured_outputs_config": {"backend": "guidance"},  # llguidance, which the engine's own grammars are of
        "seed": 0,
        **({"device_ids": indices} if indices != [0] else {}),  # vLLM takes the first visible one by itself
        **({"tensor_parallel_size": len(indices)} if len(indices) > 1 else {}),
    }
