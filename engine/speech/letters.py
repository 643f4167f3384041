"""The letters that a CTC model chose, frame by frame → text and words. Repeats are one letter, blanks are none.

The method is that of Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf (best path decoding).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.speech.transcript import Word

#: Begins a word in the vocabularies of sentencepiece.
_OPENS = "\u2581"


class Frames(NamedTuple):
    """What was chosen for frames of a recording, in order.

    Args:
        ids: int32 [frames], of the vocabulary.
        probabilities: float32 [frames], of what was chosen.
        at: int64 [frames], their numbers within the recording.
    """

    ids: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    at: npt.NDArray[np.int64]


class Letters:
    """The letters of a tokenizer.

    Args:
        tokenizer: of a CTC model; its padding token is the blank.
        size: of the model's vocabulary.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        self.tokenizer = tokenizer
        names = [name or "" for name in tokenizer.convert_ids_to_tokens(list(range(size)))]
        first: dict[str, int] = {}
        #: Ids of one name, as those outside the tokenizer's vocabulary are, count as one letter.
        self._letter = np.array([first.setdefault(name, i) for i, name in enumerate(names)])
        self._blank = first.get(tokenizer.pad_token, -1)
        delimiters = {
            getattr(tokenizer, name, None) for name in ("word_delimiter_token", "replace_word_delimiter_char")
        }
        pieces = not hasattr(tokenizer, "word_delimiter_token")
        phones = hasattr(tokenizer, "phone_delimiter_token")  # are written apart, so that each is a word
        self._gap = np.array([name in delimiters for name in names])
        self._opens = np.array([phones or (pieces and name.startswith(_OPENS)) for name in names])
        self._names = [name.replace(_OPENS, "") if pieces else name for name in names]

    def text(self, ids: npt.NDArray[np.int32]) -> tuple[str, int]:
        """The text of frames, as the tokenizer writes it, and how many letters and delimiters it has."""
        starts = _runs(self._letter[ids])
        if not starts.size:
            return "", 0
        chosen = ids[starts]
        text: str = self.tokenizer.decode(chosen.tolist(), skip_special_tokens=False)
        return text, int((self._letter[chosen] != self._blank).sum())

    def words(self, frames: Frames, *, ratio: int, rate: int) -> Iterator[Word]:
        """The words of frames that come every ``ratio`` samples, of which a second has ``rate``.

        A word lasts from its first letter's first frame to the end of its last letter's last one. Its score is the mean
        probability of its letters' frames, those of blanks between them left out.
        """
        letters = self._letter[frames.ids]
        starts = _runs(letters)
        ends = np.append(starts[1:], letters.size)
        spoken = letters[starts] != self._blank
        starts, ends = starts[spoken], ends[spoken]
        gap = self._gap[letters[starts]]
        begins = (np.append(True, gap[:-1]) | self._opens[letters[starts]])[~gap]
        starts, ends = starts[~gap], ends[~gap]
        for run in np.split(np.arange(starts.size), np.flatnonzero(begins)[1:]):
            word = "".join(self._names[letters[start]] for start in starts[run])
            if word:
                heard = np.concatenate([frames.probabilities[starts[i] : ends[i]] for i in run])
                start, end = frames.at[starts[run[0]]], frames.at[ends[run[-1]] - 1] + 1
                yield Word(float(start * ratio / rate), float(end * ratio / rate), word, float(heard.mean()))


def _runs(letters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each run of equal letters starts."""
    return np.flatnonzero(np.append(True, letters[1:] != letters[:-1])) if letters.size else np.zeros(0, np.int64)
