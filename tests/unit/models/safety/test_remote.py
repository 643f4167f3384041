"""What configurations ask transformers to import or to fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import UnsafeModelError
from engine.models.registry import resolve
from engine.models.safety.remote import check
from tests import poison, tiny


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "somebody/attention"},
        {"_attn_implementation": "somebody/attention@main:forward"},
        {"_attn_implementation_internal": "somebody/attention"},
        {"attn_implementation": {"text_config": "somebody/attention"}},
        {"text_config": {"attn_implementation": "somebody/attention"}},
        {"experts_implementation": "somebody/attention"},
    ],
)
def test_kernels_of_a_hub_are_not_fetched(tmp_path: Path, entries: dict[str, Any]) -> None:
    poison.configure(tmp_path / "config.json", model_type="bert", **entries)
    with pytest.raises(UnsafeModelError, match=r"asks for somebody/attention.*would fetch that .*allow_foreign_code"):
        check([tmp_path])
    check([tmp_path], allow_foreign_code=True)


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "sdpa"},
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": None},
        {"auto_map": None},
        {"auto_map": {}},
        {"tokenizer_class": "somebody/tokenizer"},
    ],
)
def test_what_transformers_has_itself_passes(tmp_path: Path, entries: dict[str, Any]) -> None:
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        poison.configure(tmp_path / name, **entries)
    check([tmp_path, tmp_path / "nothing"])


def test_a_plain_folder_is_looked_at_too(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    poison.configure(folder / "config.json", attn_implementation="somebody/attention")
    with pytest.raises(UnsafeModelError, match="would fetch that repository's code and run it"):
        resolve(str(folder))


def test_transformers_own_class_takes_the_place_of_a_models_where_that_is_allowed(tmp_path: Path) -> None:
    folder, ran = poison.logged(tmp_path / "model"), tmp_path / "ran"
    poison.code_of_the_model(folder, ran)
    assert resolve(str(folder), allow_foreign_code=True).task == "text-classification"
    poison.configure(folder / "model" / "config.json", model_type="somebodys")
    with pytest.raises(UnsafeModelError, match=r"is a somebodys, which only the model's own code knows .* never runs"):
        resolve(str(folder), allow_foreign_code=True)
    assert not ran.exists()
