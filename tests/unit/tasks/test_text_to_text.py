"""Sequence-to-sequence models in batches against ``generate`` on one text at a time, in float32."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig, MBartTokenizer

from engine.options import Column, Request
from engine.scorer import Scorer
from tests import generation, scoring, tiny
from tests.unit.tasks.test_parity import texts

TEXTS = texts(10)
SEARCHES: list[Mapping[str, Any]] = [
    {},
    {"repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
    {"min_new_tokens": 6},
    {"num_beams": 3},
    {"num_beams": 4, "n": 3, "length_penalty": 2.0, "early_stopping": True},
]
#: As T5's configuration has them.
SPECIFIC: Mapping[str, Mapping[str, Any]] = {
    "summarization": {"prefix": "make it long ", "min_length": 5, "max_length": 9, "num_beams": 2},
    "translation_en_to_de": {"prefix": "write it in there ", "max_length": 8, "num_beams": 2},
    "translation_en_to_fr": {"prefix": "write it by hot ", "max_length": 8},
}


@pytest.fixture(scope="module", params=generation.SEQUENCES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sequences") / request.param
    return generation.save(made, request.param, generation={"eos_token_id": generation.ENDS})


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 that says something for some tasks."""
    made = tmp_path_factory.mktemp("sequences") / "t5"
    own = {"eos_token_id": generation.ENDS}
    return generation.save(made, "t5", generation=own, task_specific_params=SPECIFIC)


def write(folder: Path, values: Any = TEXTS, task: str = "text2text-generation", **params: Any) -> list[dict[str, Any]]:
    found = scoring.rows(scoring.scorer(folder, task=task, params=params, batch_tokens=400), text=values)
    assert all(row is not None for row in found)
    return [row for row in found if row is not None]


def every_text(row: dict[str, Any]) -> list[str]:
    return [row["text"], *(one["text"] for one in row["alternatives"])]


def assert_written(found: list[dict[str, Any]], expected: list[list[generation.Plain]]) -> None:
    for row, (best, *others) in zip(found, expected, strict=True):
        assert row["error"] is None
        assert row["text"] == best.text
        assert row["logprob"] == pytest.approx(best.logprob, abs=1e-4)
        assert row["completion_tokens"] == len(best.ids)
        assert row["finish_reason"] == ("stop" if best.ids[-1] in generation.ENDS else "length")
        assert [one["text"] for one in row["alternatives"]] == [one.text for one in others]
        assert [one["index"] for one in row["alternatives"]] == list(range(1, len(others) + 1))
        assert [one["logprob"] for one in row["alternatives"]] == pytest.approx(
            [one.logprob for one in others], abs=1e-4
        )


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: "-".join(search) or "greedy")
def test_texts_equal_generate_row_by_row(folder: Path, search: Mapping[str, Any]) -> None:
    found = write(folder, max_new_tokens=12, **search)
    arguments = {name: value for name, value in search.items() if name != "n"}
    count = search.get("n", 1)
    assert_written(found, generation.plain(folder, TEXTS, max_new_tokens=12, num_return_sequences=count, **arguments))
    assert [row["truncated"] for row in found] == [len(text.split()) > 62 for text in TEXTS]


@pytest.mark.parametrize("search", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
def test_what_the_encoder_read_counts_without_its_padding(
    tmp_path: Path, folder: Path, search: Mapping[str, Any]
) -> None:
    made = shutil.copytree(folder, tmp_path / "model")
    config = GenerationConfig.from_pretrained(made)
    config.update(encoder_repetition_penalty=0.2, encoder_no_repeat_ngram_size=2, forced_bos_token_id=20)
    config.update(forced_eos_token_id=3, max_length=13)
    config.save_pretrained(made)
    found = write(made, **search)
    expected = generation.plain(made, TEXTS, **search)
    assert [row["text"] for row in found] == [one[0].text for one in expected]
    assert [row["completion_tokens"] for row in found] == [len(one[0].ids) for one in expected]
    assert all((row["finish_reason"] == "length") == (row["completion_tokens"] == 12) for row in found)


def test_drawn_texts_do_not_depend_on_company_and_the_likeliest_comes_first(folder: Path) -> None:
    drawn = {"max_new_tokens": 20, "temperature": 3.0, "n": 3, "seed": 5}
    found = write(folder, **drawn)
    alone = [row for text in TEXTS for row in write(folder, [text], **drawn)]
    assert [every_text(row) for row in found] == [every_text(row) for row in alone]
    assert any(len(set(every_text(row))) == 3 for row in found)
    assert len({row["completion_tokens"] for row in found}) > 3  # rows leave their batch at different steps
    for row in found:
        logprobs = [row["logprob"], *(one["logprob"] for one in row["alternatives"])]
        assert logprobs == sorted(logprobs, reverse=True)
        assert len(logprobs) == 3


# --- what the model says for a task


@pytest.mark.parametrize("task", ["summarization", "translation", "text2text-generation"])
def test_a_task_takes_what_the_model_says_for_it_and_parameters_win(t5: Path, task: str) -> None:
    """As transformers' pipelines of version 4: generation configuration, over it the task's, over it the call's.

    Where nothing says how many tokens, 256 are written, or as many as the decoder has positions: 65 after its start.
    """
    languages = {"source_language": "en", "target_language": "de"} if task == "translation" else {}
    own = dict(SPECIFIC.get("translation_en_to_de" if languages else task, {"max_new_tokens": 65}))
    prefix = own.pop("prefix", "")
    short = TEXTS[1:4]
    for search in ({}, {"num_beams": 1, "repetition_penalty": 1.5}):
        expected = generation.plain(t5, [prefix + text for text in short], **{**own, **search})
        assert_written(write(t5, short, task=task, **languages, **search), expected)
    [row] = write(t5, ["the cat"], task=task, max_new_tokens=3, min_new_tokens=3, **languages)
    assert row["completion_tokens"] == 3
    [bare] = write(t5, ["the cat"], task="text2text-generation", max_new_tokens=3)
    more = len(AutoTokenizer.from_pretrained(t5)(prefix, add_special_tokens=False)["input_ids"])
    assert row["prompt_tokens"] == bare["prompt_tokens"] + more


def test_generation_settings_of_an_old_configuration_are_kept(tmp_path: Path) -> None:
    """Folders of transformers 4 have them in config.json, and no generation_config.json."""
    folder = generation.save(tmp_path / "model", "bart")
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"num_beams": 3, "max_length": 10, "min_length": 4, "no_repeat_ngram_size": 2, "prefix": "the "}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    short = TEXTS[1:5]
    found = write(folder, short, task="summarization")
    plain = generation.plain(
        folder, ["the " + text for text in short], num_beams=3, max_length=10, min_length=4, no_repeat_ngram_size=2
    )
    assert [row["text"] for row in found] == [one[0].text for one in plain]


@pytest.mark.parametrize("languages", [("en", "it"), ("en", None), (None, "de")])
def test_a_pair_that_the_model_does_not_have_is_an_error(t5: Path, languages: tuple[str | None, str | None]) -> None:
    params = dict(zip(("source_language", "target_language"), languages, strict=True))
    [row] = write(t5, ["the cat"], task="translation", **params)
    assert row["error"]["code"] == "invalid_parameter"
    assert "translation_en_to_de, translation_en_to_fr" in row["error"]["message"]


@pytest.fixture(scope="module")
def mbart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny mBART with its own tokenizer, whose languages are tokens."""
    folder = tmp_path_factory.mktemp("mbart") / "model"
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(f"▁{word}", -3.0) for word in tiny.WORDS] + [
        (piece, -5.0) for piece in tiny.PIECES if "#" not in piece
    ]
    tokenizer = MBartTokenizer(vocab=vocabulary, model_max_length=64)
    own = {"vocab_size": len(tokenizer), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    tiny.save(folder, "mbart", head="Seq2SeqLM", decoder_start_token_id=2, **own)
    tokenizer.save_pretrained(folder)
    return folder


def mbart_text(folder: Path, text: str, source: str, target: str) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder, src_lang=source)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    token = tokenizer.convert_tokens_to_ids(target)
    ids = model.generate(**tokenizer(text, return_tensors="pt"), forced_bos_token_id=token, max_new_tokens=9)
    assert ids[0, 1] == token
    return str(tokenizer.decode(ids[0, 1:], skip_special_tokens=True))


def test_languages_that_are_tokens_mark_the_text_and_begin_the_translation(mbart: Path) -> None:
    pairs = [("en_XX", "ro_RO"), ("de_DE", "ro_RO"), ("en_XX", "ja_XX"), ("en_XX", "ro_RO")]
    made = scoring.scorer(mbart, task="translation", params={"max_new_tokens": 9})
    request = Request(
        inputs={"text": "text"},
        params={"max_new_tokens": 9, "source_language": Column("from"), "target_language": Column("to")},
    )
    by_row = Scorer(made.task, request, batch_tokens=400)
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    found = scoring.rows(by_row, text=["the word of water"] * 4, **{"from": sources, "to": targets})
    expected = [mbart_text(mbart, "the word of water", *pair) for pair in pairs]
    assert [row and row["text"] for row in found] == expected
    assert len(set(expected)) == 3
    assert made.task.tokenizer.src_lang == "en_XX"  # as it was


@pytest.mark.parametrize("parameter", ["source_language", "target_language"])
def test_a_language_without_a_token_is_an_error(mbart: Path, parameter: str) -> None:
    [row] = write(mbart, ["the cat"], task="translation", **{parameter: "klingon"})
    assert row["error"]["code"] == "invalid_parameter"
    assert f"expected {parameter} that the tokenizer has a token for" in row["error"]["message"]


def test_a_model_of_one_pair_does_not_look_at_languages(folder: Path) -> None:
    params = {"max_new_tokens": 5}
    found = write(folder, TEXTS[:3], task="translation", source_language="en", target_language="fr", **params)
    assert found == write(folder, TEXTS[:3], task="translation", **params)


def test_more_new_tokens_than_the_decoder_has_positions_are_refused(tmp_path: Path) -> None:
    folder = generation.save(tmp_path / "model", "bart")
    [row] = write(folder, ["the cat"], max_new_tokens=66)
    assert "expected max_new_tokens below 66" in row["error"]["message"]
    [row] = write(folder, ["the cat"], max_new_tokens=65, min_new_tokens=65)
    assert row["completion_tokens"] == 65
