"""Which transformers auto class loads a model: the task's own, or for a task outside the table its pipeline's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.models import pipelines
from engine.tasks import is_foreign, task_class


def auto_class(task: str, folder: Path) -> Any:
    """The auto class that loads the model in ``folder`` for ``task``. Raises ModelError where a pipeline has none."""
    import transformers

    if not is_foreign(task):
        return getattr(transformers, task_class(task).auto_class)
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return pipelines.auto_class(task, config)
