"""What leaves a model's folder, as it is written and as it lies on the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UnsafeModelError
from engine.models.safety.paths import check, check_model, leaves


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("model", False),
        ("components/tokenizer", False),
        ("a..b/..c", False),
        ("", False),
        ("../model", True),
        ("model/../../x", True),
        ("/etc/passwd", True),
        ("C:\\model", True),
        ("model\\..\\..\\x", True),
    ],
)
def test_a_path_as_it_is_written(path: str, out: bool) -> None:
    assert leaves(path) is out


@pytest.mark.parametrize(
    "flavor",
    [
        {"transformers": {"model_binary": "../x"}},
        {"transformers": {"peft_adaptor": "/x"}},
        {"python_function": {"env": {"conda": "../conda.yaml"}}},
        {"python_function": {"artifacts": {"words": {"path": "artifacts/../../x", "uri": "s3://bucket/x"}}}},
        {"sentence_transformers": {"code": "../code"}},
    ],
)
def test_fields_that_name_files_stay_inside(tmp_path: Path, flavor: dict[str, Any]) -> None:
    with pytest.raises(
        UnsafeModelError, match=r"in the MLmodel of m to name a file in its folder, got .*log the model"
    ):
        check("m", tmp_path, {"flavors": flavor})


def test_an_example_stays_inside(tmp_path: Path) -> None:
    with pytest.raises(UnsafeModelError, match="expected artifact_path in the MLmodel of m"):
        check("m", tmp_path, {"saved_input_example_info": {"artifact_path": "../../secret.json"}})


def test_what_lies_elsewhere_on_purpose_and_parameters_may_name_anything(tmp_path: Path) -> None:
    own = {"source_model_name": "/mnt/models/base", "local_base_model_path": "/mnt/models/base"}
    python = {"config": {"path": "/../x", "code": "../"}, "model_code_path": "/mnt/scripts/script.py"}
    check("m", tmp_path, {"flavors": {"transformers": own, "python_function": python}, "metadata": {"path": "../x"}})


def test_links_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "model").mkdir(parents=True)
    (root / "model" / "config.json").touch()
    (root / "link.json").symlink_to("model/config.json")
    (root / "folder").symlink_to("model")
    (tmp_path / "way").symlink_to(root)
    check("m", tmp_path / "way", {})
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").touch()
    for name, target in (("out", "../secret/key"), ("up", "../secret"), ("model/far", "/etc"), ("gone", "nothing")):
        (root / name).symlink_to(target)
        with pytest.raises(UnsafeModelError, match=f"expected files and folders in m, {name} is a link that leads out"):
            check("m", root, {})
        (root / name).unlink()
    os.mkfifo(root / "pipe")
    with pytest.raises(UnsafeModelError, match=r"pipe is a link .* or a device"):
        check("m", root, {})


@pytest.mark.parametrize("shard", ["../other.safetensors", "/mnt/other.safetensors", "model-1.bin"])
def test_shards_lie_beside_their_index(tmp_path: Path, shard: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"one": "model-1.safetensors"}}))
    check_model(tmp_path)
    index.write_text(json.dumps({"weight_map": {"one": "model-1.safetensors", "two": shard}}))
    with pytest.raises(UnsafeModelError, match=r"to name safetensors files beside it, got "):
        check_model(tmp_path)


@pytest.mark.parametrize("named", ["adapter_model.bin", "../other.safetensors", "/etc/passwd"])
def test_weights_that_a_configuration_names_lie_beside_it(tmp_path: Path, named: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"transformers_weights": "own.safetensors"}))
    check_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"transformers_weights": named}))
    with pytest.raises(UnsafeModelError, match=r"config\.json to name safetensors files beside it, got "):
        check_model(tmp_path)


def test_modules_of_sentence_transformers_lie_inside(tmp_path: Path) -> None:
    kinds = [{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(kinds))
    check_model(tmp_path)
    (tmp_path / "modules.json").write_text(json.dumps([*kinds, {"path": "../2_Pooling", "type": "Pooling"}]))
    with pytest.raises(UnsafeModelError, match=r"modules\.json to name folders beside it, got \.\./2_Pooling"):
        check_model(tmp_path)
