"""One measured process. Told a ``Spec``, it says its cold pass, then one timed pass for each line it reads.

Started by ``benchmarks.text.turns``; what it says are lines of JSON on its standard output, and nothing else is: what
Spark and MLflow print goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks.processor import core_seconds
from benchmarks.text.spec import Spec


def main() -> None:
    serve(lambda: _make(Spec.from_json(sys.argv[1])), _one_pass)


def serve(make: Callable[[], Any], one_pass: Callable[[Any], dict[str, Any]]) -> None:
    """Makes a way and says its cold pass, then does what it reads: ``facts``, or a pass for any other word."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by the way of exit, which ends a team's processes too
    channel = own_output()
    way = make()
    _say(channel, way.cold())
    for word in sys.stdin:
        _say(channel, way.facts() if word.strip() == "facts" else one_pass(way))
    way.close()


def spent(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor in this process and those it started."""
    before = core_seconds(os.getpid())
    start = time.perf_counter()
    work()
    return time.perf_counter() - start, core_seconds(os.getpid()) - before


def _one_pass(way: Any) -> dict[str, float]:
    way.ready()
    fixed_s, _ = spent(way.ready)
    seconds, core_s = spent(way.run)
    return {"fixed_s": fixed_s, "s": seconds, "core_s": core_s}


def _make(spec: Spec) -> Any:
    from benchmarks.text import team

    if spec.way in team.WAYS:
        return team.Team(spec)
    from benchmarks.text.spark import SparkWay  # Spark is not asked for where there is none

    return SparkWay(spec)


def own_output() -> TextIO:
    """The standard output for this module alone; whoever else writes there writes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return channel


def _say(channel: TextIO, told: dict[str, Any]) -> None:
    print(json.dumps(told), file=channel)


if __name__ == "__main__":
    main()
