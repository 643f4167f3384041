"""The backend over transformers that every machine has. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.continuous.alone import AloneBackend
from engine.continuous.layout import Layout
from engine.continuous.limits import Limits
from engine.continuous.scheduler import Scheduler
from engine.continuous.support import layout_of
from engine.generation.backend import Follow, Prompt, Result
from engine.generation.chooser import Chooser
from engine.generation.ending import Ending


class ContinuousBackend:
    """Writes with a causal model of transformers, all prompts together.

    Args:
        model: on its device, in eval mode.
        tokenizer: of it.
        layout: of its keys and values; None asks the model (``engine.continuous.support.layout_of``).
        limits: how much runs at once; None takes what the device allows at every call.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, layout: Layout | None = None, limits: Limits | None = None
    ) -> None:
        self.model = model
        self.choose = Chooser(model)
        self.ending = Ending(tokenizer)
        self.alone = AloneBackend(model, tokenizer)
        self.layout = layout or layout_of(model)
        self.limits = limits

    def generate(self, prompts: Sequence[Prompt], follow: Follow | None = None) -> Iterator[Result]:
        """See ``engine.generation.backend.Backend``."""
        limits = self.limits or Limits.of(self.layout)
        scheduler = Scheduler(self.model, self.layout, limits, self.choose, self.ending, follow, self.alone)
        return scheduler.run(prompts)
