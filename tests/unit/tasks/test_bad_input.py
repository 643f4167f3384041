"""Texts that nobody would write on purpose, through a real model: each row gets its answer or its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tests import scoring, tiny

SHORT: Final[dict[str, str]] = {
    "empty": "",
    "blanks": "   ",
    "other white space": "\t\r\n\u00a0\u2003\u200b",
    "a NUL byte": "the\x00cat",
    "only NUL bytes": "\x00\x00\x00",
    "control characters": "the \x01\x1f\x7f cat",
    "emoji": "😀 the 👩‍👩‍👧‍👦 cat 🇳🇱",
    "right to left": "שלום the مرحبا\u202e cat",
    "combining characters": "e\u0301 n\u0303 u\u0308" + "\u0301" * 40,
    "the same, composed": "é ñ ü",
    "beyond the basic plane": "𝔱𝔥𝔢 𐍈 cat",
    "a byte order mark": "\ufeffthe cat",
    "not a character": "the \ufffe\uffff cat",
    "special tokens as text": "[SEP] the [CLS] [PAD] [MASK] cat",
}
LONG: Final = "the cat sat on a word " * (2**20 // 22 + 1)  # a little over 1 MB
NEIGHBOURS: Final = ("the cat sat", "water over the hot side")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("bad_input") / "model", num_labels=3)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    """transformers' own pipeline, called one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    made = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    return lambda text: made(text, top_k=None, truncation=True, max_length=64)


def assert_scored(row: dict[str, Any] | None, expected: list[dict[str, Any]]) -> None:
    assert row is not None
    assert row["error"] is None
    found = {one["label"]: one["score"] for one in row["scores"]}
    assert found == pytest.approx({one["label"]: one["score"] for one in expected}, abs=1e-5)
    assert row["label"] == expected[0]["label"]


@pytest.mark.parametrize("name", SHORT)
def test_an_odd_text_gets_what_transformers_gives(folder: Path, plain: Any, name: str) -> None:
    values = [NEIGHBOURS[0], SHORT[name], NEIGHBOURS[1]]
    for row, text in zip(scoring.rows(scoring.scorer(folder), text=values), values, strict=True):
        assert_scored(row, plain(text))


def test_all_odd_texts_at_once_keep_their_order(folder: Path, plain: Any) -> None:
    values = [*SHORT.values(), *NEIGHBOURS, *SHORT.values()]
    for row, text in zip(scoring.rows(scoring.scorer(folder, batch_tokens=128), text=values), values, strict=True):
        assert_scored(row, plain(text))


def test_a_null_has_no_struct_and_no_effect(folder: Path, plain: Any) -> None:
    first, null, second = scoring.rows(scoring.scorer(folder), text=[NEIGHBOURS[0], None, NEIGHBOURS[1]])
    assert null is None
    assert_scored(first, plain(NEIGHBOURS[0]))
    assert_scored(second, plain(NEIGHBOURS[1]))


def test_nothing_but_nulls_is_nothing_but_nulls(folder: Path) -> None:
    assert scoring.rows(scoring.scorer(folder), text=[None, None]) == [None, None]


def test_a_text_of_a_megabyte_is_cut_where_transformers_cuts_it(folder: Path, plain: Any) -> None:
    assert len(LONG) > 2**20
    first, long, second = scoring.rows(scoring.scorer(folder), text=[NEIGHBOURS[0], LONG, NEIGHBOURS[1]])
    assert long is not None
    assert (long["tokens"], long["truncated"]) == (64, True)
    assert_scored(long, plain(LONG))
    for row, text in [(first, NEIGHBOURS[0]), (second, NEIGHBOURS[1])]:
        assert_scored(row, plain(text))
        assert row["truncated"] is False


def test_a_word_of_a_megabyte_is_an_unknown_word(folder: Path, plain: Any) -> None:
    [row] = scoring.rows(scoring.scorer(folder), text=["a" * 2**20])
    assert_scored(row, plain("a" * 2**20))
    assert row["tokens"] == 3  # WordPiece gives up on a word of more than 100 characters: [CLS] [UNK] [SEP]


BAD_BYTES: Final = {
    "a lone high surrogate": b"\xed\xa0\x80",
    "a lone low surrogate": b"the \xed\xb0\x80 cat",
    "Latin-1": "größer".encode("latin-1"),
    "half a character": "😀".encode()[:2],
    "an overlong slash": b"\xc0\xaf",
    "bytes no text has": b"\xff\xfe\x00",
}


def strings_of(values: Sequence[bytes]) -> pa.Array:
    """A string column of these bytes, unchecked, as a careless writer makes it."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bytes_that_are_no_text_fail_alone(folder: Path, plain: Any, name: str) -> None:
    column = strings_of([NEIGHBOURS[0].encode(), BAD_BYTES[name], b"", NEIGHBOURS[1].encode()])
    first, bad, empty, second = scoring.rows(scoring.scorer(folder), text=column)
    assert bad is not None
    assert bad["error"]["code"] == "invalid_text"
    assert bad["error"]["retryable"] is False
    assert "UTF-8" in bad["error"]["message"]
    assert {name: value for name, value in bad.items() if value is not None} == {"error": bad["error"]}
    for row, text in [(first, NEIGHBOURS[0]), (empty, ""), (second, NEIGHBOURS[1])]:
        assert_scored(row, plain(text))


def test_many_bad_rows_between_good_ones(folder: Path, plain: Any) -> None:
    values = [value for bad in BAD_BYTES.values() for value in (bad, b"the cat", bad)]
    scored = scoring.rows(scoring.scorer(folder), text=strings_of(values))
    assert len(scored) == len(values)
    for row, value in zip(scored, values, strict=True):
        assert row is not None
        if value == b"the cat":
            assert_scored(row, plain("the cat"))
        else:
            assert row["error"]["code"] == "invalid_text"


def test_bytes_that_are_no_text_fail_in_the_pair_as_well(folder: Path) -> None:
    made = scoring.scorer(folder, inputs=("text", "text_pair"))
    first, second = scoring.rows(made, text=["the cat", "the cat"], text_pair=strings_of([b"water", b"\xff"]))
    assert first is not None
    assert second is not None
    assert first["error"] is None
    assert second["error"]["code"] == "invalid_text"


def test_a_model_that_gives_nan_gives_no_score(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", num_labels=3)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.bias[1] = float("nan")
    model.save_pretrained(folder)
    first, null, *others = scoring.rows(scoring.scorer(folder), text=[NEIGHBOURS[0], None, NEIGHBOURS[1], ""])
    assert null is None
    for row in (first, *others):
        assert row is not None
        assert row["error"]["code"] == "non_finite"
        assert [row[name] for name in ("label", "score", "scores", "tokens", "truncated")] == [None] * 5
