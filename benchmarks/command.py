"""What every benchmark's command does around its work: says what goes on, prints the report and saves it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.text.report import finish

Tell: TypeAlias = Callable[[str], None]


def carry_out(work: Callable[[Tell], dict[str, Any]], save: Path | None) -> None:
    """Does the work, whose report is the last line and, where asked, a file. Lines told go to standard error."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by the way of exit, which ends what was started
    start = time.perf_counter()

    def tell(line: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {line}", file=sys.stderr, flush=True)

    report = work(tell)
    report["took_s"] = time.perf_counter() - start
    finish(report, save)


def some_of(names: tuple[str, ...], **groups: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Reads ``a,b`` as an option: some of the names, in their own order. A group's name stands for all of its names."""

    def read(text: str) -> tuple[str, ...]:
        asked = {name for part in text.split(",") for name in groups.get(part, (part,))}
        if unknown := asked - {*names}:
            expected = ", ".join([*groups, *names])
            raise argparse.ArgumentTypeError(f"expected some of {expected}; got {', '.join(sorted(unknown))}")
        return tuple(name for name in names if name in asked)

    return read
