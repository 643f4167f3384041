"""A stand-in that speaks vLLM 0.32's offline API over transformers on a CPU: same names, same checks, strict.

``install`` puts it into ``sys.modules`` under the name vllm. It takes the arguments of ``vllm.LLM`` and
``SamplingParams`` that the engine gives and no others, refuses with the same exceptions what vLLM refuses, and writes
each prompt alone, one forward pass over the whole text for each token.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, Final, TypedDict

import pytest
import torch
import transformers

#: Tokens of a block of keys and values, as vLLM has it on CUDA.
BLOCK: Final = 16


class VLLMClientError(Exception):
    """What the request is to blame for; no ValueError, since 0.32."""


class VLLMValidationError(VLLMClientError):
    def __init__(self, message: str, *, parameter: str | None = None, value: Any = None) -> None:
        super().__init__(f"{message} (parameter={parameter}, value={value})")
        self.parameter = parameter
        self.value = value


class TokensPrompt(TypedDict):
    prompt_token_ids: list[int]


@dataclass
class StructuredOutputsParams:
    json: str | dict[str, Any] | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in vars(self).values()) != 1:
            raise VLLMValidationError("You must use one kind of structured outputs constraint")


@dataclass(kw_only=True)
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    flat_logprobs: bool = False
    detokenize: bool = True
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    structured_outputs: StructuredOutputsParams | None = None
    logit_bias: dict[int, float] | None = None

    def __post_init__(self) -> None:
        assert self.max_tokens is not None
        checks = {
            "presence_penalty": -2 <= self.presence_penalty <= 2,
            "frequency_penalty": -2 <= self.frequency_penalty <= 2,
            "repetition_penalty": math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0,
            "temperature": 0 <= self.temperature <= 2,
            "top_p": 0 < self.top_p <= 1,
            "top_k": isinstance(self.top_k, int) and self.top_k >= -1,
            "min_p": 0 <= self.min_p <= 1,
            "max_tokens": self.max_tokens >= 1,
            "min_tokens": 0 <= self.min_tokens <= self.max_tokens,
            "logprobs": self.logprobs is None or self.logprobs >= -1,
            "stop": all(self.stop or ()) and (self.detokenize or not self.stop),
        }
        for name, right in checks.items():
            if not right:
                raise VLLMValidationError(f"{name} is out of range", parameter=name, value=getattr(self, name))
        if self.seed is not None:
            assert -(2**63) <= self.seed < 2**63, "the device keeps signed 64-bit integers"
        if 0 < self.temperature < 0.01:
            self.temperature = 0.01


@dataclass
class FlatLogprobs:
    start_indices: list[int] = field(default_factory=list)
    end_indices: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    def tell(self, taken: int, raw: torch.Tensor, likeliest: int) -> None:
        best = raw.topk(likeliest)
        self.start_indices.append(len(self.token_ids))
        self.token_ids += [taken, *best.indices.tolist()]
        self.logprobs += [float(raw[taken]), *best.values.tolist()]
        self.end_indices.append(len(self.token_ids))


class LLM:
    """``starts`` holds the arguments that each was made with."""

    starts: list[dict[str, Any]] = []  # noqa: RUF012 - of the class, as a recorder

    def __init__(
        self,
        model: str,
        *,
        tokenizer: str | None = None,
        dtype: str = "auto",
        load_format: str = "auto",
        trust_remote_code: bool = False,
        generation_config: str = "auto",
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.92,
        enable_prefix_caching: bool | None = None,
        max_logprobs: int = 20,
        logprobs_mode: str = "raw_logprobs",
        structured_outputs_config: dict[str, Any] | None = None,
        seed: int = 0,
        device_ids: list[int] | None = None,
    ) -> None:
        LLM.starts.append({name: value for name, value in locals().items() if name != "self"})
        assert flat_names(model) is None, "vLLM refuses weights that it does not know"
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer or model)
        config = self.model.config
        longest = config.max_position_embeddings if max_model_len in (None, -1) else max_model_len
        self.model_config = SimpleNamespace(max_model_len=longest, get_vocab_size=lambda: config.vocab_size)
        self.max_logprobs = config.vocab_size if max_logprobs == -1 else max_logprobs
        self.seen: set[tuple[int, ...]] = set()
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=self._shutdown))
        self.running = True

    def _shutdown(self) -> None:
        self.running = False

    def get_tokenizer(self) -> Any:
        return self.tokenizer

    def generate(
        self, prompts: Sequence[TokensPrompt], sampling_params: Sequence[SamplingParams], *, use_tqdm: bool = True
    ) -> list[Any]:
        assert self.running, "an engine that was shut down writes nothing"
        if len(prompts) != len(sampling_params):
            raise VLLMValidationError("The lengths of prompts and params must be the same.")
        asked = list(zip((prompt["prompt_token_ids"] for prompt in prompts), sampling_params, strict=True))
        for ids, params in asked:
            self._check(ids, params)
        return [self._output(ids, params) for ids, params in asked]

    def _check(self, ids: list[int], params: SamplingParams) -> None:
        size = self.model.config.vocab_size
        if not ids or max(ids) >= size:
            raise VLLMValidationError("The prompt is empty or has a token out of vocabulary")
        if len(ids) >= self.model_config.max_model_len:
            raise VLLMValidationError("The prompt is too long", parameter="input_tokens", value=len(ids))
        if (params.logprobs or 0) > self.max_logprobs:
            raise VLLMValidationError("Too many logprobs", parameter="logprobs", value=params.logprobs)
        for name, tokens in (("logit_bias", params.logit_bias or ()), ("stop_token_ids", params.stop_token_ids or ())):
            if any(not 0 <= token < size for token in tokens):
                raise VLLMValidationError("out-of-vocab token ids", parameter=name, value=list(tokens))

    def _output(self, ids: list[int], params: SamplingParams) -> Any:
        written, told, finish, stop = self._write(ids, params)
        text = SimpleNamespace(
            index=0, token_ids=written, logprobs=told, finish_reason=finish, stop_reason=stop, cumulative_logprob=None
        )
        blocks = range(BLOCK, len(ids), BLOCK)
        cached = max((end for end in blocks if tuple(ids[:end]) in self.seen), default=0)
        whole = [*ids, *written]
        self.seen |= {tuple(whole[:end]) for end in range(BLOCK, len(whole) + 1, BLOCK)}
        return SimpleNamespace(
            request_id="0", prompt_token_ids=ids, outputs=[text], finished=True, num_cached_tokens=cached, error=None
        )

    def _write(self, ids: list[int], params: SamplingParams) -> tuple[list[int], FlatLogprobs, str, int | str | None]:
        assert params.flat_logprobs
        assert params.logprobs is not None
        assert params.max_tokens is not None
        generator = torch.Generator().manual_seed(params.seed or 0)
        written: list[int] = []
        told = FlatLogprobs()
        while True:
            with torch.no_grad():
                logits = self.model(torch.tensor([[*ids, *written]])).logits[0, -1].float()
            self._constrain(logits, written, params.structured_outputs)
            raw = logits.log_softmax(-1)
            token = _taken(_changed(logits, ids, written, params, self.tokenizer.eos_token_id), params, generator)
            told.tell(token, raw, params.logprobs)
            written.append(token)
            if token in (params.stop_token_ids or ()):
                return written, told, "stop", token
            if not params.ignore_eos and token == self.tokenizer.eos_token_id:
                return written, told, "stop", None
            found = self._stop_string(written, params)
            if found is not None:
                return written, told, "stop", found
            if len(written) >= params.max_tokens or len(ids) + len(written) >= self.model_config.max_model_len:
                return written, told, "length", None

    def _stop_string(self, written: list[int], params: SamplingParams) -> str | None:
        if not params.stop or len(written) <= params.min_tokens:
            return None
        text = self.tokenizer.decode(written, skip_special_tokens=params.skip_special_tokens)
        return next((string for string in params.stop if string in text), None)

    def _constrain(self, logits: torch.Tensor, written: list[int], asked: StructuredOutputsParams | None) -> None:
        """The mask of a grammar, which vLLM lays over the logits before it takes the raw log probabilities."""
        if asked is None:
            return
        assert asked.choice is not None, "the stand-in has grammars of choices alone"
        whole = [self.tokenizer.encode(choice, add_special_tokens=False) for choice in asked.choice]
        going = [one for one in whole if one[: len(written)] == written]
        allowed = [one[len(written)] if len(one) > len(written) else self.tokenizer.eos_token_id for one in going]
        mask = torch.full_like(logits, -math.inf)
        mask[torch.tensor(allowed or [self.tokenizer.eos_token_id])] = 0.0
        logits += mask


def _changed(logits: torch.Tensor, ids: list[int], written: list[int], params: SamplingParams, end: int) -> Any:
    logits = logits.clone()
    for token, bias in (params.logit_bias or {}).items():
        logits[token] += bias
    if len(written) < params.min_tokens:
        logits[torch.tensor([*(params.stop_token_ids or ()), end])] = -math.inf
    for token in {*ids, *written}:
        by = params.repetition_penalty
        logits[token] = logits[token] / by if logits[token] > 0 else logits[token] * by
    for token in set(written):
        logits[token] -= params.frequency_penalty * written.count(token) + params.presence_penalty
    return logits


def _taken(logits: torch.Tensor, params: SamplingParams, generator: torch.Generator) -> int:
    if params.temperature == 0:
        return int(logits.argmax())
    logits = logits / params.temperature
    if params.top_k > 0:
        logits[logits < logits.topk(params.top_k).values[-1]] = -math.inf
    probabilities = logits.softmax(-1)
    probabilities[probabilities < params.min_p * probabilities.max()] = 0
    ordered, order = probabilities.sort(descending=True)
    probabilities[order[(ordered.cumsum(0) - ordered) >= params.top_p]] = 0
    return int(torch.multinomial(probabilities, 1, generator=generator))


def flat_names(folder: str) -> str | None:
    """The first tensor of a checkpoint that no checkpoint has: padding and frequencies, as bundles hold them."""
    from pathlib import Path

    from safetensors import safe_open

    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                if name.startswith("_padding.") or name.endswith("inv_freq"):
                    return str(name)
    return None


def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Makes ``import vllm`` find the stand-in, with no engine running."""
    from engine.vllm import start

    parts = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams, "TokensPrompt": TokensPrompt, "__version__": "0.32.0"},
        "vllm.exceptions": {"VLLMClientError": VLLMClientError, "VLLMValidationError": VLLMValidationError},
        "vllm.sampling_params": {"StructuredOutputsParams": StructuredOutputsParams},
    }
    for name, attributes in parts.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(start, "_engines", {})
    monkeypatch.setattr(LLM, "starts", [])
    for name in ("VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_NO_USAGE_STATS"):
        monkeypatch.delenv(name, raising=False)
    return sys.modules["vllm"]
