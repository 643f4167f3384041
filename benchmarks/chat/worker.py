"""One measured process, as ``benchmarks.text.worker`` is, of a ``benchmarks.chat.spec.Spec``."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.chat.spec import Spec
from benchmarks.text.worker import serve, spent


def main() -> None:
    serve(lambda: _make(Spec.from_json(sys.argv[1])), _one_pass)


def _one_pass(way: Any) -> dict[str, Any]:
    way.ready()
    seconds, core_s = spent(way.run)
    return {"s": seconds, "core_s": core_s}


def _make(spec: Spec) -> Any:
    if spec.kind:
        from benchmarks.chat.team import Team

        return Team(spec)
    from benchmarks.chat.spark import ChatWay  # Spark is not asked for where there is none

    return ChatWay(spec)


if __name__ == "__main__":
    main()
