"""What speaks for a family of models: tokens to waveforms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.errors import RowError, UnsupportedTaskError
from engine.models.load import LoadedModel

Waveform: TypeAlias = npt.NDArray[np.float32]

#: Parameters that only some families read.
_OWN: Final = ("noise_scale", "noise_scale_duration", "speaking_rate", "speaker_id", "speaker_embedding")


@dataclass(frozen=True)
class Lines:
    """A micro-batch of texts to speak.

    Args:
        ids: int64 [rows, longest], padded on the right, on the device.
        lengths: int64 [rows], tokens of each.
        keys: of each row's random numbers.
        speakers: the speaker embedding of each row, where it has one.
        params: what all of them share.
        most: samples that are wanted of a row; a family may stop after them, but not before.
    """

    ids: Any
    lengths: npt.NDArray[np.int64]
    keys: Sequence[int]
    speakers: Sequence[Sequence[float] | None]
    params: Any
    most: int

    def row(self, row: int) -> Any:
        """int64 [1, tokens], the tokens of one row alone."""
        return self.ids[row : row + 1, : int(self.lengths[row])]


class Voice(ABC):
    """One loaded model that speaks. Lives in a worker.

    Args:
        loaded: the model, with its vocoder where that is not part of it.
    """

    #: The parameters that it reads, of those that not every family does.
    takes: ClassVar[tuple[str, ...]]
    #: Samples a second.
    rate: int
    #: Samples of a frame, the least that a token sounds.
    hop: int
    #: Tokens of a text at most; None where nothing limits them.
    longest: int | None = None
    #: Speakers to choose from by number.
    speakers: int = 0
    #: Numbers of a speaker embedding; None where it takes none.
    embedding: int | None = None
    #: Whether a speaker embedding has to be given.
    needs_speaker: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, loaded: LoadedModel) -> None: ...

    @abstractmethod
    def speak(self, lines: Lines) -> Sequence[Waveform | RowError]:
        """float32 [samples] of each row, between -1 and 1; a RowError for one that can't be spoken whole."""

    def check(self, params: Any, speakers: Sequence[Sequence[float] | None]) -> None:
        """Raises RowError(invalid_parameter) for parameters that this model does not read, or not so."""
        asked = [name for name in _OWN if getattr(params, name) is not None and name not in self.takes]
        if asked:
            takes = ", ".join(self.takes) or "none of them"
            raise RowError("invalid_parameter", f"this model has no {', '.join(asked)}; it takes {takes}")
        if params.speaker_id is not None and not params.speaker_id < self.speakers:
            raise RowError(
                "invalid_parameter", f"expected speaker_id below {self.speakers}, the model's speakers: give another"
            )
        for one in speakers:
            self._check_embedding(one)

    def _check_embedding(self, embedding: Sequence[float] | None) -> None:
        if embedding is None:
            if self.needs_speaker:
                raise RowError(
                    "invalid_parameter",
                    f"this model speaks in the voice of an embedding: give speaker_embedding, {self.embedding} numbers",
                )
            return
        if "speaker_embedding" not in self.takes:
            raise RowError("invalid_parameter", "this model has no speaker_embedding: leave it out")
        if len(embedding) != self.embedding or not all(one is not None and np.isfinite(one) for one in embedding):
            raise RowError("invalid_parameter", f"expected a speaker_embedding of {self.embedding} finite numbers")


def voice(loaded: LoadedModel) -> Voice:
    """What speaks for this model. Raises UnsupportedTaskError for a family that nothing here speaks for."""
    from engine.voice.fastspeech import FastSpeech2
    from engine.voice.speecht5 import SpeechT5
    from engine.voice.vits import Vits

    families: dict[str, type[Voice]] = {
        "vits": Vits,
        "fastspeech2_conformer_with_hifigan": FastSpeech2,
        "speecht5": SpeechT5,
    }
    kind = loaded.model.config.model_type
    if kind not in families:
        raise UnsupportedTaskError(f"expected a model of {', '.join(families)} for text-to-audio, got a {kind}")
    return families[kind](loaded)
