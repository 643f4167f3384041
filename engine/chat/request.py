"""An OpenAI request body: its messages, and its parameters under this task's names. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from engine.chat.params import ChatParams
from engine.errors import RowError

#: Parameters that no row gives: what its column holds, and what runs on the executor for it.
FIXED: Final = ("strings", "chat_template", "control_tokens", "roll_forward")
#: Parameters that a row may give.
BY_ROW: Final = tuple(f.name for f in fields(ChatParams) if f.name not in FIXED)
#: OpenAI's and vLLM's names that are others here, those that win last.
_NAMES: Final[Mapping[str, str]] = {
    "chat_template_kwargs": "template_args",
    "max_completion_tokens": "max_tokens",
}
#: Arguments of the template that vLLM takes beside them.
_TEMPLATE: Final = ("add_generation_prompt", "continue_final_message")
#: What does not change the answer.
_IGNORED: Final = frozenset(
    {
        *("metadata", "model", "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        *("service_tier", "store", "stream_options", "user"),
    }
)
#: What changes nothing with these values.
_HARMLESS: Final[Mapping[str, tuple[Any, ...]]] = {
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "stream": (False,),
    "tool_choice": ("auto", "none"),
}


def parameters(given: Mapping[str, Any], *, known: frozenset[str] = frozenset(BY_ROW)) -> dict[str, Any]:
    """Parameters that a row gives, under our names; null is as good as left out.

    Raises RowError(invalid_parameter) for one that the task does not have: ignored, it would change the answer.
    """
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if found.get("tool_choice") == "none":
        found["tools"] = []  # the definition's, too
    for name, harmless in _HARMLESS.items():
        if name in found and found.pop(name) not in harmless:
            words = " or ".join(str(value).lower() for value in harmless)
            raise RowError("invalid_parameter", f"expected {name} to be {words}: a row has one whole answer")
    template = {name: found.pop(name) for name in _TEMPLATE if name in found}
    for name, ours in _NAMES.items():
        if name in found:
            found[ours] = found.pop(name)
    if template:
        args = found.get("template_args", {})
        found["template_args"] = {**args, **template} if isinstance(args, Mapping) else args
    found = {name: value for name, value in found.items() if name not in _IGNORED}
    if not known >= found.keys():
        raise RowError(
            "invalid_parameter", f"expected parameters that a row may give ({', '.join(BY_ROW)}), got others"
        )
    return found
