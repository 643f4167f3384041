"""The backend over the stand-in, against plain transformers one prompt at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.batching import isolate
from engine.errors import DeviceError, RowError
from engine.generation.backend import Backend, Decoding, Prompt, Result, Written
from engine.models.load import LoadedModel
from engine.vllm.start import make
from tests.generation import ENDS
from tests.unit.vllm.test_sampling import Format

TEXTS = ("the first word", "she could find more water than they did", "no")


@pytest.fixture
def backend(loaded: LoadedModel) -> Backend:
    return make(loaded)


def prompt(loaded: LoadedModel, text: str, at: int = 0, *, key: int = 0, **fields: Any) -> Prompt:
    ids = np.array(loaded.tokenizer(text)["input_ids"], np.int64)
    return Prompt(at, ids, Decoding(**{"max_tokens": 12, "ends": tuple(ENDS), **fields}), key)


def by_id(results: list[Result]) -> dict[int, Written]:
    found = {one.id: one for one in results if isinstance(one, Written)}
    assert len(found) == len(results)
    return found


def greedy(loaded: LoadedModel, one: Prompt) -> tuple[list[int], torch.Tensor]:
    """What ``model.generate`` writes, and float32 [steps, vocabulary] its log probabilities."""
    ids = torch.from_numpy(one.ids)[None]
    made = loaded.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=one.decoding.max_tokens,
        do_sample=False,
        eos_token_id=list(one.decoding.ends) or None,
        pad_token_id=0,
    )[0]
    with torch.no_grad():
        logits = loaded.model(made[None, :-1]).logits[0, len(one.ids) - 1 :]
    return made[len(one.ids) :].tolist(), logits.log_softmax(-1)


def test_greedy_texts_equal_generate(loaded: LoadedModel, backend: Backend) -> None:
    prompts = [prompt(loaded, text, at, top_logprobs=3) for at, text in enumerate(TEXTS)]
    prompts.append(prompt(loaded, TEXTS[1], 3, top_logprobs=3, ends=()))
    found = by_id(list(backend.generate(prompts)))
    for one in prompts:
        written = found[one.id]
        ids, logprobs = greedy(loaded, one)
        taken = logprobs[torch.arange(len(ids)), ids].numpy()
        best = logprobs.topk(3)
        assert written.ids.tolist() == ids
        assert written.ids.dtype == np.int64
        assert written.finish_reason == ("stop" if ids[-1] in one.decoding.ends else "length")
        assert written.logprob == pytest.approx(taken.sum(), abs=1e-4)
        assert written.prompt_tokens == len(one.ids)
        assert written.logprobs is not None
        np.testing.assert_allclose(written.logprobs.taken, taken, atol=1e-4)
        np.testing.assert_array_equal(written.logprobs.ids, best.indices.numpy())
        np.testing.assert_allclose(written.logprobs.top, best.values.numpy(), atol=1e-4)
    assert {one.finish_reason for one in found.values()} == {"stop", "length"}


def test_logprobs_are_told_as_asked(loaded: LoadedModel, backend: Backend) -> None:
    prompts = [prompt(loaded, TEXTS[0], at, top_logprobs=asked) for at, asked in enumerate((None, 0, 2))]
    found = by_id(list(backend.generate(prompts)))
    assert found[0].logprobs is None
    assert found[0].logprob == found[1].logprob == found[2].logprob
    for at in (1, 2):
        told = found[at].logprobs
        assert told is not None
        assert told.ids.shape == told.top.shape == (len(found[at].ids), (0, 0, 2)[at])
        assert (told.ids.dtype, told.top.dtype, told.taken.dtype) == (np.int32, np.float32, np.float32)


def test_the_same_key_draws_the_same_text_whatever_runs_beside_it(loaded: LoadedModel, backend: Backend) -> None:
    def drawn(*keys: int) -> list[list[int]]:
        prompts = [prompt(loaded, TEXTS[0], at, key=key, temperature=1.5) for at, key in enumerate(keys)]
        found = by_id(list(backend.generate(prompts)))
        return [found[at].ids.tolist() for at in range(len(keys))]

    first, second, third = drawn(1, 2, 1 << 100 | 1)
    assert first == third
    assert first != second
    assert drawn(2) == [second]


def test_texts_end_as_asked(loaded: LoadedModel, backend: Backend) -> None:
    free, _ = greedy(loaded, prompt(loaded, TEXTS[1], ends=()))
    string = loaded.tokenizer.decode(free[:4])[len(loaded.tokenizer.decode(free[:2])) :]
    end, choices = free[1], ["more water", "no"]
    found = by_id(
        list(
            backend.generate(
                [
                    prompt(loaded, TEXTS[1], 0, ends=()),
                    prompt(loaded, TEXTS[1], 1, ends=(end,)),
                    prompt(loaded, TEXTS[1], 2, ends=(end,), min_tokens=3),
                    prompt(loaded, TEXTS[1], 3, ends=(), stop=(string,)),
                    prompt(loaded, TEXTS[1], 4, ends=(), grammar=Format({"type": "choice", "choices": choices})),
                    prompt(loaded, TEXTS[1], 5, max_tokens=0),
                    prompt(loaded, TEXTS[1], 6, max_tokens=1, ends=()),
                ]
            )
        )
    )
    assert (found[0].ids.tolist(), found[0].finish_reason) == (free, "length")
    cut = free.index(end) + 1
    assert (found[1].ids.tolist(), found[1].finish_reason) == (free[:cut], "stop")
    assert end not in found[2].ids[:3].tolist()
    assert (found[3].ids.tolist(), found[3].finish_reason) == (free[:4], "stop")
    assert loaded.tokenizer.decode(found[4].ids, skip_special_tokens=True) in choices
    assert (found[4].ids[-1], found[4].finish_reason) == (loaded.tokenizer.eos_token_id, "stop")
    assert (found[5].ids.tolist(), found[5].finish_reason, found[5].logprob) == ([], "length", 0.0)
    assert (found[6].ids.tolist(), found[6].finish_reason) == (free[:1], "length")


def test_what_follows_is_written_in_the_next_round(loaded: LoadedModel, backend: Backend) -> None:
    turns: dict[int, int] = {}

    def follow(written: Written) -> Prompt | None:
        turns[written.id] = turns.get(written.id, 0) + 1
        if turns[written.id] > 1 + written.id:
            return None
        ids = np.concatenate([asked[written.id], written.ids, asked[1]])
        asked[written.id] = ids
        return Prompt(written.id, ids, Decoding(max_tokens=12))

    prompts = [prompt(loaded, text, at, ends=()) for at, text in enumerate(TEXTS[:2])]
    asked = {one.id: one.ids for one in prompts}
    results = list(backend.generate(prompts, follow))
    assert [one.id for one in results if isinstance(one, Written)] == [0, 1, 0, 1, 1]
    last = results[-1]
    assert isinstance(last, Written)
    assert last.prompt_tokens == len(asked[1])
    # Whole blocks of sixteen tokens of the earlier prompt and its text.
    assert last.cached_tokens == (results[3].prompt_tokens + 12) // 16 * 16  # type: ignore[union-attr]
    assert last.ids.tolist() == greedy(loaded, Prompt(1, asked[1], Decoding(max_tokens=12)))[0]


def test_a_refused_prompt_costs_its_row_alone(loaded: LoadedModel, backend: Backend) -> None:
    prompts = [
        prompt(loaded, TEXTS[0], 0),
        prompt(loaded, TEXTS[0], 1, logit_bias={10_000: 1.0}),  # vLLM refuses it when it is handed over
        prompt(loaded, TEXTS[0], 2, presence_penalty=3.0),  # and this when it is made
        prompt(loaded, TEXTS[0], 3, temperature=1e-4),  # and would change this
        Prompt(4, np.full(128, 5, np.int64), Decoding(max_tokens=1)),
        Prompt(5, np.array([10_000], np.int64), Decoding(max_tokens=1)),
        prompt(loaded, TEXTS[1], 6),
    ]
    found = {one.id if isinstance(one, Written) else one[0]: one for one in backend.generate(prompts)}
    assert sorted(found) == list(range(7))
    alone = {one.id: one for one in backend.generate([prompts[6], prompts[0]]) if isinstance(one, Written)}
    for at in (0, 6):
        one = found[at]
        assert isinstance(one, Written)
        assert one.ids.tolist() == alone[at].ids.tolist()
    told = {at: one[1] for at, one in found.items() if not isinstance(one, Written)}
    assert {at: error.code for at, error in told.items()} == {
        **dict.fromkeys((1, 2, 3, 5), "invalid_parameter"),
        4: "too_long",
    }
    assert "(logit_bias)" in told[1].message
    assert "(presence_penalty)" in told[2].message
    assert "128 tokens" in told[4].message
    assert not any("10000" in error.message for error in told.values())  # vLLM's own message quotes the value


def test_prompts_are_handed_over_together(
    loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm: Any = backend.llm  # type: ignore[attr-defined]
    sizes: list[int] = []
    whole = llm.generate
    monkeypatch.setattr(llm, "generate", lambda prompts, *a, **k: sizes.append(len(prompts)) or whole(prompts, *a, **k))
    by_id(list(backend.generate([prompt(loaded, text, at, max_tokens=1 + at) for at, text in enumerate(TEXTS)])))
    assert sizes == [3]
    assert list(backend.generate([])) == []


def test_an_engine_that_died_costs_the_task(
    loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("EngineCore encountered an issue")

    monkeypatch.setattr(backend.llm, "generate", die)  # type: ignore[attr-defined]
    prompts = [prompt(loaded, text, at) for at, text in enumerate(TEXTS)]
    with pytest.raises(DeviceError, match="its engine raised RuntimeError"):
        list(backend.generate(prompts))
    # No row is blamed for it: the scorer's halving lets it through.
    with pytest.raises(DeviceError):
        isolate(lambda part: list(backend.generate(prompts)), np.arange(3), code="forward_failed")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"finish_reason": "error"}, "forward_failed"), ({"finish_reason": "abort"}, "forward_failed")],
)
def test_a_text_that_vllm_gives_up_is_an_error_of_its_row(
    loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: str
) -> None:
    ((_, error),) = _changed(loaded, backend, monkeypatch, change)
    assert isinstance(error, RowError)
    assert error.code == code
    assert change["finish_reason"] in error.message


def test_nan_is_an_error_of_its_row(loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    llm: Any = backend.llm  # type: ignore[attr-defined]
    with torch.no_grad():
        llm.model.lm_head.weight[:] = float("nan")
    ((_, error),) = list(backend.generate([prompt(loaded, TEXTS[0], max_tokens=2)]))
    assert isinstance(error, RowError)
    assert error.code == "non_finite"


def test_a_text_without_the_token_that_ended_it_is_an_error_of_the_task(
    loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeviceError, match="the token that ended a text as its last one"):
        _changed(loaded, backend, monkeypatch, {"finish_reason": "stop", "stop_reason": -7})


def test_another_number_of_logprobs_is_an_error_of_the_task(
    loaded: LoadedModel, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.vllm_stand_in import FlatLogprobs

    with pytest.raises(DeviceError, match="expected 1 log probabilities of each of"):
        _changed(loaded, backend, monkeypatch, {"logprobs": FlatLogprobs()})


def _changed(loaded: LoadedModel, backend: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> list[Any]:
    """The results of a prompt for which vLLM gives other fields."""
    whole = backend.llm.generate

    def generate(*arguments: Any, **options: Any) -> list[Any]:
        outputs: list[Any] = whole(*arguments, **options)
        vars(outputs[0].outputs[0]).update(change)
        return outputs

    monkeypatch.setattr(backend.llm, "generate", generate)
    return list(backend.generate([prompt(loaded, TEXTS[0])]))
