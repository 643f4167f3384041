"""Input and output Arrow types of every task: the only place where types live.

Spark DDL, JSON for people and (later) MLflow signatures are derived from here. A task's output shape never depends on
a parameter. Structs grow by new top-level fields only; the elements of ``list<struct>`` are frozen. Runs anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from engine.errors import SchemaError, UnsupportedTaskError

#: Every output struct ends with this: null on success.
ERROR: Final = pa.struct([("code", pa.string()), ("message", pa.string()), ("retryable", pa.bool_())])

_LABEL_SCORE: Final = pa.struct([("label", pa.string()), ("score", pa.float32())])


@dataclass(frozen=True)
class Input:
    """One input role of a task.

    Args:
        name: of the role.
        type: what the engine reads.
        required: a row whose column of a required role is null gives a null struct; optional roles may be left out.
        also: other types that the task reads as well.
        nested: whether any list of structs will do too, whatever its fields.
        record: whether any struct will do too, whatever its fields.
    """

    name: str
    type: pa.DataType
    required: bool = True
    also: tuple[pa.DataType, ...] = ()
    nested: bool = False
    record: bool = False

    @property
    def words(self) -> str:
        """The types as Spark names them: ``STRING or ARRAY<STRING>``."""
        named = [ddl(one) for one in (self.type, *self.also)]
        named += ["ARRAY<STRUCT<…>>"] * self.nested + ["STRUCT<…>"] * self.record
        return " or ".join(named)


@dataclass(frozen=True)
class TaskSchema:
    """What a task reads and what it gives.

    ``inputs[0]`` is the role that a plain ``input="column"`` means; ``fields`` are the output struct's but ``error``.
    """

    inputs: tuple[Input, ...]
    fields: tuple[pa.Field, ...]

    @property
    def output(self) -> pa.StructType:
        """The output struct, ``error`` last."""
        return pa.struct([*self.fields, pa.field("error", ERROR)])

    def role(self, name: str) -> Input:
        """The input role of that name. Raises SchemaError where the task has none."""
        for role in self.inputs:
            if role.name == name:
                return role
        known = ", ".join(role.name for role in self.inputs)
        raise SchemaError(f"expected inputs named {known}, got {name!r}: rename the input")


def _list(of: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", of))


def _fields(**types: pa.DataType) -> tuple[pa.Field, ...]:
    return tuple(pa.field(name, of) for name, of in types.items())


_TEXT: Final = Input("text", pa.string())
_PROMPT: Final = Input("prompt", pa.string())
_SEEN: Final = {"tokens": pa.int32(), "truncated": pa.bool_()}
_VECTOR: Final = _list(pa.float32())
_SCORES: Final = {"label": pa.string(), "score": pa.float32(), "scores": _list(_LABEL_SCORE)}
_ENTITY: Final = pa.struct(
    _fields(entity=pa.string(), score=pa.float32(), word=pa.string(), start=pa.int32(), end=pa.int32())
)
_FILLED: Final = pa.struct(_fields(token=pa.string(), score=pa.float32(), sequence=pa.string()))
_ANSWER: Final = {"answer": pa.string(), "score": pa.float32(), "start": pa.int32(), "end": pa.int32()}
_CELL: Final = pa.struct(_fields(row=pa.int32(), column=pa.int32(), text=pa.string(), score=pa.float32()))
_CHOICE: Final = pa.struct(_fields(index=pa.int32(), text=pa.string(), finish_reason=pa.string(), logprob=pa.float32()))
_USAGE: Final = pa.struct(_fields(prompt_tokens=pa.int32(), completion_tokens=pa.int32(), total_tokens=pa.int32()))
_EMBEDDING: Final = pa.struct(_fields(index=pa.int32(), embedding=_VECTOR))
_EMBEDDING_USAGE: Final = pa.struct(_fields(prompt_tokens=pa.int32(), total_tokens=pa.int32()))

#: A recording: its file's bytes, a path, URI or base64 text, or samples (whose rate stands in ``sampling_rate``).
_AUDIO: Final = Input("audio", pa.binary(), also=(pa.string(), _list(pa.float32()), _list(pa.float64())))
_RATE: Final = Input("sampling_rate", pa.int32(), required=False)
_HEARD: Final = {"duration_s": pa.float64(), "truncated": pa.bool_()}
#: Times are seconds from the start of the recording.
_SEGMENT: Final = pa.struct(
    _fields(
        start=pa.float64(),
        end=pa.float64(),
        text=pa.string(),
        avg_logprob=pa.float32(),
        no_speech_prob=pa.float32(),
    )
)
_WORD: Final = pa.struct(_fields(start=pa.float64(), end=pa.float64(), word=pa.string(), score=pa.float32()))

#: text-generation and llm/v1/completions: logprob is the sum over the completion's tokens, natural logarithm.
_COMPLETIONS: Final = TaskSchema(
    inputs=(_PROMPT,), fields=_fields(choices=_list(_CHOICE), usage=_USAGE, truncated=pa.bool_())
)
#: A chat's answer, as an OpenAI ChatCompletion has it. Tokens that are no whole characters are known by ``bytes``.
_FUNCTION: Final = pa.struct(_fields(name=pa.string(), arguments=pa.string()))
_TOOL_CALL: Final = pa.struct(_fields(id=pa.string(), type=pa.string(), function=_FUNCTION))
_MESSAGE: Final = pa.struct(_fields(role=pa.string(), content=pa.string(), tool_calls=_list(_TOOL_CALL)))
_TOKEN: Final = _fields(token=pa.string(), logprob=pa.float32(), bytes=_list(pa.int32()))
_TOKEN_LOGPROB: Final = pa.struct([*_TOKEN, pa.field("top_logprobs", _list(pa.struct(_TOKEN)))])
_CHAT_CHOICE: Final = pa.struct(
    _fields(
        index=pa.int32(),
        message=_MESSAGE,
        finish_reason=pa.string(),
        logprobs=pa.struct(_fields(content=_list(_TOKEN_LOGPROB))),
    )
)
_CHAT_USAGE: Final = pa.struct(
    [*_USAGE.fields, pa.field("prompt_tokens_details", pa.struct(_fields(cached_tokens=pa.int32())))]
)
#: Of a conversation whose user turns were answered one after the other (``roll_forward``): each answer.
_TURN: Final = pa.struct(
    _fields(
        index=pa.int32(),
        content=pa.string(),
        finish_reason=pa.string(),
        prompt_tokens=pa.int32(),
        completion_tokens=pa.int32(),
        cached_tokens=pa.int32(),
    )
)

#: The sequence-to-sequence tasks: the best text, and the others that beams or sampling gave, best first.
_TEXT_TO_TEXT: Final = TaskSchema(
    inputs=(_TEXT,),
    fields=_fields(
        text=pa.string(),
        prompt_tokens=pa.int32(),
        completion_tokens=pa.int32(),
        finish_reason=pa.string(),
        logprob=pa.float32(),
        alternatives=_list(_CHOICE),
        truncated=pa.bool_(),
    ),
)

SCHEMAS: Final[Mapping[str, TaskSchema]] = {
    "text-classification": TaskSchema(
        inputs=(_TEXT, Input("text_pair", pa.string(), required=False)), fields=_fields(**_SCORES, **_SEEN)
    ),
    "token-classification": TaskSchema(inputs=(_TEXT,), fields=_fields(entities=_list(_ENTITY), **_SEEN)),
    "zero-shot-classification": TaskSchema(inputs=(_TEXT,), fields=_fields(**_SCORES, **_SEEN)),
    "fill-mask": TaskSchema(inputs=(_TEXT,), fields=_fields(masks=_list(_list(_FILLED)), **_SEEN)),
    "question-answering": TaskSchema(
        inputs=(Input("question", pa.string()), Input("context", pa.string())),
        fields=_fields(**_ANSWER, answers=_list(pa.struct(_fields(**_ANSWER))), tokens=pa.int32()),
    ),
    "table-question-answering": TaskSchema(
        inputs=(Input("question", pa.string()), Input("table", pa.string(), nested=True)),
        fields=_fields(answer=pa.string(), cells=_list(_CELL), aggregator=pa.string(), **_SEEN),
    ),
    "summarization": _TEXT_TO_TEXT,
    "translation": _TEXT_TO_TEXT,
    "text2text-generation": _TEXT_TO_TEXT,
    "text-generation": _COMPLETIONS,
    "llm/v1/completions": _COMPLETIONS,
    "llm/v1/chat": TaskSchema(
        # Messages as a list of structs (role, content, name, tool_calls, tool_call_id) or as text; parameters of the
        # row as a struct or JSON.
        inputs=(
            Input("messages", pa.string(), nested=True),
            Input("params", pa.string(), required=False, record=True),
        ),
        fields=_fields(
            id=pa.string(),
            model=pa.string(),
            choices=_list(_CHAT_CHOICE),
            usage=_CHAT_USAGE,
            turns=_list(_TURN),
            truncated=pa.bool_(),
        ),
    ),
    "embeddings": TaskSchema(inputs=(_TEXT,), fields=_fields(embedding=_VECTOR, **_SEEN)),
    "list-embeddings": TaskSchema(
        inputs=(Input("texts", _list(pa.string())),), fields=_fields(embeddings=_list(_VECTOR), **_SEEN)
    ),
    "llm/v1/embeddings": TaskSchema(
        inputs=(Input("input", pa.string(), also=(_list(pa.string()),)),),
        fields=_fields(data=_list(_EMBEDDING), usage=_EMBEDDING_USAGE, truncated=pa.bool_()),
    ),
    "feature-extraction": TaskSchema(inputs=(_TEXT,), fields=_fields(features=_list(_VECTOR), **_SEEN)),
    "reranking": TaskSchema(
        inputs=(Input("query", pa.string()), Input("passage", pa.string())), fields=_fields(score=pa.float32(), **_SEEN)
    ),
    "automatic-speech-recognition": TaskSchema(
        inputs=(_AUDIO, _RATE),
        fields=_fields(
            text=pa.string(),
            language=pa.string(),
            duration_s=pa.float64(),
            segments=_list(_SEGMENT),
            words=_list(_WORD),
            tokens=pa.int32(),
            no_speech_prob=pa.float32(),
        ),
    ),
    "audio-classification": TaskSchema(inputs=(_AUDIO, _RATE), fields=_fields(**_SCORES, **_HEARD)),
    "zero-shot-audio-classification": TaskSchema(inputs=(_AUDIO, _RATE), fields=_fields(**_SCORES, **_HEARD)),
    "text-to-audio": TaskSchema(
        inputs=(_TEXT,),
        fields=_fields(
            audio=pa.binary(),
            sampling_rate=pa.int32(),
            duration_s=pa.float64(),
            **_SEEN,
        ),
    ),
}


def schema_of(task: str) -> TaskSchema:
    """The schema of a task. Raises UnsupportedTaskError with the list of tasks where there is none."""
    try:
        return SCHEMAS[task]
    except KeyError:
        raise UnsupportedTaskError(
            f"expected a task among {', '.join(SCHEMAS)}; got {task!r}. `embercast tasks` shows each with its schema"
        ) from None


_DDL: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.binary(): "BINARY",
}


def ddl(dtype: pa.DataType) -> str:
    """Spark DDL of an Arrow type: ``struct<label: string>`` → ``STRUCT<label: STRING>``.

    Raises SchemaError for a type that no task schema uses.
    """
    if pa.types.is_struct(dtype):
        return "STRUCT<" + ", ".join(f"{_name(f.name)}: {ddl(f.type)}" for f in dtype.fields) + ">"
    if pa.types.is_list(dtype):
        return f"ARRAY<{ddl(dtype.value_type)}>"
    try:
        return _DDL[dtype]
    except KeyError:
        raise SchemaError(f"expected a type with a Spark name, got {dtype}: add it to engine.schema._DDL") from None


def _name(name: str) -> str:
    """A field's name as DDL takes it: quoted where it is no identifier, as a foreign model's may not be."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else f"`{name}`"


#: What one window cost. The scorer gives it beside each window; seconds are of one worker.
STATS: Final = pa.struct(
    [
        ("rows", pa.int64()),  # rows that came in
        ("nulls", pa.int64()),  # of these, null inputs (null structs)
        ("failed", pa.int64()),  # of these, rows with an error
        ("duplicates", pa.int64()),  # of these, rows answered by an equal row of the window
        ("tokens", pa.int64()),  # tokens that went through the model
        ("padded_tokens", pa.int64()),  # the same with padding: the padding share is 1 - tokens / padded_tokens
        ("written_tokens", pa.int64()),  # tokens of the texts that were written
        ("batches", pa.int64()),  # micro-batches
        ("audio_s", pa.float64()),  # seconds of audio that were heard
        ("load_s", pa.float64()),  # seconds until the model was ready, in the worker's first window
        ("encode_s", pa.float64()),
        ("forward_s", pa.float64()),
        ("decode_s", pa.float64()),
    ]
)
