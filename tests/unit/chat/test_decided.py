"""What parameters come to for a model: its own generation configuration where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from engine.chat.decided import Decider
from engine.chat.own import Own
from engine.chat.params import ChatParams
from engine.errors import ModelError, ParameterError
from engine.generation.backend import Decoding
from tests import chats, generation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chats.save(tmp_path_factory.mktemp("chat"))


def decider(folder: Path, **config: Any) -> Decider:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.generation_config.update(**config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return Decider(model, tokenizer, Own.of(model, tokenizer, None))


def test_where_nobody_says_anything(folder: Path) -> None:
    found = decider(folder)(ChatParams())
    assert found.decoding == Decoding(max_tokens=256, ends=tuple(generation.ENDS))
    assert (found.total, found.room) == (256, 128)  # at least half of the positions are the prompt's
    assert found.after(100).max_tokens == 156


def test_the_models_own_configuration_as_generate_takes_it(folder: Path) -> None:
    own = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.2, "max_new_tokens": 12}
    found = decider(folder, **own, stop_strings=["so", "[SEP]"], eos_token_id=7)(ChatParams()).decoding
    assert found == Decoding(
        max_tokens=12,
        temperature=0.6,
        top_k=50,  # transformers' default
        top_p=0.9,
        repetition_penalty=1.2,
        ends=(7, 3),  # a stop string that is a special token is not seen in a text
        stop=("so",),
    )


def test_what_is_asked_wins(folder: Path) -> None:
    asked = ChatParams(
        temperature=1.5, top_k=0, min_p=0.1, max_tokens=9, min_tokens=2, stop="e", logit_bias={"5": 1}, logprobs=True
    )
    found = decider(folder, do_sample=True, top_p=0.9, min_new_tokens=4)(asked).decoding
    assert found == Decoding(
        max_tokens=9,
        min_tokens=2,
        temperature=1.5,
        top_p=0.9,
        min_p=0.1,
        logit_bias={5: 1.0},
        top_logprobs=0,
        ends=tuple(generation.ENDS),
        stop=("e",),
    )


@pytest.mark.parametrize(("asked", "drawn"), [({"temperature": 0}, None), ({"top_p": 0.5}, 1.0), ({}, 1.0)])
def test_a_temperature_of_0_draws_nothing(folder: Path, asked: dict[str, Any], drawn: float | None) -> None:
    assert decider(folder, do_sample=True)(ChatParams(**asked)).decoding.temperature == drawn
    assert decider(folder)(ChatParams(**asked)).decoding.temperature == (drawn if asked else None)


def test_prompt_and_text_share_the_positions(folder: Path) -> None:
    made = decider(folder)
    found = made(ChatParams(max_tokens=200))
    assert (found.room, found.after(56).max_tokens) == (56, 200)
    assert made(ChatParams(max_tokens=200, max_length=10)).room == 10
    assert made(ChatParams(max_tokens=0)).room == 256
    with pytest.raises(ParameterError, match="expected max_tokens below 256, the model's positions, got 256"):
        made(ChatParams(max_tokens=256))


def test_a_length_of_the_configuration_counts_where_nobody_asks_for_tokens(folder: Path) -> None:
    made = decider(folder, max_length=100)
    assert made(ChatParams()).after(30).max_tokens == 70
    assert made(ChatParams(max_tokens=90)).after(90).max_tokens == 90


def test_a_token_that_is_not_there_has_no_bias(folder: Path) -> None:
    made = decider(folder)
    with pytest.raises(ParameterError, match=f"expected token ids below {made.vocabulary} in logit_bias, got 5000"):
        made(ChatParams(logit_bias={"5000": 1}))


@pytest.mark.parametrize("asked", [{"num_beams": 2}, {"no_repeat_ngram_size": 3}, {"suppress_tokens": [5]}])
def test_a_configuration_that_asks_for_more_than_chats_can_is_refused(folder: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"it asks for {next(iter(asked))}: log the model without it"):
        decider(folder, **asked)
