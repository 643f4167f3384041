"""Texts written in batches against the same model's ``generate`` on one prompt at a time, in float32."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import processors
from transformers import AutoModelForCausalLM, GenerationConfig

from engine.errors import ModelError, ParameterError
from engine.options import Column
from engine.tasks.text_generation import TextGeneration
from tests import generation, scoring, tiny
from tests.unit.tasks.test_parity import texts

PROMPTS = texts(10)
ROOM = 66 - 12  # positions of the tiny models but the 12 tokens that the tests ask for
SEARCHES: list[Mapping[str, Any]] = [
    {},
    {"repetition_penalty": 1.7},
    {"no_repeat_ngram_size": 2},
    {"min_new_tokens": 6},
    {"num_beams": 3},
    {"num_beams": 4, "n": 3, "length_penalty": 2.0, "early_stopping": True, "no_repeat_ngram_size": 3},
]


@pytest.fixture(scope="module", params=generation.CAUSAL)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("causal") / request.param
    return generation.save(made, request.param, generation={"eos_token_id": generation.ENDS})


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("causal") / "model"
    return generation.save(made, "llama", generation={"eos_token_id": generation.ENDS})


def write(folder: Path, prompts: Any = PROMPTS, *, batch_tokens: int = 400, **params: Any) -> list[dict[str, Any]]:
    params = {"max_new_tokens": 12, **params}
    made = scoring.scorer(folder, task="text-generation", inputs=("prompt",), params=params, batch_tokens=batch_tokens)
    found = scoring.rows(made, prompt=prompts)
    assert all(row is not None for row in found)
    return [row for row in found if row is not None]


def first(rows: list[dict[str, Any]]) -> list[str]:
    return [row["choices"][0]["text"] for row in rows]


def assert_written(found: list[dict[str, Any]], expected: list[list[generation.Plain]]) -> None:
    for row, want in zip(found, expected, strict=True):
        assert row["error"] is None
        assert [one["index"] for one in row["choices"]] == list(range(len(want)))
        assert [one["text"] for one in row["choices"]] == [one.text for one in want]
        assert [one["logprob"] for one in row["choices"]] == pytest.approx([one.logprob for one in want], abs=1e-4)
        ended = [one.ids[-1] in generation.ENDS for one in want]
        assert [one["finish_reason"] for one in row["choices"]] == ["stop" if end else "length" for end in ended]
        assert row["usage"]["completion_tokens"] == sum(len(one.ids) for one in want)
        assert row["usage"]["total_tokens"] == row["usage"]["prompt_tokens"] + row["usage"]["completion_tokens"]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: "-".join(search) or "greedy")
def test_texts_equal_generate_row_by_row(folder: Path, search: Mapping[str, Any]) -> None:
    found = write(folder, **search)
    arguments = {name: value for name, value in search.items() if name != "n"}
    expected = generation.plain(
        folder, PROMPTS, prompt=ROOM, max_new_tokens=12, num_return_sequences=search.get("n", 1), **arguments
    )
    assert_written(found, expected)
    assert [row["truncated"] for row in found] == [row["usage"]["prompt_tokens"] == ROOM for row in found]
    assert 0 < sum(row["truncated"] for row in found) < len(found)


@pytest.mark.parametrize(
    ("architecture", "own"),
    [
        ("bart", {}),  # its decoder alone, which counts positions from the first column, padding or not
        ("bloom", {"n_head": 4, "n_layer": 2}),  # distances for positions
        ("mistral", {"num_key_value_heads": 2, "sliding_window": 8}),
    ],
)
def test_other_ways_of_counting_positions_equal_generate(
    tmp_path: Path, architecture: str, own: Mapping[str, Any]
) -> None:
    ends = {"eos_token_id": generation.ENDS}
    folder = generation.save(tmp_path / "model", architecture, generation=ends, causal=True, **own)
    short = [" ".join(text.split()[:12]) for text in PROMPTS]
    assert_written(write(folder, short), generation.plain(folder, short, max_new_tokens=12))


def test_a_recurrent_model_is_refused(tmp_path: Path) -> None:
    folder = generation.save(tmp_path / "model", "mamba", state_size=4)
    with pytest.raises(ModelError, match="expected a model whose layers attend to keys and values in a cache, Mamba"):
        write(folder)


def test_rows_leave_at_different_steps(llama: Path) -> None:
    assert len({row["usage"]["completion_tokens"] for row in write(llama)}) > 3


def test_lengths_of_the_models_own_configuration_count_from_each_prompt(tmp_path: Path, llama: Path) -> None:
    """min_length and max_length count the prompt, and a forced end comes where a row's own length ends."""
    folder = shutil.copytree(llama, tmp_path / "model")
    prompts = ["the cat", "a", "what can we do about these words", "not one of them"]
    own = {"max_length": 20, "min_length": 12, "forced_eos_token_id": 3, "repetition_penalty": 1.3}
    GenerationConfig(eos_token_id=generation.ENDS, **own).save_pretrained(folder)
    found = write(folder, prompts, max_new_tokens=None)
    expected = generation.plain(folder, prompts)
    assert [row["usage"]["completion_tokens"] for row in found] == [len(one[0].ids) for one in expected]
    assert first(found) == [one[0].text for one in expected]
    beams = write(folder, prompts, max_new_tokens=None, num_beams=2)
    assert first(beams) == [one[0].text for one in generation.plain(folder, prompts, num_beams=2)]
    full = [row["usage"]["total_tokens"] == 20 for row in found]
    assert [row["choices"][0]["finish_reason"] == "length" for row in found] == full
    assert 0 < sum(full) < 4


def test_padding_is_no_part_of_the_text(tmp_path: Path) -> None:
    """The padding token is the start token here, so that penalties and n-grams over padding would be seen."""
    folder = generation.save(tmp_path / "model", "llama", pad_token_id=2)
    search = {"repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "max_new_tokens": 30}
    prompts = ["the cat", " ".join(PROMPTS[0].split()[:25])]
    expected = generation.plain(folder, prompts, **search)
    assert first(write(folder, prompts, **search)) == [one[0].text for one in expected]


def test_words_that_the_model_bans_or_suppresses_stay_away(tmp_path: Path, llama: Path) -> None:
    folder = shutil.copytree(llama, tmp_path / "model")
    usual = {token for one in generation.plain(folder, PROMPTS, prompt=ROOM, max_new_tokens=12) for token in one[0].ids}
    common = sorted(usual - set(generation.ENDS))
    config = GenerationConfig.from_pretrained(folder)
    config.update(suppress_tokens=common[::2], bad_words_ids=[[token] for token in common[1::2]], max_new_tokens=12)
    config.save_pretrained(folder)
    expected = generation.plain(folder, PROMPTS, prompt=ROOM)
    assert not usual & {token for one in expected for token in one[0].ids} - set(generation.ENDS)
    assert_written(write(folder, max_new_tokens=None), expected)


def test_new_tokens_are_256_where_nothing_says_otherwise(tmp_path: Path) -> None:
    folder = generation.save(tmp_path / "model", "gpt2", max_position_embeddings=400)
    [row] = write(folder, ["the cat"], max_new_tokens=None, min_new_tokens=300)
    assert row["usage"]["completion_tokens"] == 256


def test_a_prompt_keeps_half_of_a_small_model(llama: Path) -> None:
    """66 positions: where nobody asked for so many new tokens, at least half of them are the prompt's."""
    long = " ".join(["the"] * 60)
    [row] = write(llama, [long], max_new_tokens=None, min_new_tokens=33)
    assert (row["usage"]["prompt_tokens"], row["truncated"]) == (33, True)
    assert row["usage"]["completion_tokens"] == 33


def test_a_long_prompt_is_an_error_where_that_is_asked_for(llama: Path) -> None:
    short, long = write(llama, ["the cat", " ".join(["the"] * 60)], long_text="error")
    assert short["error"] is None
    assert long["error"]["code"] == "too_long"
    [cut] = write(llama, ["the cat of a word"], max_length=3)
    assert (cut["usage"]["prompt_tokens"], cut["truncated"]) == (3, True)


def test_more_new_tokens_than_positions_are_refused_row_by_row(llama: Path) -> None:
    [row] = write(llama, ["the cat"], max_new_tokens=66)
    assert row["error"]["code"] == "invalid_parameter"
    assert "expected max_new_tokens below 66" in row["error"]["message"]


def test_an_empty_prompt_without_tokens_costs_only_itself(tmp_path: Path) -> None:
    folder = generation.save(tmp_path / "model", "gpt2")
    made = tiny.tokenizer()
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    made.save_pretrained(folder)
    empty, full = write(folder, ["", "the cat"])
    assert empty["error"]["code"] == "encode_failed"
    assert full["error"] is None
    assert [row["error"]["code"] for row in write(folder, ["", " "])] == ["encode_failed"] * 2


# --- stop strings


@pytest.mark.parametrize("search", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
def test_a_text_ends_before_the_first_stop_string(llama: Path, search: Mapping[str, Any]) -> None:
    whole = write(llama, min_new_tokens=12, **search)
    stop = [text[len(text) // 2 :][:3] for text in first(whole)[:3]]
    found = write(llama, min_new_tokens=12, stop=stop, **search)
    stopped = 0
    for row, full in zip(found, whole, strict=True):
        text, [choice] = full["choices"][0]["text"], row["choices"]
        if search and not any(one in text for one in stop):
            continue  # beams may end elsewhere once a stop string ends the best of them
        ends = [text.find(one) for one in stop if one in text]
        if not search:
            assert choice["text"] == text[: min(ends, default=len(text))]
        assert not any(one in choice["text"] for one in stop)
        if ends:
            stopped += choice["finish_reason"] == "stop"
            assert row["usage"]["completion_tokens"] <= full["usage"]["completion_tokens"]
    assert stopped >= 3


@pytest.mark.parametrize(
    "search", [{}, {"temperature": 1.0, "seed": 3}, {"num_beams": 2}], ids=["greedy", "drawn", "beams"]
)
def test_stop_strings_of_the_model_end_a_text_as_those_of_the_job(
    tmp_path: Path, llama: Path, search: Mapping[str, Any]
) -> None:
    def told(folder: Path, *stop: str) -> list[Any]:
        found = write(folder, PROMPTS[:4], min_new_tokens=12, stop=stop, **search)
        return [(one["choices"][0]["text"], one["choices"][0]["finish_reason"], one["usage"]) for one in found]

    own, asked = (text[len(text) // 2 :][:3] for text, *_ in told(llama)[:2])
    folder = shutil.copytree(llama, tmp_path / "model")
    config = GenerationConfig.from_pretrained(folder)
    for strings in (own, [own]):
        config.update(stop_strings=strings)
        config.save_pretrained(folder)
        assert told(folder) == told(llama, own) != told(llama)
    assert told(folder, asked) == told(llama, own, asked) != told(folder)


# --- templates


def test_a_template_stands_around_the_prompt(llama: Path) -> None:
    found = write(llama, ["the cat", "a {b}"], prompt_template="what is {{it}} {prompt} now")
    assert first(found) == first(write(llama, ["what is {it} the cat now", "what is {it} a {b} now"]))


@pytest.mark.parametrize("template", ["none", "{prompt} {prompt}", "{other}", "{}", "{prompt!r}", "{prompt:>9}", "{"])
def test_a_template_without_one_prompt_is_refused(llama: Path, template: str) -> None:
    with pytest.raises(ParameterError, match=r"expected prompt_template to hold \{prompt\} once"):
        write(llama, prompt_template=template)


# --- what goes wrong


@pytest.mark.parametrize("search", [{}, {"temperature": 1.0}, {"num_beams": 2}], ids=["greedy", "drawn", "beams"])
def test_a_row_whose_logits_are_no_numbers_fails_alone(tmp_path: Path, llama: Path, search: Mapping[str, Any]) -> None:
    folder = shutil.copytree(llama, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    token = tiny.tokenizer().convert_tokens_to_ids("water")
    model.model.embed_tokens.weight.data[token] = float("nan")
    model.save_pretrained(folder)
    banned = GenerationConfig.from_pretrained(folder)
    banned.update(suppress_tokens=[token])
    banned.save_pretrained(folder)
    prompts = ["the cat", "some water there", "a"]
    good, bad, other = write(folder, prompts, **search)
    assert bad["error"]["code"] == "non_finite"
    assert bad["choices"] is None
    assert [good["error"], other["error"]] == [None, None]
    assert np.isfinite(good["choices"][0]["logprob"])


@pytest.mark.parametrize("own", [{"guidance_scale": 2.0}, {"penalty_alpha": 0.6}, {"num_beam_groups": 2}])
def test_other_ways_of_writing_are_refused(tmp_path: Path, llama: Path, own: Mapping[str, Any]) -> None:
    folder = shutil.copytree(llama, tmp_path / "model")
    config = GenerationConfig.from_pretrained(folder)
    config.update(**own)
    (folder / "generation_config.json").write_text(config.to_json_string(use_diff=True), encoding="utf-8")
    with pytest.raises(ModelError, match=f"{next(iter(own))} is "):
        write(folder)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_new_tokens": 0}, "expected max_new_tokens to be null or at least 1, got 0"),
        ({"top_p": 0.0}, "expected top_p to be null or above 0 and at most 1, got 0.0"),
        ({"repetition_penalty": 0.0}, "expected repetition_penalty to be null or above 0, got 0.0"),
        ({"min_new_tokens": 5, "max_new_tokens": 4}, "expected min_new_tokens of at most max_new_tokens, 4, got 5"),
        ({"stop": [""]}, "expected stop to be strings that are not empty"),
        ({"num_beams": 2, "temperature": 0.5}, "expected sampling or num_beams above 1, got both"),
        ({"temperature": -1.0}, "expected temperature to be null or at least 0, got -1.0"),
        ({"early_stopping": "always"}, "expected early_stopping to be true or false or never or null"),
    ],
)
def test_parameters_out_of_range_are_refused(llama: Path, params: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        write(llama, **params)


def test_completions_are_the_same_under_mlflows_name(llama: Path) -> None:
    made = scoring.scorer(llama, task="llm/v1/completions", inputs=("prompt",), params={"max_new_tokens": 12})
    assert scoring.rows(made, prompt=PROMPTS[:3]) == write(llama, PROMPTS[:3])


@pytest.mark.parametrize(
    ("params", "own", "expected"),
    [
        ({}, {}, False),
        ({"temperature": 0.7}, {}, True),
        ({"temperature": 0.0}, {"do_sample": True}, False),
        ({"do_sample": False}, {"do_sample": True}, False),
        ({}, {"do_sample": True}, True),
        ({"num_beams": 2}, {"do_sample": True}, False),
        ({"top_p": Column("p")}, {}, True),
        ({"num_beams": 2}, {}, False),
    ],
)
def test_the_driver_knows_whether_texts_are_drawn(
    tmp_path: Path, params: dict[str, Any], own: dict[str, Any], expected: bool
) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps(own))
    assert TextGeneration.draws(params, tmp_path) is expected
