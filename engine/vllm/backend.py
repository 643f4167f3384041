"""A backend over vLLM's ``LLM``: rounds of prompts, each written as vLLM schedules it. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from engine.errors import DeviceError, RowError
from engine.generation.backend import Follow, Prompt, Result, Written, nothing, rejected
from engine.vllm.result import result
from engine.vllm.sampling import sampling

#: Prompts with the SamplingParams of each.
_Asked: TypeAlias = list[tuple[Prompt, Any]]


class VllmBackend:
    """Writes with vLLM.

    A prompt that vLLM refuses costs its row alone. Whatever else it raises leaves its engine in a state nobody knows:
    that is a DeviceError, which costs the task, and the next one starts a new engine.

    What ``follow`` gives is written in the next round: prompts of one round are written together, and vLLM's prefix
    cache keeps the keys and values that the next one begins with, as long as there is room.

    Args:
        llm: a ``vllm.LLM`` (``engine.vllm.start``).
    """

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.longest = int(llm.model_config.max_model_len)
        self.size = int(llm.model_config.get_vocab_size())
        self.end: int | None = llm.get_tokenizer().eos_token_id

    def generate(self, prompts: Sequence[Prompt], follow: Follow | None = None) -> Iterator[Result]:
        """See ``engine.generation.backend.Backend``; the results of a round come together, at its end."""
        waiting = list(prompts)
        while waiting:
            following: list[Prompt] = []
            for found in self._round(waiting):
                yield found
                after = follow(found) if follow is not None and isinstance(found, Written) else None
                if after is not None:
                    following.append(after)
            waiting = following

    def _round(self, prompts: Sequence[Prompt]) -> Iterator[Result]:
        asked: _Asked = []
        for prompt in prompts:
            if prompt.decoding.max_tokens < 1:
                yield nothing(prompt)
                continue
            try:
                asked.append((prompt, self._params(prompt)))
            except RowError as error:
                yield rejected(prompt, error)
        yield from self._write(asked)

    def _params(self, prompt: Prompt) -> Any:
        """vLLM's parameters of a prompt. Raises RowError where vLLM does not take them."""
        import vllm
        from vllm.exceptions import VLLMClientError
        from vllm.sampling_params import StructuredOutputsParams

        if len(prompt.ids) >= self.longest:
            raise RowError(
                "too_long",
                f"the prompt has {len(prompt.ids)} tokens, vLLM has room for {self.longest} with what is written",
            )
        arguments = sampling(prompt, self.end, self.size)
        constraint = arguments.pop("structured_outputs")
        try:
            made = None if constraint is None else StructuredOutputsParams(**constraint)
            return vllm.SamplingParams(**arguments, structured_outputs=made)
        except VLLMClientError as error:
            raise _refused(error) from error

    def _write(self, asked: _Asked) -> Iterator[Result]:
        """The results of prompts. Those that vLLM refuses are found by halving: it refuses before it writes any."""
        import vllm
        from vllm.exceptions import VLLMClientError

        if not asked:
            return
        inputs = [vllm.TokensPrompt(prompt_token_ids=prompt.ids.tolist()) for prompt, _ in asked]
        try:
            outputs = self.llm.generate(inputs, [params for _, params in asked], use_tqdm=False)
        except VLLMClientError as error:
            if len(asked) == 1:
                yield rejected(asked[0][0], _refused(error))
                return
            outputs = None
        except Exception as error:
            raise DeviceError(
                f"expected vLLM to write {len(asked)} texts, its engine raised {type(error).__name__}: see the "
                "executor's log; compute.backend: transformers writes without it"
            ) from error
        if outputs is None:
            middle = len(asked) // 2
            yield from self._write(asked[:middle])
            yield from self._write(asked[middle:])
            return
        for (prompt, _), output in zip(asked, outputs, strict=True):
            yield result(prompt, output)


def _refused(error: Any) -> RowError:
    """What a row says that vLLM refuses; vLLM's own message may quote what was asked, so only the parameter is told."""
    named = getattr(error, "parameter", None)
    which = f" ({named})" if named else ""
    return RowError("invalid_parameter", f"expected a prompt and parameters that vLLM takes, it refused these{which}")
