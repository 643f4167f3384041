"""The demonstration's calls: texts written for it, the recordings made of them, and looks into what was heard."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.speech import say
from demo.tables import read as read_table

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

RECORDINGS: Final = Path(".demo/recordings")
SOURCE: Final = ".demo/tables/calls"
TRANSCRIBED: Final = ".demo/tables/calls_transcribed"
BROKEN: Final = "c00"  # a call whose recording is cut off in its header

_SCHEMA: Final = "call_id STRING, product STRING, path STRING"


@dataclass(frozen=True)
class Call:
    """One line of calls.tsv; ``voice`` is one of espeak-ng's."""

    call_id: str
    product: str
    voice: str
    text: str


@dataclass(frozen=True)
class Form:
    """How a call is kept.

    Args:
        ending: of the file.
        rate: samples a second.
        channels: that it is written to; the caller is on all of them.
        options: of soundfile, as the subtype.
    """

    ending: str
    rate: int
    channels: int
    options: dict[str, str]


#: What telephones, studios, browsers and phones write; the calls take turns.
FORMS: Final = (
    Form("wav", 8_000, 1, {"subtype": "ULAW"}),
    Form("flac", 44_100, 2, {}),
    Form("ogg", 16_000, 1, {"subtype": "VORBIS"}),
    Form("mp3", 32_000, 1, {}),
)


def read() -> list[Call]:
    """All calls, in the order of the file; the last is the long one."""
    with Path(__file__).with_name("calls.tsv").open(encoding="utf-8", newline="") as lines:
        return [Call(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def record(calls: Sequence[Call], folder: Path = RECORDINGS) -> tuple[list[Path], float]:
    """Speaks every call into a file of its own below ``folder``. Returns the files and their seconds of speech."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, seconds = [], 0.0
    for i, call in enumerate(calls):
        samples, rate = say(call.text, voice=call.voice)
        paths.append(write(folder / call.call_id, samples, rate, FORMS[i % len(FORMS)]))
        seconds += samples.size / rate
    return paths, seconds


def write(stem: Path, samples: Any, rate: int, form: Form) -> Path:
    """Writes samples (float32 [samples], one channel) in a form. Returns the file."""
    import numpy as np
    import soundfile
    import soxr

    path = stem.with_suffix(f".{form.ending}")
    resampled = soxr.resample(samples, rate, form.rate)
    soundfile.write(path, np.repeat(resampled[:, None], form.channels, axis=1), form.rate, **form.options)
    return path


def break_off(path: Path) -> Path:
    """The first bytes of a recording as a file beside it, which nothing can decode. Returns it."""
    broken = path.with_stem(BROKEN)
    broken.write_bytes(path.read_bytes()[:20])
    return broken


def append(spark: SparkSession, rows: Sequence[tuple[str, str, Path]]) -> None:
    """Adds (call_id, product, file) to the source table; the first call makes it. Its paths start from the root."""
    lines = [(call_id, product, path.name) for call_id, product, path in rows]
    spark.createDataFrame(lines, _SCHEMA).coalesce(1).write.format("delta").mode("append").save(SOURCE)


def transcribed(spark: SparkSession) -> list[Row]:
    """What was heard in each call, by its key: call_id, path, transcript (null fields where there is an error)."""
    heard = read_table(spark, TRANSCRIBED).select("call_id", "transcript")
    return read_table(spark, SOURCE).join(heard, "call_id").orderBy("call_id").collect()


def segments(spark: SparkSession, call_id: str, limit: int) -> list[Row]:
    """The first segments of a call, as SQL has them: start, end, text."""
    one = read_table(spark, TRANSCRIBED).where(f"call_id = '{call_id}'")
    return one.selectExpr("inline(transcript.segments)").select("start", "end", "text").limit(limit).collect()
