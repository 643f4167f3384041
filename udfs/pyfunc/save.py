"""An artifact with two flavors: MLflow's ``transformers``, and ``python_function``, whose loader is this engine.

    MLmodel                     both flavors; python_function holds the definition (``udfs.pyfunc.definition``)
    model/, components/, peft/  as stock MLflow writes them (``udfs.pyfunc.files``)
    code/embercast_loader.py    what MLflow imports
    embercast.zip               this release of the engine, for a Python that has none
    model_card.md, LICENSE.txt  where the model has them
    requirements.txt, conda.yaml, python_env.yaml

Runs on the driver. The model is neither loaded from files nor run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models import adapter, flavor, folder
from engine.models.safety import artifact as safety
from udfs.pyfunc import asked, card, engine_flavor, files, requirements, stock
from udfs.pyfunc.example import example_of
from udfs.pyfunc.parts import parts_of

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


def save_model(
    transformers_model: Any,
    path: str | Path,
    *,
    task: str | None = None,
    processor: Any = None,
    torch_dtype: Any = None,
    model_card: Any = None,
    code_paths: Sequence[str] | None = None,
    mlflow_model: Any = None,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    conda_env: Any = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
    base_model_path: str | Path | None = None,
    definition: Mapping[str, Any] | None = None,
    revision: str | None = None,
) -> None:
    """Writes the artifact into ``path``. Takes what ``mlflow.transformers.save_model`` takes, and more.

    Args:
        transformers_model: a pipeline, a dictionary of components, a local folder of a model or of a LoRA adapter, or a
            hub's name, which is looked for in the Hugging Face cache first.
        path: a folder that is empty or not there yet.
        task: of the task table, or as a pipeline is called; None takes what the model says.
        processor: a tokenizer and a feature extractor, which are kept one by one, so that a pipeline finds them.
        torch_dtype: that the weights are loaded in; None takes the model's own.
        model_card: huggingface_hub's ModelCard or its text; None takes the README.md of the model's folder.
        code_paths: files and folders of one's own, which MLflow puts on sys.path.
        mlflow_model: MLflow's own, where ``mlflow.models.Model.log`` calls this.
        signature: parameters and columns over the task's own (``udfs.pyfunc.asked.signature``); the model is never run
            for one.
        input_example: a value of the task's first input, a list of them, or columns; with parameters in a tuple.
        pip_requirements, extra_pip_requirements, conda_env: None takes what runs, in the releases installed here.
        metadata: anything that YAML can hold.
        model_config: parameters that are logged with the model, as a pipeline or the task calls them.
        prompt_template: text around the prompt, with one {prompt}.
        save_pretrained: False leaves the weights on the hub, and writes down their commit.
        base_model_path: the folder in which the base of an adapter stays; it has to be there when it is scored.
        definition: dtype, device, batch_tokens, backend over their defaults.
        revision: of a hub's model: a commit, a tag or a branch.

    Raises a ModelError, ParameterError or SchemaError.
    """
    from mlflow.models import Model
    from mlflow.models.utils import _save_example
    from mlflow.utils.model_utils import _validate_and_copy_code_paths, _validate_and_prepare_target_save_path

    base = _base_folder(base_model_path)
    parts = parts_of(transformers_model, task=task, processor=processor, revision=revision, base=base)
    if base is not None and parts.adapter is None:
        raise ModelError("expected a PEFT adapter with base_model_path, this model has none: leave it out")
    params = asked.params_of(parts.said, model_config or {}, prompt_template)
    described = mlflow_model or Model()
    described.metadata = stock.metadata(parts.task, metadata or described.metadata or {}, prompt_template)
    described.signature = asked.signature(parts.task, params, signature, prompt_template)
    root = Path(path).absolute()
    _validate_and_prepare_target_save_path(str(root))
    code = _validate_and_copy_code_paths(code_paths, str(root))
    if input_example is not None:
        _save_example(described, example_of(parts.task, input_example), str(root))
    written = files.write(parts, root, by_reference=not save_pretrained, base=base)
    card.write(root, model_card, parts.home)
    own = stock.flavor(parts.task, parts.said, written, dtype=torch_dtype or parts.dtype, code=code)
    described.add_flavor(stock.FLAVOR, transformers_version=_release(), **own)
    engine_flavor.add(described, root, task=parts.task, definition=definition or {}, params=params)
    folders = [root, root / files.MODEL] + ([] if parts.home is None else [parts.home])
    requirements.write(
        root,
        requirements.needed(parts.task, folders, adapter=parts.adapter is not None),
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        conda_env=conda_env,
    )
    seal(described, root)
    _check(parts.task, root)


def seal(described: Any, root: Path) -> None:
    """Writes the MLmodel of an artifact whose other files are written."""
    described.model_size_bytes = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    described.save(str(root / flavor.FILE))


def _base_folder(given: str | Path | None) -> Path | None:
    if given is None:
        return None
    found = Path(given).expanduser().resolve()
    if not (found / "config.json").is_file():
        raise ModelError(f"expected the model of base_model_path with a config.json in {found}, found none")
    return found


def _check(task: str, root: Path) -> None:
    """Reads what was written as it will be read before it is scored."""
    safety.check(root.name, root)
    logged = flavor.read(root.name, root)
    folder.check(logged.model_dir, logged.tokenizer_dir)
    if logged.adapter_dir is None:
        folder.check_task(logged.model_dir, task)
    else:  # the head may be the adapter's
        adapter.check(logged.adapter_dir)


def _release() -> str:
    import transformers

    return str(transformers.__version__)
