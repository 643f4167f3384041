"""OpenAI's batch files: lines of requests as a source, lines of responses and of errors as a sink."""

from typing import Final

#: What a definition writes as ``format:`` of source and sink.
FORMAT: Final = "openai-batch"
#: What tells the lines of a batch apart.
KEY: Final = "custom_id"
#: What is written; what people wait for comes last.
FILES: Final = ("errors.jsonl", "output.jsonl")
#: Rows whose lines are read or made at once: as Python's values they take ten times the memory.
ROWS: Final = 256
