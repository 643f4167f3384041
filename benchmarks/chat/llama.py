"""llama.cpp through llama-cpp-python, run as a program by an interpreter that has it: nothing of the house is imported.

Told what ``benchmarks.chat.member`` is told and answering as it does. ``llama`` is the class ``Llama``, a prompt after
the other, as its documentation shows; of the prompt before, it keeps the keys and values of what both have in common.
``llama-batch`` fills a batch with a token of each of so many answers, through the library's own functions, as its
server does; the common start of all prompts is computed once. The weights stay in the 4 bits that the file has.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

CONTEXT = 1024  # tokens of the longest prompt and answer


def serve(spec: dict[str, Any]) -> None:
    """Says what it is, then the tokens of the rows on each line it reads."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what llama.cpp prints is no answer
    import llama_cpp

    threads = max(1, spec["cores"] // spec["processes"])
    answer: Any = (Batches if spec["kind"] == "llama-batch" else OneByOne)(spec, threads)
    with open(spec["rows"], encoding="utf-8") as file:
        rows = json.load(file)
    print(json.dumps({"dtype": "Q4_1", "llama_cpp_python": llama_cpp.__version__, **spec["options"]}), file=channel)
    for line in sys.stdin:
        print(json.dumps({"written": answer([rows[i] for i in json.loads(line)])}), file=channel)


class OneByOne:
    """``Llama.generate``, greedy; the end token is never taken."""

    def __init__(self, spec: dict[str, Any], threads: int) -> None:
        from llama_cpp import Llama

        self.llama = Llama(spec["model"], n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.end = self.llama.token_eos()

    def __call__(self, rows: Sequence[dict[str, Any]]) -> list[list[int]]:
        return [self._written(row) for row in rows]

    def _written(self, row: dict[str, Any]) -> list[int]:
        steps = self.llama.generate(
            row["ids"], temp=0.0, top_k=1, repeat_penalty=1.0, logits_processor=[self._without_end]
        )
        return [token for token, _ in zip(steps, range(row["answer"]), strict=False)]

    def _without_end(self, ids: Any, scores: Any) -> Any:
        scores[self.end] = -float("inf")
        return scores


class Batches:
    """``llama_decode`` over one token of every answer that is being written; a finished one's place is filled again."""

    def __init__(self, spec: dict[str, Any], threads: int) -> None:
        import llama_cpp

        self.cpp = llama_cpp
        self.places = spec["options"]["batch"]
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(spec["model"].encode(), llama_cpp.llama_model_default_params())
        asked = llama_cpp.llama_context_default_params()
        asked.n_ctx, asked.n_batch, asked.n_seq_max = CONTEXT * (self.places + 1), 512, self.places + 1
        asked.n_threads = asked.n_threads_batch = threads
        asked.kv_unified = True  # so that the common start lies once in memory
        self.context = llama_cpp.llama_init_from_model(model, asked)
        self.memory = llama_cpp.llama_get_memory(self.context)
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.end, self.tokens = llama_cpp.llama_vocab_eos(vocabulary), llama_cpp.llama_vocab_n_tokens(vocabulary)
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> list[list[int]]:
        cpp, waiting = self.cpp, list(range(len(rows)))[::-1]
        written: list[list[int]] = [[] for _ in rows]
        cpp.llama_memory_clear(self.memory, True)
        shared = _common([row["ids"] for row in rows])
        if shared:
            self._decode([(token, at, 0, False) for at, token in enumerate(rows[0]["ids"][:shared])])
        running: dict[int, int] = {}  # place → row
        while waiting or running:
            for place in range(1, self.places + 1):
                if place not in running and waiting:
                    running[place] = waiting.pop()
                    self._start(place, rows[running[place]]["ids"], shared, written[running[place]])
            for place in [p for p, row in running.items() if len(written[row]) == rows[row]["answer"]]:
                cpp.llama_memory_seq_rm(self.memory, place, -1, -1)
                del running[place]
            steps = list(running.items())
            asked = [(written[row][-1], len(rows[row]["ids"]) + len(written[row]) - 1, p, True) for p, row in steps]
            for (_, row), token in zip(steps, self._decode(asked), strict=True):
                written[row].append(token)
        return written

    def _start(self, place: int, ids: list[int], shared: int, written: list[int]) -> None:
        self.cpp.llama_memory_seq_cp(self.memory, 0, place, 0, shared)
        own = list(enumerate(ids))[shared:]
        found: list[int] = []
        for start in range(0, len(own), 512):
            part = own[start : start + 512]
            found = self._decode([(token, at, place, at == len(ids) - 1) for at, token in part])
        written += found

    def _decode(self, asked: Sequence[tuple[int, int, int, bool]]) -> list[int]:
        """Likeliest next tokens where asked for; given are a token, its position, its place, whether it is asked."""
        import numpy as np

        if not asked:
            return []
        batch = self.batch
        batch.n_tokens = len(asked)
        for i, (token, position, place, wanted) in enumerate(asked):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, place
        if self.cpp.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode found no room: give it a larger context")
        found = []
        for i, (_, _, _, wanted) in enumerate(asked):
            if wanted:
                logits = np.ctypeslib.as_array(self.cpp.llama_get_logits_ith(self.context, i), shape=(self.tokens,))
                logits[self.end] = -np.inf
                found.append(int(logits.argmax()))
        return found


def _common(prompts: Sequence[list[int]]) -> int:
    """Tokens that all prompts start with, but for the last of the shortest, whose answer it starts."""
    first, last = min(prompts), max(prompts)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(same, min(map(len, prompts)) - 1)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
