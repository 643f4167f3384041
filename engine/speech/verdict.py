"""Whether a text is to be written anew, or nothing was said: the thresholds of Whisper's long-form decoding, and more.

Those of long-form decoding are after Radford et al. (arXiv 2212.04356), section 3.8, as in transformers'
``WhisperGenerationMixin._need_fallback``.
"""

from __future__ import annotations

import math
import zlib
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.speech.vocabulary import Vocabulary
from engine.speech.written import Written
from engine.tasks.speech_recognition import SpeechRecognitionParams

#: A text of less mean log-probability may be invented, as "you" of silence is (-0.7 to -1.0 with tiny.en).
_DOUBTFUL: Final = -0.5
#: Frames (1 s) below which a sound may well be steady and a voice's.
_STEADY: Final = 100

Verdict: TypeAlias = Literal["good", "again", "silent"]


def verdict(written: Written, params: SpeechRecognitionParams, vocabulary: Vocabulary, *, told: bool) -> Verdict:
    """good, again (with the next temperature) or silent; ``told``: whether it was written behind earlier text."""
    unlikely = params.logprob_threshold is not None and written.avg_logprob < params.logprob_threshold
    if params.no_speech_threshold is not None and written.no_speech_prob > params.no_speech_threshold and unlikely:
        return "silent"
    repeats = params.compression_ratio_threshold is not None and (
        compression_ratio(written, vocabulary) > params.compression_ratio_threshold
    )
    # Behind earlier text the probability is high for speech too: up to 0.9 was seen.
    sure = params.sure_no_speech_threshold is not None and written.no_speech_prob > params.sure_no_speech_threshold
    if sure and not told and written.avg_logprob < _DOUBTFUL:
        return "silent"
    return "again" if unlikely or repeats else "good"


def still(levels: npt.NDArray[np.float32], params: SpeechRecognitionParams) -> bool:
    """Whether nobody can be heard to speak in a segment of these levels, whatever a model would write.

    Digital silence and the like is too quiet. Noise, hum and tones that last are steady: of 30 s of a voice, in noise
    as loud as itself, the loud parts are 10 dB above the quiet ones (white noise: 2 dB, a tone: 0 dB).
    """
    if params.silence_threshold is not None and float(levels.max()) < params.silence_threshold:
        return True
    if params.steady_db is None or levels.size < _STEADY:
        return False
    quiet, loud = np.quantile(levels, (0.05, 0.95))
    return bool(10 * (loud - quiet) < params.steady_db)


def compression_ratio(written: Written, vocabulary: Vocabulary) -> float:
    """Bytes of the text's tokens, its end among them, by their bytes when deflated: high where it repeats itself."""
    width = int(math.log2(vocabulary.size) / 8) + 1
    ids = [*written.ids.tolist(), *([vocabulary.end] if written.finish_reason == "stop" else [])]
    raw = b"".join(token.to_bytes(width, "little") for token in ids)
    return len(raw) / len(zlib.compress(raw))
