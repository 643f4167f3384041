"""Parameters of every task that writes text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import ParameterError
from engine.generation.prompt import split_template
from engine.tasks.text import TextParams, at_least


@dataclass(frozen=True, kw_only=True)
class GenerationParams(TextParams):
    """Parameters of tasks that write text. A null takes what the model's own generation configuration says.

    Args:
        max_length: tokens of the prompt at most; null takes what the model allows beside the new tokens.
        long_text: what becomes of a longer prompt: truncate (cut, and flagged) or error (of its row).
        max_new_tokens: tokens to write at most; 256 where the model's generation configuration does not bound them.
        min_new_tokens: tokens to write before an end token may come.
        do_sample: whether tokens are drawn by chance; null also draws where temperature, top_k or top_p is given.
        temperature: above 1 for more chance, below 1 for less, 0 for none.
        top_k: draw among so many of the likeliest tokens; 0 draws among all.
        top_p: draw among the likeliest tokens that have this probability together.
        seed: what the drawn tokens depend on beside the prompt; null takes the row's key in a job, else the
            parameters. The same prompt with the same seed gives the same text, whatever else is scored.
        num_beams: beams to search with; 1 is none. Excludes sampling.
        n: texts to write for a row, by sampling or as the best of at least so many beams.
        repetition_penalty: above 1 makes tokens that stand in the text so far less likely.
        no_repeat_ngram_size: no run of so many tokens is written twice; 0 allows all.
        length_penalty: of beams: above 0 favours longer texts, below 0 shorter ones.
        early_stopping: of beams: true ends with num_beams finished texts, false where better ones are unlikely, never
            where they are impossible.
        stop: strings that end the text, beside the model's own; it is cut before the first of them.
        prompt_template: text around the prompt, with one {prompt} where it goes.
    """

    max_new_tokens: int | None = None
    min_new_tokens: int | None = None
    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    num_beams: int | None = None
    n: int = 1
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    length_penalty: float | None = None
    early_stopping: bool | Literal["never"] | None = None
    stop: tuple[str, ...] = ()
    prompt_template: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "max_new_tokens", "num_beams", "n")
        at_least(self, 0, "min_new_tokens", "temperature", "top_k", "no_repeat_ngram_size")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ParameterError(f"expected top_p to be null or above 0 and at most 1, got {self.top_p}")
        if self.repetition_penalty is not None and not self.repetition_penalty > 0:
            raise ParameterError(f"expected repetition_penalty to be null or above 0, got {self.repetition_penalty}")
        if (self.min_new_tokens or 0) > (self.max_new_tokens or self.min_new_tokens or 0):
            raise ParameterError(
                f"expected min_new_tokens of at most max_new_tokens, {self.max_new_tokens}, got {self.min_new_tokens}"
            )
        if "" in self.stop:
            raise ParameterError("expected stop to be strings that are not empty, got an empty one")
        if (self.num_beams or 1) > 1 and self.samples:
            raise ParameterError("expected sampling or num_beams above 1, got both: beams draw nothing by chance")
        split_template(self.prompt_template)

    @property
    def samples(self) -> bool | None:
        """Whether these parameters ask for sampling; None leaves it to the model's generation configuration."""
        if self.temperature == 0:
            return False
        if self.do_sample is None and (self.temperature, self.top_k, self.top_p) != (None, None, None):
            return True
        return self.do_sample
