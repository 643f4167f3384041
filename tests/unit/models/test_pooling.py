"""What a sentence-transformers folder ships, read from files written out here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelError
from engine.models.pooling import Shipped, read


def ships(folder: Path, *kinds: str, limit: int | None = None, **modes: Any) -> Path:
    """A folder with modules.json and, where there is a Pooling, its configuration."""
    modules = [
        {
            "idx": i,
            "path": "" if kind == "Transformer" else f"{i}_{kind}",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    if "Pooling" in kinds:
        own = folder / f"{kinds.index('Pooling')}_Pooling"
        own.mkdir()
        (own / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    if limit is not None:
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit}))
    return folder


MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "include_prompt": True}
LAST = {"pooling_mode_lasttoken": True}


@pytest.mark.parametrize(
    ("kinds", "modes", "limit", "expected"),
    [
        (["Transformer", "Pooling"], MEAN, None, Shipped("mean", False, None)),
        (["Transformer", "Pooling", "Normalize"], MEAN, 256, Shipped("mean", True, 256)),
        (["Transformer", "Pooling"], CLS, 512, Shipped("cls", False, 512)),
        (["Transformer", "Pooling", "Normalize"], LAST, None, Shipped("last", True, None)),
        (["Transformer"], {}, None, Shipped("mean", False, None)),
    ],
)
def test_what_is_shipped_is_read(
    tmp_path: Path, kinds: list[str], modes: dict[str, Any], limit: int | None, expected: Shipped
) -> None:
    assert read(ships(tmp_path, *kinds, limit=limit, **modes)) == expected


def test_a_folder_that_ships_nothing_has_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path) == Shipped("mean", False, None)


@pytest.mark.parametrize("kind", ["Dense", "WeightedLayerPooling"])
def test_a_module_that_would_change_the_vectors_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=f"expected modules Transformer, Pooling, Normalize in .*, got {kind} as well"):
        read(ships(tmp_path, "Transformer", "Pooling", kind, **MEAN))


@pytest.mark.parametrize(
    ("modes", "got"),
    [
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean_tokens, pooling_mode_cls_token"),
        ({"pooling_mode_mean_tokens": False}, "none"),
    ],
)
def test_a_mode_that_we_lack_is_refused(tmp_path: Path, modes: dict[str, Any], got: str) -> None:
    with pytest.raises(ModelError, match=f"expected one pooling mode of .* got .*{got}"):
        read(ships(tmp_path, "Transformer", "Pooling", **modes))
