"""One measured process, as ``benchmarks.text.worker`` is; a pass transcribes every table of its ``Spec``."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from benchmarks.audio.spec import Spec
from benchmarks.text.worker import serve, spent


def main() -> None:
    serve(lambda: _make(Spec.from_json(sys.argv[1])), _one_pass)


def _one_pass(way: Any) -> dict[str, Any]:
    way.ready()
    passed = {}
    for table in way.tables:
        seconds, core_s = spent(partial(way.run, table))
        passed[table] = {"s": seconds, "core_s": core_s}
    return passed


def _make(spec: Spec) -> Any:
    from benchmarks.audio import alone

    if spec.way in alone.WAYS:
        return alone.Alone(spec)
    from benchmarks.audio.spark import AudioWay  # Spark is not asked for where there is none

    return AudioWay(spec)


if __name__ == "__main__":
    main()
