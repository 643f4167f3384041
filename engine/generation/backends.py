"""Which backend writes for a model. Runs in the worker."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from engine.generation.backend import Backend
from engine.models.load import LoadedModel

log = logging.getLogger(__name__)


def backend_of(loaded: LoadedModel) -> Backend:
    """The backend of a loaded model: vLLM where it was loaded for that, else this engine's own.

    Its own writes all prompts together, or one by one where the model's layers don't allow it.
    """
    if loaded.backend == "vllm":
        from engine.vllm.start import make

        return make(loaded)
    return _own(loaded)


def forget() -> None:
    """Lets go of the backends that are kept, and of the models that they hold."""
    _own.cache_clear()


@lru_cache(maxsize=2)
def _own(loaded: LoadedModel) -> Backend:
    """Those of the two models last used are kept, as the models are."""
    return _make(loaded.model, loaded.tokenizer)


def _make(model: Any, tokenizer: Any) -> Backend:
    from engine.continuous.alone import AloneBackend
    from engine.continuous.backend import ContinuousBackend
    from engine.continuous.support import NotSupportedError

    try:
        return ContinuousBackend(model, tokenizer)
    except NotSupportedError as reason:
        log.warning("%s writes one prompt after the other: %s", type(model).__name__, reason)
        return AloneBackend(model, tokenizer)
