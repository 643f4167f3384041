"""A LoRA adapter, as PEFT saves it, merged into the weights of its base. Runs on the driver.

W + scale · B A, with scale = alpha / r, or alpha / √r for rank-stabilized LoRA (https://arxiv.org/abs/2106.09685,
https://arxiv.org/abs/2312.03732); with DoRA's magnitudes m · V / ‖V‖ by output row (https://arxiv.org/abs/2402.09353).
The sums are taken in float32. What can't be merged exactly is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError
from engine.models.folder import read_json
from engine.models.safety import pickles

WEIGHTS: Final = "adapter_model.safetensors"
#: How an injected model's own parameters are named in a base that was saved with its adapter in it, as MLflow does.
INJECTED: Final = {r"\.base_layer\.": ".", r"\.original_module\.": "."}

_PREFIX: Final = "base_model.model."
_PART: Final = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?P<bias>\.bias)?(?:\.weight)?"
)
_MERGED: Final = {
    *("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "alpha_pattern", "rank_pattern", "fan_in_fan_out"),
    *("bias", "lora_bias", "init_lora_weights", "modules_to_save"),
}
_OF_TRAINING: Final = {
    *("auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "task_type", "peft_version"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout", "megatron_core"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size", "ensure_weight_tying"),
}
#: Other ways to begin (pissa, olora, corda, loftq) change the base's weights as well.
_PLAIN_STARTS: Final = (True, False, None, "gaussian", "eva", "orthogonal")


def check(folder: Path) -> None:
    """Raises ModelError for an adapter that can't be merged exactly, UnsafeModelError for a pickled one."""
    config = read_json(folder / "adapter_config.json")
    if not (folder / WEIGHTS).exists():
        pickles.refuse(
            folder,
            expected=WEIGHTS,
            advice="Save the adapter again with save_pretrained(…) of a current peft",
        )
        raise ModelError(f"expected a PEFT adapter with {WEIGHTS} in {folder}, found none: log the adapter again")
    other = sorted(name for name, value in config.items() if value and name not in _MERGED | _OF_TRAINING)
    if config.get("peft_type") != "LORA":
        other = [f"peft_type {config.get('peft_type')}"]
    elif config.get("init_lora_weights") not in _PLAIN_STARTS:
        other.append(f"init_lora_weights {config['init_lora_weights']}")
    if other:
        raise ModelError(
            f"expected a LoRA adapter that adds to its base's weights in {folder}, got one with {', '.join(other)}: "
            "merge it with peft (model.merge_and_unload()) and log the merged model"
        )


def given(folder: Path, names: set[str]) -> set[str]:
    """Those of a model's parameters that the adapter brings whole: heads and other modules that were trained."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        keys = [_own(key) for key in file.keys()]  # noqa: SIM118
    return {key for key in keys if not _PART.fullmatch(key)} & names


def merge(model: Any, folder: Path) -> set[str]:
    """Merges the adapter into a loaded model, in the model's dtype, in place. Returns the parameters that it changed.

    Raises ModelError where the adapter was trained on other modules or shapes than the model has.
    """
    from safetensors.torch import load_file

    config = read_json(folder / "adapter_config.json")
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    before = {name: id(model.get_parameter(name)) for name in names}
    modules: dict[str, dict[str, Any]] = {}
    for key, tensor in load_file(folder / WEIGHTS).items():
        found = _PART.fullmatch(_own(key))
        if found is None:
            name = _place(_own(key), names, model.base_model_prefix)
            if name is not None:
                _replace(model, name, tensor)
            elif key.startswith(f"{_PREFIX}{model.base_model_prefix}."):  # others are heads that the task doesn't read
                raise _unknown(model, _own(key), folder)
        else:
            modules.setdefault(found["module"], {})[found["part"] + (found["bias"] or "")] = tensor.float()
    for module, parts in modules.items():
        name = _place(f"{module}.weight", names, model.base_model_prefix)
        if name is None or model.get_parameter(name).dim() != 2:
            raise _unknown(model, module, folder)
        _add(model, name.removesuffix(".weight"), parts, config, module)
    return {name for name in names if id(model.get_parameter(name)) != before[name]}


def _unknown(model: Any, name: str, folder: Path) -> ModelError:
    return ModelError(
        f"expected {name}, which the adapter in {folder} was trained on, as a linear layer or an embedding of the base "
        f"{type(model).__name__}, which has none such: log the merged model (model.merge_and_unload())"
    )


def _mismatch(name: str, base: Any, given: Any) -> ModelError:
    return ModelError(
        f"expected {name} of shape {tuple(base.shape)} as the base has it, the adapter has {tuple(given.shape)}: "
        "log the merged model (model.merge_and_unload()), whose configuration says the sizes and labels"
    )


def _own(key: str) -> str:
    return key.removeprefix(_PREFIX).replace(".base_layer.", ".")


def _place(name: str, names: set[str], prefix: str) -> str | None:
    """The parameter's name in a model with the same encoder and another head, or none."""
    candidates = (name, name.removeprefix(f"{prefix}."), f"{prefix}.{name}")
    return next((one for one in candidates if one in names), None)


def _add(model: Any, module: str, parts: Mapping[str, Any], config: Mapping[str, Any], trained: str) -> None:
    weight = model.get_parameter(f"{module}.weight").data.float()
    embedding = "lora_embedding_A" in parts
    a, b = (parts[f"lora_embedding_{one}" if embedding else f"lora_{one}"] for one in "AB")
    scale = _alpha(trained, config) / (a.shape[0] ** 0.5 if config.get("use_rslora") else a.shape[0])
    turned = embedding or type(model.get_submodule(module)).__name__ == "Conv1D"  # stored as [in, out]
    rows, added = weight.T if turned else weight, scale * (b @ a)
    if rows.shape != added.shape:
        raise _mismatch(f"{module}.weight", rows, added)
    rows = rows + added
    if "lora_magnitude_vector" in parts:
        rows = rows * (parts["lora_magnitude_vector"].reshape(-1) / rows.norm(dim=1))[:, None]
    _replace(model, f"{module}.weight", rows.T.contiguous() if turned else rows)
    if "lora_B.bias" in parts:
        bias = model.get_parameter(f"{module}.bias").data.float()
        _replace(model, f"{module}.bias", bias + scale * parts["lora_B.bias"])


def _alpha(module: str, config: Mapping[str, Any]) -> float:
    patterns: Mapping[str, float] = config.get("alpha_pattern") or {}
    own = (value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", module))
    return float(next(own, config["lora_alpha"]))


def _replace(model: Any, name: str, tensor: Any) -> None:
    """A parameter of its own: one that was tied to another is not any more, as in PEFT."""
    import torch

    owner, _, attribute = name.rpartition(".")
    old = model.get_parameter(name)
    if old.shape != tensor.shape:
        raise _mismatch(name, old, tensor)
    setattr(model.get_submodule(owner), attribute, torch.nn.Parameter(tensor.to(old.dtype), requires_grad=False))
