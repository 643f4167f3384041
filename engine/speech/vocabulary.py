"""The tokens that tell Whisper what to write, and that it tells times with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ModelError, RowError

#: Tokens with which a Whisper knows several languages, where its configuration does not say: OpenAI's own rule.
_SEVERAL: Final = 51_865


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
        spoken: code of the language that is taken where none is given; None where it is to be detected.
    """

    start: int
    end: int
    previous: int
    no_timestamps: int
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    size: int
    step_s: float
    spoken: str | None = None

    @classmethod
    def of(cls, model: Any, tokenizer: Any, frame_s: float) -> Vocabulary:
        """What the generation configuration says; the tokenizer where it is of an old model and says nothing.

        Raises ModelError where neither has a token that Whispers have. A language that the generation configuration
        names, as of models that were trained further on one, is taken where none is given, as transformers does.
        """
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
            spoken=_spoken(getattr(config, "language", None), languages),
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
        """The code of a language given by code or name; for none the model's own, None where it is to be detected.

        Raises RowError(invalid_parameter) for one that the model does not have. A model of English alone has English.
        """
        if given is None:
            return self.spoken if self.languages else "en"
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
    if given is not None:
        return bool(given)
    return bool(getattr(config, "lang_to_id", None)) or int(model.config.vocab_size) >= _SEVERAL


def _several(model: Any, tokenizer: Any) -> tuple[dict[str, int], dict[str, int]]:
    config = model.generation_config
    languages = getattr(config, "lang_to_id", None) or {
        f"<|{code}|>": _known(tokenizer, f"<|{code}|>") for code in names()
    }
    tasks = getattr(config, "task_to_id", None) or {
        task: _token(config, task, tokenizer, f"<|{task}|>") for task in ("transcribe", "translate")
    }
    return {token.strip("<|>"): int(i) for token, i in languages.items() if i is not None}, dict(tasks)


def _spoken(given: Any, languages: Mapping[str, int]) -> str | None:
    name = given.lower().strip("<|>") if isinstance(given, str) else ""
    code = codes().get(name, name)
    return code if code in languages else None


def _token(config: Any, name: str, tokenizer: Any, token: str) -> int:
    given = getattr(config, name, None)
    found = _known(tokenizer, token) if given is None else int(given)
    if found is None:
        raise ModelError(
            f"expected a tokenizer with Whisper's token {token}: log the model with its Whisper's own tokenizer"
        )
    return found


def _known(tokenizer: Any, token: str) -> int | None:
    """The token's number; None where the tokenizer has no such token, for which it may give that of an unknown one."""
    found = tokenizer.convert_tokens_to_ids(token)
    return int(found) if found is not None and tokenizer.convert_ids_to_tokens(found) == token else None
