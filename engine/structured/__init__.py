"""Answers of a given form: what may be asked for, tokens held to it, texts checked against it, typed columns of them.

formats.py     response_format → Format            dialect.py     the part of JSON Schema that answers are held to
grammar.py     Format → Grammar for a tokenizer    vocabulary.py  a tokenizer as the grammar library reads it
check.py       a finished text against its Format
types.py       JSON schema → Arrow type            parse.py       texts → a column of that type
"""

from engine.structured.check import check_value
from engine.structured.grammar import fill_masks, grammar_for
from engine.structured.parse import parse
from engine.structured.types import value_type

__all__ = ["check_value", "fill_masks", "grammar_for", "parse", "value_type"]
