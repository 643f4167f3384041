"""Texts written under a grammar: whatever the logits, each is valid or was cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import ParameterError, RowError
from engine.generation.backend import Matcher
from engine.structured import check_value, fill_masks, grammar_for
from tests.unit.structured import vocabularies

ORDER: Final = {
    "type": "object",
    "properties": {
        "customer": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "vip": {"type": "boolean"}},
            "required": ["name", "vip"],
        },
        "lines": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "unit": {"enum": ["piece", "kg", "m"]},
                    "count": {"type": "integer", "minimum": 1, "maximum": 99},
                    "price": {"type": "number", "minimum": 0, "maximum": 1000},
                },
                "required": ["unit", "count"],
            },
        },
        "note": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
    },
    "required": ["customer", "lines", "note"],
}
#: Tokens of the model, more than the tokenizers have.
SIZE: Final = 400
TOKENIZERS: Final = {"byte level": vocabularies.byte_level, "pieces": vocabularies.pieces}


def schema(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": of}}


def allowed(mask: npt.NDArray[np.int32]) -> list[int]:
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


def follow(tokenizer: Any, matcher: Matcher, text: str) -> list[int]:
    """The tokens that may come after a text."""
    mask = np.zeros((SIZE + 31) // 32, np.int32)
    for token in tokenizer.encode(text, add_special_tokens=False):
        matcher.fill(mask)
        assert token in allowed(mask)
        matcher.accept(token)
    matcher.fill(mask)
    return allowed(mask)


def write(tokenizer: Any, asked: Mapping[str, Any], rows: int, limit: int, *, sampled: bool) -> list[tuple[str, bool]]:
    """Texts by random logits in which what closes a value is likely, and whether each came to its end."""
    size, end = SIZE, tokenizer.eos_token_id
    grammar = grammar_for(asked, tokenizer, size)
    assert grammar is not None
    random = np.random.default_rng(7)
    closing = np.zeros(size, np.float32)
    closing[tokenizer.convert_tokens_to_ids(['"', "}", "]", ","])] = 4.0
    matchers, texts, ended = [grammar.matcher() for _ in range(rows)], [[] for _ in range(rows)], [False] * rows
    live = list(range(rows))
    for _ in range(limit):
        masks = np.zeros((len(live), (size + 31) // 32), np.int32)
        fill_masks([matchers[row] for row in live], masks)
        bits = np.unpackbits(masks.view(np.uint8), axis=1, bitorder="little")[:, :size].astype(bool)
        noise = random.gumbel(size=bits.shape) if sampled else random.normal(size=bits.shape)
        tokens = np.where(bits, closing + noise, -np.inf).argmax(axis=1)
        for row, token in zip(live, tokens.tolist(), strict=True):
            ended[row] = token == end
            if not ended[row]:
                matchers[row].accept(token)
                texts[row].append(token)
        live = [row for row in live if not ended[row]]
    return list(zip(tokenizer.batch_decode(texts, skip_special_tokens=True), ended, strict=True))


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("sampled", [True, False])
def test_five_hundred_texts(make: Callable[[], Any], sampled: bool) -> None:
    made = write(make(), schema(ORDER), rows=250, limit=100, sampled=sampled)
    assert 20 < sum(ended for _, ended in made) < 250
    for text, ended in made:
        if ended or whole(text):  # the length may be reached with the last bracket
            jsonschema.validate(json.loads(text), ORDER)
            check_value(schema(ORDER), text)
        else:
            with pytest.raises(RowError, match="incomplete: expected one whole JSON value"):
                check_value(schema(ORDER), text)


def whole(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "regex", "pattern": r"^\d{3}-[a-f]{2,4}$"},
        {"type": "choice", "choices": ["yes", "no way", 'é "or" \\']},
        schema(
            {"$ref": "#/$defs/list", "$defs": {"list": {"type": "array", "maxItems": 3, "items": {"enum": [1, "b"]}}}}
        ),
        schema({"type": "object", "properties": {"at": {"type": "string", "format": "date"}}, "required": ["at"]}),
        schema({"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}$"}),
        schema({"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2}),
        schema({"type": "array", "prefixItems": [{"type": "null"}], "items": False, "minItems": 1}),
        schema({"oneOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "boolean"}]}),
    ],
)
def test_every_kind(asked: dict[str, Any]) -> None:
    for make in TOKENIZERS.values():
        texts = [text for text, ended in write(make(), asked, rows=8, limit=80, sampled=True) if ended]
        assert texts
        for text in texts:
            check_value(asked, text)


def test_what_may_follow() -> None:
    tokenizer = vocabularies.byte_level()
    grammar = grammar_for({"type": "choice", "choices": ["ab", "abc", "x"]}, tokenizer, SIZE)
    assert grammar is not None
    a, b, c, x = tokenizer.convert_tokens_to_ids(list("abcx"))
    assert sorted({a, x}) == [token for token in follow(tokenizer, grammar.matcher(), "") if token in (a, b, c, x)]
    assert follow(tokenizer, grammar.matcher(), "ab") == [tokenizer.eos_token_id, c]
    assert follow(tokenizer, grammar.matcher(), "abc") == [tokenizer.eos_token_id]
    with pytest.raises(ValueError, match="expected a token that the grammar allows"):
        grammar.matcher().accept(b)


def test_json_has_no_room_between_its_parts() -> None:
    tokenizer = vocabularies.byte_level()
    space, colon = tokenizer.convert_tokens_to_ids(["Ġ", ":"])
    grammar = grammar_for(schema({"type": "object", "properties": {"a": {}}, "required": ["a"]}), tokenizer, SIZE)
    assert grammar is not None
    assert colon in follow(tokenizer, grammar.matcher(), '{"a"')
    for so_far in ("", '{"a"', '{"a":', '{"a":[1', '{"a":[1,'):
        assert space not in follow(tokenizer, grammar.matcher(), so_far)


def test_ends_are_those_given() -> None:
    tokenizer = vocabularies.byte_level()
    grammar = grammar_for({"type": "choice", "choices": ["a"]}, tokenizer, SIZE, ends=[0, 1])
    assert grammar is not None
    assert follow(tokenizer, grammar.matcher(), "a") == [0, 1]
    with pytest.raises(ParameterError, match="needs an end token"):
        grammar_for({"type": "json_object"}, vocabularies.byte_level(eos_token=None), SIZE)


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_added_tokens_and_padding_are_never_allowed(make: Callable[[], Any]) -> None:
    tokenizer = make()
    tokens = len(tokenizer)
    for size in (tokens - 3, tokens, tokens + 70):
        grammar = grammar_for(schema({"type": "string"}), tokenizer, size)
        assert grammar is not None
        matcher = grammar.matcher()
        mask = np.full((size + 31) // 32, -1, np.int32)
        matcher.fill(mask)
        matcher.accept(tokenizer.convert_tokens_to_ids('"'))
        matcher.fill(mask)
        found = allowed(mask)
        assert max(found) < min(size, tokens)
        assert len(found) > 150
        assert not set(found) & {*tokenizer.added_tokens_decoder}
        together = np.full((2, len(mask)), -1, np.int32)
        fill_masks([grammar.matcher(), matcher], together)
        assert allowed(together[1]) == found != allowed(together[0])


def test_made_once() -> None:
    tokenizer = vocabularies.byte_level()
    made = grammar_for(schema(ORDER), tokenizer, SIZE)
    assert grammar_for(json.loads(json.dumps(schema(ORDER))), tokenizer, SIZE) is made
    assert made is not None
    assert made.response_format == schema(ORDER)
    assert grammar_for(schema(ORDER), tokenizer, SIZE + 1) is not made
    assert grammar_for({"type": "text"}, tokenizer, SIZE) is None
    assert grammar_for({"type": "json_object", "json_schema": None}, tokenizer, SIZE) is not None


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "a type among text, json_object, json_schema, regex, choice, got None"),
        ({"type": "json"}, "got 'json'"),
        ({"type": "json_object", "schema": {}}, "type json_object to have no schema: remove it"),
        ({"type": "json_schema"}, "expected response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"schema": {}, "extra": 1}}, "got extra"),
        ({"type": "regex"}, "expected response_format.pattern"),
        ({"type": "regex", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "choice", "choices": []}, "at least one"),
        ({"type": "choice", "choices": ["a", ""]}, "not empty"),
        ({"type": "choice", "choices": [object()]}, "of JSON values, got TypeError"),
        (schema({"type": "strin"}), "schema.type is none"),
        (schema({"properties": {"a": {"type": "string", "pattern": "("}}}), "schema.properties.a.pattern is none"),
        (schema({"properties": {"a": {"format": "iri"}}}), r"schema.properties.a.format among .*, got 'iri'"),
        (schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (schema({"type": "string", "not": {"const": "a"}}), "not"),
        (schema({"properties": {"a": {}}, "if": {}, "then": {}}), "if"),
        (schema({"oneOf": [{}, {"type": "string"}]}), "write anyOf"),
        (schema({"type": "object", "minProperties": 1}), "schema.minProperties of at most the number of required"),
        (schema({"$ref": "other.json"}), r"schema.\$ref to lead to a place in the schema"),
        (schema({"$ref": "#/$defs/none"}), "/none' does not exist"),
        (schema({"type": "string", "x-guidance": {"lenient": True}}), "no x-guidance at schema"),
        (schema({"type": "integer", "minimum": 3, "maximum": 2}), "minimum"),
    ],
)
def test_what_answers_can_not_be_held_to(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        grammar_for(asked, vocabularies.byte_level(), SIZE)


def test_a_schema_too_deep() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(ParameterError, match="of fewer levels"):
        grammar_for(schema(deep), vocabularies.byte_level(), SIZE)


def test_tokenizers_that_can_not_be_spelled() -> None:
    with pytest.raises(ParameterError, match="needs a tokenizer of the tokenizers library, got object"):
        grammar_for(
            {"type": "json_object"}, type("object", (), {"eos_token_id": 1, "__slots__": ("__weakref__",)})(), 9
        )
