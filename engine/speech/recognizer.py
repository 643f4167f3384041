"""What a family of speech models does: recordings → transcripts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.batching import Index
from engine.errors import RowError
from engine.speech.transcript import Transcript
from engine.tasks.base import Encoded

if TYPE_CHECKING:
    from engine.tasks.audio import AudioTask
    from engine.tasks.speech_recognition import SpeechRecognitionParams


class Recognizer(ABC):
    """Transcribes with one loaded model. Lives in a worker."""

    def __init__(self, task: AudioTask) -> None:
        self.task = task
        self.model = task.model
        self.tokenizer = task.tokenizer

    def check(self, params: SpeechRecognitionParams) -> None:  # noqa: B027 - many models have nothing to refuse
        """Raises RowError(invalid_parameter) where this model can't take these parameters."""

    @abstractmethod
    def transcribe(self, encoded: Encoded, items: Index) -> Sequence[Transcript | RowError]:
        """A transcript of each item, or why there is none."""
