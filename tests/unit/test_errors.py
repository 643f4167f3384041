from __future__ import annotations

import inspect
import pickle
import re

import pytest

from engine import errors
from engine.errors import ROW_ERROR_CODES, EmbercastError, RowError


def test_the_drawn_tree_is_the_tree() -> None:
    """Class names in the module's docstring, by indentation, against the classes' bases."""
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:│   )*)(├── |└── )?(\w+Error) ", line)
        if found:
            depth = len(found[1]) // 4 + bool(found[2])
            path = [*path[:depth], found[3]]
            drawn[found[3]] = path[-2] if depth else "Exception"
    classes = inspect.getmembers(errors, inspect.isclass)
    assert drawn == {name: cls.__bases__[0].__name__ for name, cls in classes if issubclass(cls, EmbercastError)}


def test_a_row_error_survives_its_way_from_a_worker() -> None:
    found = pickle.loads(pickle.dumps(RowError("out_of_memory", "shorten it")))
    assert (found.code, found.message, found.retryable) == ("out_of_memory", "shorten it", True)
    assert str(found) == "out_of_memory: shorten it"


@pytest.mark.parametrize("code", ROW_ERROR_CODES)
def test_only_what_memory_and_storage_decide_may_be_tried_again(code: str) -> None:
    assert RowError(code, "").retryable is (code in ("out_of_memory", "unreadable"))


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        RowError("something_else", "")
