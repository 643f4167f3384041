"""What a run planned and did, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.course import Step


@dataclass(frozen=True, kw_only=True)
class Audio:
    """What was expected of recordings.

    Args:
        seconds: of audio to hear, an estimate; None where no header told.
        speed: seconds of audio heard in a second, by all workers together.
        looked: recordings whose headers were looked at; told: of these, those whose header tells its length.
    """

    seconds: float | None
    speed: float
    looked: int
    told: int

    def __str__(self) -> str:
        if self.seconds is None:
            return f"unknown: none of {self.looked:,} headers tells a length"
        return f"about {duration(self.seconds)}, estimated from the headers of {self.told:,} of {self.looked:,} rows"


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What was expected of texts.

    Args:
        prompt_tokens: of all prompts, output_tokens: to write, both estimates; None where no row was answered.
        per_s: tokens written in a second by all workers together.
        rows: that the estimate is made of; texts: of them; cut: of these, those that the trial's bound cut.
        cap: tokens of a text in the trial at most; most: in a run.
    """

    prompt_tokens: float | None
    output_tokens: float | None
    per_s: float
    rows: int
    texts: int
    cut: int
    cap: int
    most: int

    def __str__(self) -> str:
        if self.prompt_tokens is None or self.output_tokens is None:
            return "unknown: no row of the trial was answered"
        read, written = f"{self.prompt_tokens:,.0f} of prompts", f"{self.output_tokens:,.0f} to write"
        found = f"about {read} and {written}, from {self.rows:,} rows"
        if not self.cut:
            return found
        cut = f"{self.cut:,} of {self.texts:,} texts were cut at the trial's {self.cap:,} tokens"
        if self.cut == self.texts:
            return f"{found}; {cut}: at most, for all {self.most:,} of each"
        return f"{found}; {cut}: estimated by how many ended"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What was expected before the table was read.

    Args:
        rows: rows to score.
        rows_per_s: of all workers together, loading left out.
        seconds: of the whole run.
        audio: of a task on recordings; writing: of one that writes texts; None for others.
    """

    rows: int
    rows_per_s: float
    seconds: float
    audio: Audio | None = None
    writing: Writing | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Args:
        job, identity, run_id: whose and which.
        model, version, digest, task, dtype, device: what scored; ``version`` is None for a folder.
        source, sink: as the definition names them.
        source_version, sink_version: Delta versions read up to and written; None for files and where nothing was new.
        commits: how many appends.
        rows: scored; failed: of these, rows with an error; skipped: of these, null inputs; duplicates: of these, rows
            answered by an equal row.
        tokens, padded_tokens: that went through the model, and the same with padding.
        written_tokens: of the texts that were written.
        audio_s: seconds of audio that were heard.
        load_s, encode_s, forward_s, decode_s: seconds summed over the workers. Encoding runs beside forward.
        seconds: wall time of the run.
        failed_where: the SQL condition that lists the failed rows in the sink.
        planned: what was expected.
        price, planned_price: of the run and as expected, where ``compute.price_per_hour`` is given; in its currency.
        course: how it went, commit by commit.
    """

    job: str
    identity: str
    run_id: str
    model: str
    version: str | None
    digest: str
    task: str
    dtype: str
    device: str
    source: str
    sink: str
    source_version: int | None = None
    sink_version: int | None = None
    commits: int = 0
    rows: int = 0
    failed: int = 0
    skipped: int = 0
    duplicates: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    written_tokens: int = 0
    audio_s: float = 0.0
    load_s: float = 0.0
    encode_s: float = 0.0
    forward_s: float = 0.0
    decode_s: float = 0.0
    seconds: float = 0.0
    failed_where: str = ""
    planned: Planned | None = field(default=None)
    price: float | None = None
    planned_price: float | None = None
    course: tuple[Step, ...] = ()

    @property
    def failed_fraction(self) -> float:
        """Failed rows of all rows; 0 where nothing was scored."""
        return self.failed / self.rows if self.rows else 0.0

    @property
    def padding_share(self) -> float:
        """Padding of everything that went through the model, 0 to 1."""
        return 1.0 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0

    @property
    def rows_per_s(self) -> float:
        """Rows by wall time, everything included."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Tokens by wall time, everything included."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def written_per_s(self) -> float:
        """Tokens that were written by wall time, everything included."""
        return self.written_tokens / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        """Seconds of audio by wall time, everything included; 0 without audio."""
        return self.audio_s / self.seconds if self.seconds else 0.0

    def as_dict(self) -> Mapping[str, Any]:
        """Everything but its course, for JSON."""
        told = {name: value for name, value in asdict(self).items() if name != "course"}
        derived = ("failed_fraction", "padding_share", "rows_per_s", "tokens_per_s", "written_per_s", "times_real_time")
        return {**told, **{name: getattr(self, name) for name in derived}}


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def rate(number: float) -> str:
    """Of something a second: ``1,200``, ``12``, below ten with a digit more: ``3.4``, ``0.051``."""
    return f"{number:,.0f}" if number >= 10 or not number else f"{number:.2g}"
