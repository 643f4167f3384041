"""The tokens that tell Whisper what to write, and that it tells times with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import RowError


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of one model.

    Args:
        start, end: of a text.
        previous: before what was said earlier.
        no_timestamps: that no times are asked for; the tokens behind it are times, in steps of ``step_s``.
        languages: code → token; empty for a model of English alone.
        tasks: transcribe and translate → token; empty for a model of English alone.
        size: of the model's vocabulary.
        step_s: seconds from one time to the next.
    """

    start: int
    end: int
    previous: int
    no_timestamps: int
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    size: int
    step_s: float

    @classmethod
    def of(cls, model: Any, tokenizer: Any, frame_s: float) -> Vocabulary:
        """What the generation configuration says; the tokenizer where it is of an old model and says nothing."""
        config = model.generation_config
        languages, tasks = _several(model, tokenizer) if _multilingual(model) else ({}, {})
        stride = model.model.encoder.conv1.stride[0] * model.model.encoder.conv2.stride[0]
        return cls(
            start=int(config.decoder_start_token_id or model.config.decoder_start_token_id),
            end=int(config.eos_token_id if isinstance(config.eos_token_id, int) else tokenizer.eos_token_id),
            previous=_token(config, "prev_sot_token_id", tokenizer, "<|startofprev|>"),
            no_timestamps=_token(config, "no_timestamps_token_id", tokenizer, "<|notimestamps|>"),
            languages=languages,
            tasks=tasks,
            size=model.config.vocab_size,
            step_s=stride * frame_s,
        )

    @property
    def times(self) -> int:
        """The token of time 0; those of later times follow."""
        return self.no_timestamps + 1

    def head(self, language: str | None, task: str, *, timestamps: bool) -> list[int]:
        """What every text begins with, for a language by its code (None for a model of English alone)."""
        told = [self.languages[language], self.tasks[task]] if language is not None and self.languages else []
        return [self.start, *told, *([] if timestamps else [self.no_timestamps])]

    def language(self, given: str | None) -> str | None:
        """The code of a language given by code or name; None for none, which is to be detected.

        Raises RowError(invalid_parameter) for one that the model does not have. A model of English alone has English.
        """
        if given is None:
            return None if self.languages else "en"
        known = self.languages or {"en": 0}
        code = codes().get(given.lower(), given.lower())
        if code not in known:
            raise RowError(
                "invalid_parameter",
                f"expected language to be the code or name of one that the model hears: {', '.join(known)}",
            )
        return code

    def check(self, language: str | None, task: str) -> None:
        """Raises RowError(invalid_parameter) for a language or task that the model does not have."""
        self.language(language)
        if task != "transcribe" and task not in self.tasks:
            raise RowError("invalid_parameter", "expected speech_task transcribe: the model hears English alone")

    def text(self, ids: Sequence[int]) -> list[int]:
        """These tokens without times."""
        return [token for token in ids if token < self.times]


def codes() -> Mapping[str, str]:
    """Names of languages → their codes, as transformers knows them."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    return dict(TO_LANGUAGE_CODE)


def names() -> Mapping[str, str]:
    """Codes of languages → their names, as transformers knows them."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return dict(LANGUAGES)


def _multilingual(model: Any) -> bool:
    config = model.generation_config
    given = getattr(config, "is_multilingual", None)
    return bool(getattr(config, "lang_to_id", None)) if given is None else bool(given)


def _several(model: Any, tokenizer: Any) -> tuple[dict[str, int], dict[str, int]]:
    config = model.generation_config
    languages = getattr(config, "lang_to_id", None) or {
        f"<|{code}|>": tokenizer.convert_tokens_to_ids(f"<|{code}|>") for code in names()
    }
    tasks = getattr(config, "task_to_id", None) or {
        task: tokenizer.convert_tokens_to_ids(f"<|{task}|>") for task in ("transcribe", "translate")
    }
    return {token.strip("<|>"): int(i) for token, i in languages.items() if i is not None}, dict(tasks)


def _token(config: Any, name: str, tokenizer: Any, token: str) -> int:
    given = getattr(config, name, None)
    return int(tokenizer.convert_tokens_to_ids(token) if given is None else given)
