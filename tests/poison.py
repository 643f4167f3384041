"""Models with a payload: code that writes a file where it is run, in each place of an artifact that could run it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests import tiny
from udfs.pyfunc import embercast_loader

_STOCK: Final = {"loader_module": "mlflow.transformers"}
_OURS: Final = {
    "loader_module": "embercast_loader",
    "code": "code",
    "embercast": {"task": "text-classification", "release": "0.1.0", "format": 1},
}


class _Bomb:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (self.code,)


def payload(ran: Path) -> str:
    """Python that writes the file ``ran``."""
    return f"open({str(ran)!r}, 'w').close()\n"


def module(path: Path, ran: Path) -> None:
    """A module that writes the file when it is imported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(payload(ran), encoding="utf-8")


def pickled(path: Path, ran: Path) -> None:
    """A pickle that writes the file when it is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(_Bomb(payload(ran))))


def logged(folder: Path, *, ours: bool = False) -> Path:
    """A tiny classifier as stock MLflow lays it out, or as ``udfs.pyfunc`` does: nothing is wrong with it."""
    tiny.save(folder / "model", num_labels=3)
    if ours:
        (folder / "code").mkdir()
        shutil.copy(embercast_loader.__file__, folder / "code")
    own = {"task": "text-classification", "model_binary": "model", "code": "code" if ours else None}
    flavors = {"transformers": own, "python_function": _OURS if ours else _STOCK}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}), encoding="utf-8")
    return folder


def edit(folder: Path, flavor: str, **entries: Any) -> None:
    """Changes entries of a flavor in MLmodel; None takes one out."""
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    own = {**described["flavors"][flavor], **entries}
    described["flavors"][flavor] = {name: value for name, value in own.items() if value is not None}
    (folder / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")


def configure(path: Path, **entries: Any) -> None:
    """Changes entries of a JSON file."""
    said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**said, **entries}), encoding="utf-8")


def pickled_weights(folder: Path, ran: Path) -> None:
    (folder / "model" / "model.safetensors").unlink()
    pickled(folder / "model" / "pytorch_model.bin", ran)


def pickled_shard(folder: Path, ran: Path) -> None:
    (folder / "model" / "model.safetensors").rename(folder / "model" / "model-1.safetensors")
    pickled(folder / "model" / "model-2.bin", ran)
    shards = {"one": "model-1.safetensors", "two": "model-2.bin"}
    configure(folder / "model" / "model.safetensors.index.json", weight_map=shards, metadata={})


def pickled_adapter(folder: Path, ran: Path) -> None:
    pickled(folder / "peft" / "adapter_model.bin", ran)
    configure(folder / "peft" / "adapter_config.json", peft_type="LORA")
    edit(folder, "transformers", peft_adaptor="peft")


def adapter_beside(folder: Path, ran: Path) -> None:
    pickled(folder / "model" / "adapter_model.bin", ran)
    configure(folder / "model" / "adapter_config.json", peft_type="LORA", base_model_name_or_path="somebody/else")


def pickled_vocoder(folder: Path, ran: Path) -> None:
    pickled(folder / "model" / "vocoder" / "pytorch_model.bin", ran)
    configure(folder / "model" / "vocoder" / "config.json", model_type="hifigan")


def own_loader(folder: Path, ran: Path) -> None:
    module(folder / "code" / "poisoned_loader.py", ran)
    edit(folder, "python_function", loader_module="poisoned_loader", code="code")


def shadowed_library(folder: Path, ran: Path) -> None:
    module(folder / "code" / "transformers" / "__init__.py", ran)
    edit(folder, "python_function", code="code")


def shadowed_engine(folder: Path, ran: Path) -> None:
    module(folder / "code" / "udfs" / "__init__.py", ran)
    edit(folder, "python_function", code="code")


def shadowed_python(folder: Path, ran: Path) -> None:
    module(folder / "code" / "json.py", ran)
    edit(folder, "transformers", code="code")


def altered_loader(folder: Path, ran: Path) -> None:
    path = folder / "code" / "embercast_loader.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(Path(embercast_loader.__file__).read_text(encoding="utf-8") + payload(ran), encoding="utf-8")
    edit(folder, "python_function", code="code")


def code_elsewhere(folder: Path, ran: Path) -> None:
    module(folder.parent / "elsewhere" / "json.py", ran)
    edit(folder, "python_function", code="../elsewhere")


def weights_elsewhere(folder: Path, ran: Path) -> None:
    (folder / "model").rename(folder.parent / "secret")
    module(folder.parent / "secret" / "modeling.py", ran)
    edit(folder, "transformers", model_binary="../secret")


def link_elsewhere(folder: Path, ran: Path) -> None:
    module(folder.parent / "secret.py", ran)
    (folder / "model" / "vocab.txt").symlink_to("../../secret.py")


def code_of_the_model(folder: Path, ran: Path) -> None:
    module(folder / "model" / "modeling.py", ran)
    configure(folder / "model" / "config.json", auto_map={"AutoModelForSequenceClassification": "modeling.Own"})


def code_of_the_tokenizer(folder: Path, ran: Path) -> None:
    module(folder / "model" / "tokenizing.py", ran)
    configure(folder / "model" / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenizing.Own", None]})


def code_of_the_processor(folder: Path, ran: Path) -> None:
    own = folder / "components" / "processor"
    module(own / "processing.py", ran)
    for path in (folder / "model").glob("tokenizer*.json"):
        shutil.copy(path, own)
    configure(own / "processor_config.json", feature_extractor={"auto_map": {"AutoFeatureExtractor": "processing.Own"}})


def own_pyfunc(folder: Path, ran: Path) -> None:
    module(folder / "code" / "poisoned_loader.py", ran)
    flavors = {"python_function": {"loader_module": "poisoned_loader", "code": "code", "embercast": _OURS["embercast"]}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}), encoding="utf-8")


def object_in_yaml(folder: Path, ran: Path) -> None:
    code = json.dumps([payload(ran)])
    (folder / "MLmodel").write_text(f"flavors: !!python/object/apply:builtins.exec {code}\n", encoding="utf-8")


#: kind → what puts the payload into a folder that ``logged`` made, and words of the sentence that refuses it.
KINDS: Final[Mapping[str, tuple[Callable[[Path, Path], None], str]]] = {
    "pickled weights": (pickled_weights, "found only pytorch_model.bin, which is unpickled to be read"),
    "a pickled shard": (pickled_shard, "to name safetensors files beside it, got model-2.bin"),
    "a pickled adapter": (pickled_adapter, "found only adapter_model.bin, which is unpickled to be read"),
    "an adapter beside the weights": (adapter_beside, "it has an adapter_config.json, which transformers would follow"),
    "a pickled vocoder": (pickled_vocoder, "found only pytorch_model.bin, which is unpickled to be read"),
    "a loader of its own": (own_loader, "its MLmodel names poisoned_loader: stock MLflow would run that module"),
    "code that shadows a library": (shadowed_library, "would replace the module transformers in the whole process"),
    "code that shadows the engine": (shadowed_engine, "would replace the module udfs in the whole process"),
    "code that shadows Python's own": (shadowed_python, "would replace the module json in the whole process"),
    "an altered loader of ours": (altered_loader, "as a release of embercast wrote it, it was changed"),
    "code elsewhere": (code_elsewhere, "expected code in the MLmodel of"),
    "weights elsewhere": (weights_elsewhere, "to name a file in its folder, got ../secret"),
    "a link elsewhere": (link_elsewhere, "model/vocab.txt is a link that leads out of it"),
    "code of the model": (code_of_the_model, "config.json has an auto_map: loading it would run"),
    "code of the tokenizer": (code_of_the_tokenizer, "tokenizer_config.json has an auto_map: loading it would run"),
    "code of the processor": (code_of_the_processor, "processor_config.json has an auto_map: loading it would run"),
    "an object in MLmodel": (object_in_yaml, "expected YAML of plain values in"),
    "a PyFunc": (own_pyfunc, "is no transformers model: scoring it runs the code it was logged with (poisoned_loader)"),
}
#: Kinds that a definition may let pass.
ALLOWED: Final = (
    "a loader of its own",
    "code that shadows a library",
    "code that shadows the engine",
    "code that shadows Python's own",
    "an altered loader of ours",
    "code of the model",
    "code of the tokenizer",
    "code of the processor",
    "a PyFunc",
)
