"""Frames → text and words, by hand and against Wav2Vec2CTCTokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.speech.letters import Frames, Letters
from tests import ctc_models

RATIO, RATE = 320, 16_000
PAD, END, UNKNOWN, GAP = 0, 2, 3, 4


def frames(text: str, probabilities: list[float] | None = None) -> Frames:
    """Frames of letters: ``_`` is the blank and ``|`` the word delimiter."""
    names = {letter: i for i, letter in enumerate(ctc_models.LETTERS)} | {"_": PAD}
    ids = np.array([names[letter] for letter in text], np.int32)
    likely = np.full(ids.size, 0.5) if probabilities is None else np.array(probabilities)
    return Frames(ids, likely.astype(np.float32), np.arange(ids.size))


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    return Letters(ctc_models.tokenizer(tmp_path), len(ctc_models.LETTERS) + 3)


def test_repeats_are_one_letter_and_blanks_none(letters: Letters) -> None:
    assert letters.text(frames("__hh_e_ll_l__oo_||__ll_").ids) == ("hello l", 7)
    assert letters.text(frames("____").ids) == ("", 0)
    assert letters.text(frames("").ids) == ("", 0)


def test_a_word_has_the_times_and_the_mean_probability_of_its_letters_frames(letters: Letters) -> None:
    heard = frames("_hh_i|__a_", [0.1, 0.2, 0.4, 0.1, 0.9, 0.1, 0.1, 0.1, 0.6, 0.1])
    [first, second] = letters.words(heard, ratio=RATIO, rate=RATE)
    assert (first.word, first.start, first.end) == ("hi", 0.02, 0.1)
    assert first.score == pytest.approx((0.2 + 0.4 + 0.9) / 3)
    assert (second.word, second.start, second.end) == ("a", 0.16, 0.18)
    assert second.score == pytest.approx(0.6)


def test_times_are_those_of_the_recording_where_frames_are_lost(letters: Letters) -> None:
    heard = frames("ab|c")._replace(at=np.array([0, 7, 8, 20]))
    assert [(word.start, word.end) for word in letters.words(heard, ratio=RATIO, rate=RATE)] == [(0, 0.16), (0.4, 0.42)]


@pytest.mark.parametrize("seed", range(5))
def test_any_frames_read_as_the_tokenizer_reads_them(letters: Letters, seed: int) -> None:
    draw = np.random.default_rng(seed)
    # ids 32 to 34 are not in its vocabulary
    ids = np.repeat(draw.choice([PAD, PAD, GAP, UNKNOWN, END, 5, 6, 7, 8, 32, 33, 34], 300), draw.integers(1, 4, 300))
    want = letters.tokenizer.decode(ids, output_word_offsets=True)
    heard = Frames(ids.astype(np.int32), np.ones(ids.size, np.float32), np.arange(ids.size))
    found = list(letters.words(heard, ratio=RATIO, rate=RATE))
    assert letters.text(heard.ids)[0] == want.text
    assert [(word.word, word.start, word.end) for word in found] == [
        (one["word"], one["start_offset"] * RATIO / RATE, one["end_offset"] * RATIO / RATE) for one in want.word_offsets
    ]


def test_a_piece_of_sentencepiece_may_begin_a_word() -> None:
    names = ["\u2581he", "llo", "\u2581you", "\u2581", "s", "<pad>"]

    class Pieces:
        pad_token = "<pad>"

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return [names[i] for i in ids]

        def decode(self, ids: list[int], **_: Any) -> str:
            return "".join(names[i] for i in ids if names[i] != "<pad>").replace("\u2581", " ").strip()

    letters = Letters(Pieces(), len(names))
    ids = np.array([5, 0, 0, 1, 2, 5, 3, 5, 4, 5], np.int32)
    heard = Frames(ids, np.ones(ids.size, np.float32), np.arange(ids.size))
    assert letters.text(ids) == ("hello you s", 5)
    found = [(word.word, word.start, word.end) for word in letters.words(heard, ratio=RATIO, rate=RATE)]
    assert found == [("hello", 0.02, 0.08), ("you", 0.08, 0.1), ("s", 0.12, 0.18)]
