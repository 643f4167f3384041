"""The licence that a card states."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ModelError
from engine.models.licence import stated


@pytest.mark.parametrize(
    ("name", "text", "licences"),
    [
        ("model_card_data.yaml", "language: en\nlicense: Apache-2.0\n", ("apache-2.0",)),
        ("model_card_data.yaml", "license:\n- mit\n- cc-by-4.0\n", ("mit", "cc-by-4.0")),
        ("model_card_data.yaml", "license: other\nlicense_name: llama3.1\n", ("llama3.1",)),
        ("model_card_data.yaml", "license: other\n", ("other",)),
        ("model_card_data.yaml", "language: en\n", ()),
        ("model_card_data.yaml", "", ()),
        ("model_card.md", "---\nlicense: mit\n---\n# A model\nlicense: none\n", ("mit",)),
        ("README.md", "\n---\r\nlicense: mit\r\n---\r\n# A model\r\n", ("mit",)),
        ("README.md", "\ufeff---\nlicense: mit\n---\n", ("mit",)),
        ("README.md", "# A model\nlicense: mit\n", ()),
        ("model/README.md", "---\nlicense: mit\n---\n", ("mit",)),
        ("LICENSE.txt", "license: mit", ()),
    ],
)
def test_it_is_read_where_cards_hold_it(tmp_path: Path, name: str, text: str, licences: tuple[str, ...]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text.encode())
    assert stated(tmp_path) == licences


def test_the_first_card_that_states_one_counts(tmp_path: Path) -> None:
    assert stated(tmp_path) == ()
    (tmp_path / "README.md").write_text("---\nlicense: gpl-3.0\n---\n")
    (tmp_path / "model_card_data.yaml").write_text("language: en\n")
    assert stated(tmp_path) == ("gpl-3.0",)
    (tmp_path / "model_card_data.yaml").write_text("license: mit\n")
    assert stated(tmp_path) == ("mit",)


def test_a_broken_card_is_no_card_without_a_licence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: [mit\n---\n")
    with pytest.raises(ModelError, match=r"expected a model card with YAML at its head in .*README\.md"):
        stated(tmp_path)
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    with pytest.raises(ModelError, match=r"expected a model card in UTF-8 in .*README\.md"):
        stated(tmp_path)
