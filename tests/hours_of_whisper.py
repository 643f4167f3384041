"""Transcribes hours with a tiny Whisper, and prints the bytes of memory that took beyond what minutes take."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from tests.memory import peak
from tests.recordings import sparse
from tests.scoring import scorer


def main(model: str, folder: str, mode: str, hours: int) -> None:
    """Hears one token in every window of ``hours`` files of an hour, made in ``folder``."""
    heard = {"silence_threshold": None, "steady_db": None, "max_new_tokens": 1, "temperatures": (0.0,)}
    params = {**heard, "language": "en", "long_form": mode, "roots": [folder]}
    made = scorer(Path(model), task="automatic-speech-recognition", params=params, inputs=("audio",))

    def seconds(length: float, count: int) -> float:
        files = [str(sparse(Path(folder) / f"{length}-{i}.wav", length)) for i in range(count)]
        table = pa.record_batch({"audio": pa.array(files, pa.string())})
        found = [row for one in made.score([table]) for row in one.result.to_pylist()]
        if any(row["error"] or not row["tokens"] for row in found):
            raise SystemExit(f"expected transcripts, got {[row['error'] for row in found]}")
        return float(sum(row["duration_s"] for row in found))

    seconds(600.0, 2)
    before = peak()
    if (found := seconds(3600.0, hours)) != 3600.0 * hours:
        raise SystemExit(f"expected {hours} hours, got {found} s")
    print(peak() - before)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
