from __future__ import annotations

from engine.generation.prompt import prompts, split_template


def test_a_prompt_stands_in_its_template_as_it_is() -> None:
    assert prompts(["a {b}", "{prompt}"], "Q: {prompt}\nA {{}}:") == ["Q: a {b}\nA {}:", "Q: {prompt}\nA {}:"]
    assert prompts(["x"], None, "summarize: ") == ["summarize: x"]
    assert prompts(["x"], "<{prompt}>", "say ") == ["say <x>"]


def test_a_template_has_two_sides() -> None:
    assert split_template(None) == ("", "")
    assert split_template("{prompt}") == ("", "")
    assert split_template("a{{b}}{prompt}{{") == ("a{b}", "{")
