"""One batch: the next 30 s of many clips → what is said in each. The only place of Whisper that asks the device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.errors import RowError
from engine.speech.clip import Clip, Heard
from engine.speech.features import Mels
from engine.speech.rules import Rules
from engine.speech.verdict import Verdict, still, verdict
from engine.speech.vocabulary import Vocabulary
from engine.speech.written import Written
from engine.tasks.speech_recognition import SpeechRecognitionParams


@dataclass(frozen=True)
class Hearing:
    """Hears with one model.

    Args:
        decoder: encodes, writes and aligns.
        rules: what may be written, with times or without.
        vocabulary: the model's tokens.
        params: what is asked.
    """

    decoder: Any
    rules: Callable[[bool], Rules]
    vocabulary: Vocabulary
    params: SpeechRecognitionParams

    def hear(self, clips: Sequence[Clip], languages: Sequence[str | None]) -> list[Heard | RowError]:
        """What is said where each clip stands; ``languages`` are their codes, None where it is to be detected.

        A clip is not changed, so that a batch that fails can be tried again in halves.
        """
        found: list[Heard | RowError] = [Heard(None, silent=True) for _ in clips]
        for timed in (False, True):
            loud = [i for i, clip in enumerate(clips) if clip.timed == timed and not self._still(clip)]
            if loud:
                heard = self._hear([clips[i] for i in loud], [languages[i] for i in loud], self.rules(timed))
                for i, one in zip(loud, heard, strict=True):
                    found[i] = one
        return found

    def _still(self, clip: Clip) -> bool:
        return still(clip.sound.loudness(clip.seek), self.params)

    def _hear(self, clips: list[Clip], languages: list[str | None], rules: Rules) -> list[Heard | RowError]:
        segments = [clip.sound.cut(clip.seek) for clip in clips]
        states = self.decoder.encode(np.stack(segments))
        spoken = self._languages(states, languages)
        heads = {
            one: self.vocabulary.head(one, self.params.speech_task, timestamps=rules.timestamps) for one in set(spoken)
        }
        positions = rules.positions
        prompts = [clip.prompt(heads[one], self.vocabulary, positions) for clip, one in zip(clips, spoken, strict=True)]
        found = self._write(states, prompts, segments, rules)
        heard = [
            one if isinstance(one, RowError) else Heard(one[0], one[2], one[1], language)
            for one, language in zip(found, spoken, strict=True)
        ]
        return self._aligned(states, prompts, heard, clips) if self.params.timestamps == "words" else heard

    def _languages(self, states: Any, given: list[str | None]) -> list[str | None]:
        unknown = [i for i, one in enumerate(given) if one is None]
        if not unknown:
            return given
        detected = self.decoder.languages(self._part(states, unknown, len(given)), self.vocabulary.languages)
        found = dict(zip(unknown, detected, strict=True))
        return [found.get(i, one) for i, one in enumerate(given)]

    def _write(
        self, states: Any, prompts: list[list[int]], segments: list[Mels], rules: Rules
    ) -> list[tuple[Written, float, bool] | RowError]:
        """Text, temperature, and whether nothing is said: written anew at the next temperature until it is good."""
        found: list[Any] = [None] * len(prompts)
        left = list(range(len(prompts)))
        for temperature in self.params.temperatures:
            written = self.decoder.write(
                self._part(states, left, len(prompts)),
                [prompts[i] for i in left],
                rules,
                temperature=temperature,
                keys=[self._key(segments[i], temperature) for i in left] if temperature > 0 else None,
            )
            again = []
            for i, one in zip(left, written, strict=True):
                judged = None if isinstance(one, RowError) else self._judged(one, prompts[i])
                found[i] = one if judged is None else (one, temperature, judged == "silent")
                again += [i] if judged == "again" else []
            if not again:
                break
            left = again
        return found

    def _judged(self, written: Written, prompt: list[int]) -> Verdict:
        return verdict(written, self.params, self.vocabulary, told=prompt[0] != self.vocabulary.start)

    def _part(self, states: Any, at: list[int], size: int) -> Any:
        return states if len(at) == size else self.decoder.take(states, np.array(at, np.int64))

    def _key(self, segment: Mels, temperature: float) -> int:
        """Of random numbers: by the seed and what is heard, never by what stands beside it in a batch."""
        source = hashlib.blake2b(f"{self.params.seed}\0{temperature!r}\0".encode(), digest_size=16)
        source.update(segment.tobytes())
        return int.from_bytes(source.digest(), "little")

    def _aligned(
        self, states: Any, prompts: list[list[int]], heard: list[Heard | RowError], clips: list[Clip]
    ) -> list[Heard | RowError]:
        """The same with the moments of the tokens."""
        texts = [
            (i, one.written)
            for i, one in enumerate(heard)
            if isinstance(one, Heard) and not one.silent and one.written is not None and one.written.ids.size
        ]
        if not texts:
            return heard
        at = [i for i, _ in texts]
        moments = self.decoder.align(
            self._part(states, at, len(prompts)),
            [prompts[i] for i in at],
            [written for _, written in texts],
            [clips[i].frames for i in at],
        )
        found = list(heard)
        for i, one in zip(at, moments, strict=True):
            found[i] = replace(heard[i], moments=one)  # type: ignore[type-var]
        return found
