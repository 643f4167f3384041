"""A folder that MLflow wrote: what its MLmodel file says. Read as YAML, so that nothing of the model is run.

Format: https://mlflow.org/docs/latest/ml/model/#storage-format; the flavors are those of mlflow.transformers (2 and 3)
and mlflow.sentence_transformers. Runs on the driver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError, ModelNotFoundError
from engine.models import hub
from engine.models.folder import read_json

FILE: Final = "MLmodel"
#: The flavors that are read here.
READ: Final = frozenset({"transformers", "sentence_transformers"})
#: Components that are read, where they are logged beside the model.
_READ_PARTS: Final = ("tokenizer", "feature_extractor")
#: Where MLflow before 2.4.1 put the weights.
_OLD_LAYOUT: Final = "pipeline"
#: Where MLflow 2.3 and 2.4 put model_config.
_OLD_PARAMS: Final = Path("components", "inference_config.txt")
#: Where ``udfs.pyfunc`` says how a model is scored, in the python_function flavor.
_OURS: Final = "embercast"
_TENSORFLOW: Final = (
    "expected PyTorch weights, {uri} was logged with TensorFlow's or Flax's: load it with transformers 4 "
    "(from_pretrained(…, from_tf=True) or from_flax=True), save it with save_pretrained and log that"
)


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What was logged.

    Args:
        task: as it was logged; None where it was not.
        model_dir, tokenizer_dir, features_dir, adapter_dir: folders on the driver; the last for a PEFT adapter.
        dtype: float32, bfloat16 or float16 where the flavor names one.
        params: inference parameters as they were logged, in MLflow's order of precedence.
        notes: what to know about it, in sentences.
    """

    task: str | None
    model_dir: Path
    tokenizer_dir: Path
    adapter_dir: Path | None = None
    features_dir: Path | None = None
    dtype: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def described(root: Path) -> dict[str, Any]:
    """What the MLmodel in the folder ``root`` says. Raises ModelError where it is no YAML of plain values."""
    import yaml

    try:
        said = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise ModelError(
            f"expected YAML of plain values in {root / FILE}, got: {error}. Log the model again"
        ) from error
    if not isinstance(said, dict) or not isinstance(said.get("flavors") or {}, dict):
        raise ModelError(f"expected flavors in {root / FILE}, it has none: log the model with MLflow")
    return said


def references(root: Path) -> tuple[str, ...]:
    """What the transformers flavor in ``root`` names outside of its folder: hub names and absolute paths."""
    own: Mapping[str, Any] = (described(root).get("flavors") or {}).get("transformers") or {}
    whole = "model_binary" in own or (root / _OLD_LAYOUT).is_dir()
    base = own.get("local_base_model_path")
    found = [] if whole else [Path(base).absolute() if base else own.get("source_model_name")]
    parts = root / "components"
    if not (parts / "processor").is_dir():
        found += [own.get(f"{one}_name") for one in _READ_PARTS if not (parts / one).is_dir()]
    return tuple(dict.fromkeys(str(name) for name in found if name))


def read(uri: str, root: Path) -> Logged:
    """Reads the folder ``root`` of the model ``uri``.

    Raises ModelError where it has no flavor that can be read, other frameworks' weights, or weights that can't be
    reached from here.
    """
    said = described(root)
    flavors: dict[str, Any] = said.get("flavors") or {}
    if "sentence_transformers" in flavors:
        return _sentence_transformer(root, said)
    if "transformers" not in flavors:
        raise ModelError(
            f"expected a model with MLflow's transformers flavor or sentence_transformers, {uri} has "
            f"{', '.join(flavors)}: log it with mlflow.transformers.log_model"
        )
    flavor: dict[str, Any] = flavors["transformers"]
    if flavor.get("framework") in ("tf", "flax"):
        raise ModelError(_TENSORFLOW.format(uri=uri))
    weights, notes = _weights(uri, root, flavor)
    adapter = root / flavor["peft_adaptor"] if flavor.get("peft_adaptor") else None
    return Logged(
        task=_task(flavor, said),
        model_dir=weights,
        tokenizer_dir=_component(root, flavor, weights, "tokenizer"),
        features_dir=_component(root, flavor, weights, "feature_extractor"),
        adapter_dir=adapter,
        dtype=str(flavor["torch_dtype"]).removeprefix("torch.") if flavor.get("torch_dtype") else None,
        params=_params(root, said),
        notes=notes,
    )


def _sentence_transformer(root: Path, described: dict[str, Any]) -> Logged:
    folder = root / described["flavors"].get("python_function", {}).get("data", "model.sentence_transformer")
    task = (described.get("metadata") or {}).get("task") or "embeddings"
    return Logged(task=task, model_dir=folder, tokenizer_dir=folder)


def _task(flavor: Mapping[str, Any], described: Mapping[str, Any]) -> str | None:
    """As ``udfs.pyfunc`` wrote it down; else an ``llm/v1/…`` name before the pipeline that MLflow runs for it."""
    own = (described["flavors"].get("python_function") or {}).get(_OURS)
    if own:
        return str(own["task"])
    named = (flavor.get("inference_task"), (described.get("metadata") or {}).get("task"))
    llm = next((name for name in named if isinstance(name, str) and name.startswith("llm/")), None)
    return llm or flavor.get("task")


def _weights(uri: str, root: Path, flavor: Mapping[str, Any]) -> tuple[Path, tuple[str, ...]]:
    if "model_binary" in flavor:
        return root / flavor["model_binary"], ()
    if (root / _OLD_LAYOUT).is_dir():
        return root / _OLD_LAYOUT, ()
    base = flavor.get("local_base_model_path")
    if base is not None:
        if not Path(base).is_dir():
            raise ModelError(
                f"expected the base model of {uri} in {base}, where it was logged; this driver has no such folder: "
                "mount it there, or log the merged model (merge_and_unload)"
            )
        return Path(base), (f"the base model's weights lie outside of the registry, in {base}",)
    name, revision = flavor.get("source_model_name") or "nothing", flavor.get("source_model_revision")
    try:
        found = hub.find(name, revision)
    except ModelNotFoundError as error:
        raise ModelError(
            f"expected {uri} to hold its weights; it only names {name} (save_pretrained=False). Run "
            "mlflow.transformers.persist_pretrained_model on it first, or bring that commit into the Hugging Face "
            f"cache of this driver (HF_HOME): {error}"
        ) from error
    place = f"in {name}" if Path(name).is_absolute() else f"those of {name} at commit {found.name}"
    return found, (f"the weights lie outside of the registry, {place}",)


def _component(root: Path, flavor: Mapping[str, Any], weights: Path, component: str) -> Path:
    """The folder of a tokenizer or feature extractor: its own, that of the processor which holds it, or the model's."""
    for own in (root / "components" / component, root / "components" / "processor"):
        if own.is_dir():
            return own
    name = flavor.get(f"{component}_name")
    return hub.find(name, flavor.get(f"{component}_revision"), part=component) if name else weights


def _params(root: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt template, model_config, and the defaults of the signature's parameters over it.

    A null or empty default of a model that ``udfs.pyfunc`` logged stands for the model's own value.
    """
    python = described["flavors"].get("python_function") or {}
    template = (described.get("metadata") or {}).get("prompt_template")
    defaults = defaults_of(described)
    if _OURS in python:
        defaults = {name: value for name, value in defaults.items() if value not in (None, [])}
    config = read_json(root / _OLD_PARAMS) or python.get("config") or {}
    return {**({"prompt_template": template} if template else {}), **config, **defaults}


def defaults_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the parameters in an MLmodel's signature, by name."""
    signature = (described.get("signature") or {}).get("params")
    return {one["name"]: one.get("default") for one in (json.loads(signature) or [] if signature else [])}
