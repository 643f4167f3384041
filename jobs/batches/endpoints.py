"""Which endpoint of OpenAI's is which task, and what of a request's body the task takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

#: What no answer depends on: a request may carry it, whatever it says.
_ASIDE: Final = (
    *("model", "user", "metadata", "store", "service_tier", "stream_options"),
    *("safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
)


@dataclass(frozen=True)
class Field:
    """A key of a request's body that the task has as a parameter.

    Args:
        param: the task's name for it.
        kind: what it holds; ``texts`` is a text or a list of them.
    """

    param: str
    kind: Literal["int", "float", "texts"]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.

    Args:
        url: as a line names it.
        role: the task's main input; column: of the source, that holds it.
        prompt: the key of the body that is the main input; None where the task reads the whole body.
        many: whether the main input is a list of texts (a text is one of one).
        fields: keys of the body that become parameters, each a column of the source.
        neutral: keys that the task does not have → the values that ask for nothing.
        params: parameters that the task needs to read this format.
    """

    url: str
    role: str
    column: str
    prompt: str | None = None
    many: bool = False
    fields: Mapping[str, Field] = field(default_factory=dict)
    neutral: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    aside: tuple[str, ...] = _ASIDE


_COMPLETION: Final = MappingProxyType(
    {
        "max_tokens": Field("max_new_tokens", "int"),
        "min_tokens": Field("min_new_tokens", "int"),
        "n": Field("n", "int"),
        "seed": Field("seed", "int"),
        "stop": Field("stop", "texts"),
        "temperature": Field("temperature", "float"),
        "top_p": Field("top_p", "float"),
        "top_k": Field("top_k", "int"),
        "repetition_penalty": Field("repetition_penalty", "float"),
    }
)
_NO_COMPLETION: Final = MappingProxyType(
    {
        "best_of": (1,),
        "echo": (False,),
        "frequency_penalty": (0,),
        "logit_bias": ({},),
        "logprobs": (),
        "presence_penalty": (0,),
        "stream": (False,),
        "suffix": ("",),
    }
)

#: Task → its endpoint.
ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "llm/v1/chat": Endpoint("/v1/chat/completions", role="messages", column="body", params={"strings": "json"}),
    "llm/v1/completions": Endpoint(
        "/v1/completions",
        role="prompt",
        column="prompt",
        prompt="prompt",
        fields=_COMPLETION,
        neutral=_NO_COMPLETION,
    ),
    "llm/v1/embeddings": Endpoint(
        "/v1/embeddings",
        role="input",
        column="input",
        prompt="input",
        many=True,
        fields={"dimensions": Field("dimensions", "int")},
        neutral={"encoding_format": ("float",)},
    ),
}
