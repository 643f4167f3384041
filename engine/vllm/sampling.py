"""What is asked of vLLM for one prompt. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.errors import RowError
from engine.generation.backend import Decoding, Prompt

#: vLLM raises lower temperatures to this one, with no more than a line in its log.
_COLDEST: Final = 0.01
#: Seeds are kept in signed 64-bit integers on the device.
_SEEDS: Final = 1 << 63


def sampling(prompt: Prompt, end: int | None, size: int) -> dict[str, Any]:
    """The arguments of ``vllm.SamplingParams``, ``structured_outputs`` as those of ``StructuredOutputsParams``.

    Every value is given: nothing is left to the model's generation configuration. End tokens are those of the prompt
    alone (``ignore_eos``), and texts are made of tokens only where stop strings are looked for in them.

    Args:
        prompt: what is asked.
        end: the tokenizer's end token, with which a grammar's text ends.
        size: of the vocabulary.

    Raises RowError(invalid_parameter) for a temperature that vLLM would change.
    """
    asked = prompt.decoding
    temperature = asked.temperature or 0.0
    if 0 < temperature < _COLDEST:
        raise RowError(
            "invalid_parameter",
            f"expected a temperature of 0 or at least {_COLDEST}, which vLLM draws with; ask for another one, or for "
            "compute.backend: transformers",
        )
    return {
        "n": 1,
        "max_tokens": asked.max_tokens,
        "min_tokens": asked.min_tokens,
        "temperature": temperature,
        "top_k": asked.top_k,
        "top_p": asked.top_p,
        "min_p": asked.min_p,
        "seed": prompt.key % _SEEDS if temperature else None,
        "repetition_penalty": asked.repetition_penalty,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logit_bias": dict(asked.logit_bias) or None,
        "logprobs": asked.top_logprobs or 0,
        "flat_logprobs": True,
        "stop": list(asked.stop),
        "include_stop_str_in_output": True,
        "stop_token_ids": _ends(asked, end, size),
        "ignore_eos": True,
        "detokenize": bool(asked.stop),
        "skip_special_tokens": True,
        "structured_outputs": None if asked.grammar is None else constraint(asked.grammar.response_format),
    }


def constraint(response_format: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``StructuredOutputsParams`` for what an answer has to look like."""
    kind = response_format["type"]
    if kind == "json_object":
        return {"json_object": True}
    if kind == "json_schema":
        return {"json": response_format["json_schema"]["schema"]}
    if kind == "regex":
        return {"regex": response_format["pattern"]}
    if kind == "choice":
        return {"choice": list(response_format["choices"])}
    raise RowError(
        "invalid_parameter",
        f"expected a response_format of type json_object, json_schema, regex or choice for vLLM, got {kind}",
    )


def _ends(asked: Decoding, end: int | None, size: int) -> list[int]:
    """The prompt's end tokens, and the tokenizer's where there is a grammar: nothing else may follow its end.

    Some models name end tokens that they have no logits for, which vLLM refuses; they end no text.
    """
    ends = asked.ends if asked.grammar is None or end is None else (*asked.ends, end)
    return [token for token in dict.fromkeys(ends) if token < size]
