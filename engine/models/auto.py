"""Which transformers auto class loads a model: the task's own, or for a task outside the table its pipeline's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.errors import UnsupportedTaskError
from engine.models import pipelines
from engine.tasks import is_foreign, task_class


def auto_class(task: str, folder: Path) -> Any:
    """The auto class that loads the model in ``folder`` for ``task``. Raises ModelError where there is none."""
    import transformers

    named = () if is_foreign(task) else task_class(task).auto_class
    if isinstance(named, str):
        return getattr(transformers, named)
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if is_foreign(task):
        return pipelines.auto_class(task, config)
    for auto in (getattr(transformers, name) for name in named):
        if type(config) in auto._model_mapping:
            return auto
    raise UnsupportedTaskError(
        f"expected a model that {task} runs ({', '.join(named)}), got a {config.model_type}: "
        "give the task it was trained for"
    )
