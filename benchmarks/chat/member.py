"""One process of a team. Told a ``Spec``, it says what it is, then the tokens of the rows on each line it reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from benchmarks.chat import rows as table
from benchmarks.chat.engine import Engine
from benchmarks.chat.generate_batch import GenerateBatch
from benchmarks.chat.spec import Spec
from benchmarks.chat.static import Static
from benchmarks.chat.task import ChatTask
from benchmarks.text.worker import own_output

#: Rows in, what was written for each out; ``facts`` says what it runs on.
KINDS: Final[dict[str, Callable[[Spec], Any]]] = {
    "static": Static,
    "generate-batch": GenerateBatch,
    "engine": Engine,
    "chat-task": ChatTask,
}


def main() -> None:
    spec = Spec.from_json(sys.argv[1])
    channel = own_output()
    if spec.device == "cpu":
        import torch

        torch.set_num_threads(spec.threads)
    made = table.read(spec.rows)
    answer = KINDS[spec.kind](spec)
    print(json.dumps(answer.facts), file=channel)
    for line in sys.stdin:
        written = answer([made[number] for number in json.loads(line)])
        print(json.dumps({"written": written}), file=channel)


if __name__ == "__main__":
    main()
