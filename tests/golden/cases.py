"""The rows of the golden table: 200 for each of five tasks, with nulls, bad rows and equal rows among them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tests import chats, recordings, speech_models, tagging, tiny, whispering

ROWS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task's rows.

    Args:
        task: its name.
        save: saves a tiny model of it.
        columns: input role → 200 values, in a type that a table would have.
        params: logged with the model, so that no door has to give them.
        codes: of the errors that rows have.
    """

    task: str
    save: Callable[[Path], Path]
    columns: Mapping[str, pa.Array]
    params: Mapping[str, Any]
    codes: frozenset[str]

    @property
    def table(self) -> pa.Table:
        """The columns, and ``id`` that orders them."""
        return pa.table({"id": pa.array(range(ROWS), pa.int32()), **self.columns})


def spread(usual: Sequence[Any], odd: Sequence[Any]) -> list[Any]:
    """200 values: the usual ones, the first of them again as often as it takes, and every seventh an odd one."""
    made = [usual[at % len(usual)] for at in range(ROWS)]
    for at in range(3, ROWS, 7):
        made[at] = odd[at % len(odd)]
    return made


def words(drawn: random.Random, most: int) -> str:
    """Up to so many words that the tiny tokenizers know."""
    return " ".join(drawn.choices(tiny.WORDS, k=drawn.randint(1, most)))


def texts(*, seed: int = 0) -> list[str | None]:
    """Texts of all lengths that the tiny models take, and one that is longer."""
    drawn = random.Random(seed)
    usual = [words(drawn, 28) for _ in range(160)]
    return spread(usual, [None, "", "  ", "😀 שלום\n", "so many people " * 40])


def pairs() -> list[str | None]:
    """Second texts, which most rows lack."""
    drawn = random.Random(9)
    return [words(drawn, 20) if at % 3 == 0 else None for at in range(ROWS)]


def clips() -> list[bytes | None]:
    """Short recordings of noise that comes and goes, and files that are none or broken."""
    usual = [whispering.wav(whispering.noise(0.3 + 0.03 * at, seed=at)) for at in range(24)]
    silence = recordings.wav(np.zeros(recordings.RATE // 4, np.float32))
    return spread(usual, [None, b"", silence, b"this is no recording, " * 20, usual[0][:2000]])


def talks() -> list[list[dict[str, Any]] | None]:
    """Conversations of one to three messages, and such as no template takes."""
    drawn = random.Random(4)
    usual = []
    for at in range(60):
        before = [("system", "be kind")] * (at % 2) + [("user", "go"), ("assistant", "no")] * (at % 3 == 0)
        usual.append([{"role": role, "content": said} for role, said in (*before, ("user", words(drawn, 8)))])
    twice = [{"role": "assistant", "content": "no"}] * 2
    long = chats.user("so many people " * 120)
    wordless = [{"role": "user", "content": None}]
    return spread(usual, [None, [], chats.user(""), [{"role": "wizard", "content": "go"}], twice, wordless, long, None])


def asked() -> list[dict[str, Any] | None]:
    """What rows ask for beside what was logged: nothing, some of it, and a number of tokens that there can't be."""
    usual = [None, {"max_tokens": 2}, {"temperature": 0.8, "seed": 5}, {"max_tokens": 3, "temperature": 0.0}, {}]
    return [{"max_tokens": -1} if at % 50 == 4 else usual[at % len(usual)] for at in range(ROWS)]


def _labels(*names: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: at for at, name in enumerate(names)}}


_TEXT: Final = pa.string()
_MESSAGES: Final = pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))
_ASKED: Final = pa.struct([("max_tokens", pa.int64()), ("temperature", pa.float64()), ("seed", pa.int64())])

CASES: Final[Mapping[str, Case]] = {
    one.task: one
    for one in (
        Case(
            task="text-classification",
            save=lambda folder: tiny.save(folder, seed=1, **_labels("negative", "positive")),
            columns={"text": pa.array(texts(), _TEXT), "text_pair": pa.array(pairs(), _TEXT)},
            params={"long_text": "error"},
            codes=frozenset({"too_long"}),
        ),
        Case(
            task="embeddings",
            save=lambda folder: tiny.save(folder, head=""),
            columns={"text": pa.array(texts(seed=1), _TEXT)},
            params={"long_text": "error", "normalize": True},
            codes=frozenset({"too_long"}),
        ),
        Case(
            task="token-classification",
            save=tagging.save,
            columns={"text": pa.array(texts(seed=2), _TEXT)},
            params={"long_text": "error", "ignore_labels": ["O", "MISC"]},
            codes=frozenset({"too_long"}),
        ),
        Case(
            task="automatic-speech-recognition",
            save=speech_models.save,
            columns={"audio": pa.array(clips(), pa.binary())},
            params={"temperatures": [0.0], "max_new_tokens": 6, "timestamps": "words"},
            codes=frozenset({"invalid_audio"}),
        ),
        Case(
            task="llm/v1/chat",
            save=chats.save,
            columns={"messages": pa.array(talks(), _MESSAGES), "params": pa.array(asked(), _ASKED)},
            params={"max_tokens": 4, "seed": 7, "logprobs": True, "top_logprobs": 2},
            codes=frozenset({"invalid_messages", "template_refused", "invalid_parameter", "too_long"}),
        ),
    )
}
