"""The benchmark of chats: what is asked, what each way writes, and its figures from results made by hand."""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path
from statistics import mean, median
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.chat import __main__ as command
from benchmarks.chat import case, models, structured, trials
from benchmarks.chat import rows as table
from benchmarks.chat.figures import figures, lengths_kept, ratios, same, texts
from benchmarks.chat.generate_batch import GenerateBatch
from benchmarks.chat.lengths import ANSWER, USER, lengths
from benchmarks.chat.limit import Sizes, seconds
from benchmarks.chat.member import KINDS
from benchmarks.chat.report import show
from benchmarks.chat.rows import SYSTEM, Row
from benchmarks.chat.spec import Spec
from benchmarks.chat.static import Static
from benchmarks.chat.team import Team, deal
from benchmarks.chat.ways import GROUPS, LLAMA, WAYS, count, names
from tests.unit.benchmarks.imports import brought


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.chat_model(tmp_path_factory.mktemp("model"), "smallest")


@pytest.fixture(scope="module")
def made(model: Path) -> list[Row]:
    """Short chats of the tiny model: answers of 1 to 9 tokens."""
    from transformers import AutoTokenizer

    found = table.rows(7, AutoTokenizer.from_pretrained(model))
    return [Row(row.user, row.ids, answer) for row, answer in zip(found, (5, 9, 1, 3, 9, 2, 4), strict=True)]


def spec(model: Path, made: list[Row], **changed: Any) -> Spec:
    path = table.write(made, model / "rows.json")
    given = {"way": "static-2", "kind": "static", "options": {"batch": 2}, **changed}
    return Spec(rows=str(path), count=len(made), model=str(model), **given)


def plain(model: Path, made: list[Row], *, ends: bool) -> list[list[int]]:
    """Tokens by plain transformers, a chat at a time; without ``ends`` the end token is as good as any."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model).eval()
    if not ends:
        loaded.generation_config.eos_token_id = None
    found = []
    for row in made:
        lengths = {"max_new_tokens": row.answer, "min_new_tokens": row.answer if ends else None}
        ids = torch.tensor([row.ids])
        written = loaded.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **lengths)
        found.append(written[0, len(row.ids) :].tolist())
    return found


def test_lengths_are_log_normal_and_cut() -> None:
    user, answer = zip(*lengths(4096), strict=True)
    assert (median(user), median(answer)) == (pytest.approx(40, rel=0.02), pytest.approx(60, rel=0.02))
    assert (max(user), max(answer), min(user)) == (USER.most, ANSWER.most, USER.least)
    assert (mean(user), mean(answer)) == (pytest.approx(64, rel=0.03), pytest.approx(77, rel=0.03))
    assert sum(length > 40 * 2.718 for length in user) / 4096 == pytest.approx(0.1587, abs=0.01)  # one sigma above


def test_every_part_of_the_rows_has_the_same_lengths() -> None:
    made = lengths(256)
    assert made == lengths(256)
    assert made != lengths(256, seed=1)
    whole = mean(answer for _, answer in made)
    assert mean(answer for _, answer in made[:16]) == pytest.approx(whole, rel=0.12)
    assert mean(answer for _, answer in made[:128]) == pytest.approx(whole, rel=0.05)


def test_prompts_are_those_of_the_chat_template_and_start_alike(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    made = table.rows(9, tokenizer)
    for row, (user, answer) in zip(made, lengths(9), strict=True):
        assert len(tokenizer(row.user).input_ids) == user  # a word is a token of this one
        shown = (
            f"<|im_start|> system {SYSTEM} <|im_end|> <|im_start|> user {row.user} <|im_end|> <|im_start|> assistant"
        )
        assert row.ids == tokenizer(shown).input_ids
        assert row.answer == answer
    assert len({row.user for row in made}) == 9
    assert table.common(made) >= len(tokenizer(SYSTEM).input_ids)


@pytest.mark.weights
def test_the_system_prompt_has_150_tokens_of_smollm2() -> None:
    from demo import gguf, smollm

    tokenizer = smollm._tokenizer(gguf.read(smollm.package()).values)
    made = table.rows(3, tokenizer)
    assert 145 <= table.common(made) <= 165
    assert len(tokenizer(made[0].user).input_ids) == pytest.approx(lengths(3)[0][0], abs=2)


def test_rows_are_read_as_they_were_written(made: list[Row], tmp_path: Path) -> None:
    assert table.read(table.write(made, tmp_path / "rows.json")) == made


def test_answers_are_dealt_out_evenly() -> None:
    made = [Row("", [1], answer) for _, answer in lengths(256)]
    shares = deal(made, 2)
    assert sorted(i for share in shares for i in share) == list(range(256))
    first, second = (sum(made[i].answer for i in share) for share in shares)
    assert first == pytest.approx(second, rel=0.02)
    assert all(share == sorted(share) for share in shares)


@pytest.mark.parametrize("options", [{"batch": 2}, {"batch": 3, "sorted": True}])
def test_static_batches_write_what_generate_writes(model: Path, made: list[Row], options: dict[str, Any]) -> None:
    assert Static(spec(model, made, options=options))(made) == plain(model, made, ends=True)


def test_generate_batch_writes_what_generate_writes(model: Path, made: list[Row]) -> None:
    options = {"page_size": 32, "num_blocks": 64, "max_batch_tokens": 128, "max_requests_per_batch": 3}
    way = GenerateBatch(spec(model, made, kind="generate-batch", options=options))
    assert way(made) == plain(model, made, ends=False)
    assert way(made[:2]) == plain(model, made[:2], ends=False)
    assert not [
        thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_pipeline_writes_what_generate_writes(model: Path, made: list[Row], batch: int) -> None:
    from transformers import AutoTokenizer

    from benchmarks.chat.spark import by_pipeline

    asked = spec(model, made, way="pipeline", kind="", options={"batch": batch})
    found = by_pipeline(asked, [row.user for row in made], [row.answer for row in made])
    said = AutoTokenizer.from_pretrained(model).batch_decode(plain(model, made, ends=True), skip_special_tokens=True)
    assert all(text.strip().startswith(one.strip()) for text, one in zip(found, said, strict=True))
    assert [text.strip() == one.strip() for text, one in zip(found, said, strict=True)][-1]  # its batch's longest
    assert any(said)


def test_the_engine_writes_what_generate_writes(
    model: Path, made: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.chat.engine import Engine

    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    way = Engine(spec(model, made, kind="engine"))
    assert way(made) == plain(model, made, ends=True)
    assert way.facts["dtype"] == "float32"


def test_the_chat_task_writes_what_generate_writes(
    model: Path, made: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    from benchmarks.chat.task import ChatTask

    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    found = ChatTask(spec(model, made, kind="chat-task", options={}))(made)
    said = AutoTokenizer.from_pretrained(model).batch_decode(plain(model, made, ends=True), skip_special_tokens=True)
    assert [one["text"].strip() for one in found] == [text.strip() for text in said]
    assert [one["tokens"] for one in found] == [row.answer for row in made]
    assert {one["code"] for one in found} == {None}


def test_a_team_answers_every_row(model: Path, made: list[Row]) -> None:
    team = Team(spec(model, made, cores=2, processes=2))
    try:
        assert team.cold()["cold_s"] > 0
        team.run()
        told = team.facts()
    finally:
        team.close()
    assert [told["written"][i] for i in range(7)] == plain(model, made, ends=True)
    assert (told["dtype"], told["batch"]) == ("float32", 2)
    assert [member.returncode for member in team.members] == [0, 0]


def test_a_process_that_dies_is_told(model: Path, made: list[Row]) -> None:
    with pytest.raises(RuntimeError, match="a process ended with 1"):
        Team(spec(model, made, kind="nothing"))


def test_the_limit_by_hand() -> None:
    config = SimpleNamespace(
        hidden_size=4,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=2,
        vocab_size=10,
    )
    sizes = Sizes.of(config)
    # A layer: queries and their output 4 · 4 each, keys and values 4 · 2 each, three of 4 · 8.
    assert (sizes.weights, sizes.head, sizes.cached) == (2 * (16 + 16 + 8 + 8 + 96), 40, 2 * 2 * 2)
    made = [Row("", [1, 2, 3], 2), Row("", [1, 2, 4, 5], 3)]
    speeds = {"flops": {16: 10.0, 512: 100.0}, "bytes_s": 8.0, "item": 4}
    # 5 tokens written; read are 1 and 2 of their own and the 2 shared in each of 2 processes; keys and values are read
    # of 1, 2 and 2, 3, 4 tokens.
    expected = 2 * 5 * (288 + 40) / 10 + 2 * (7 * 288 + 2 * 40) / 100 + 12 * 8 * 4 / 8
    assert seconds(made, sizes, speeds, batch=16, processes=2) == pytest.approx(expected)


def test_figures_of_hand_made_passes() -> None:
    made = [Row("", [1], 30), Row("", [1], 10)]
    passes = [{"s": s, "core_s": 2 * s} for s in (4.0, 2.0, 8.0)]
    told = {"cold_s": 9.0, "dtype": "float32", "texts": {"0": "a"}, "errors": {"1": "non_finite"}}
    assert figures(made, passes, told) == {
        "prompts": 2,
        "tokens": 40,
        "tokens_per_s": 10.0,
        "spread": [5.0, 20.0],
        "runs_s": [4.0, 2.0, 8.0],
        "tokens_per_core_s": 5.0,
        "failed": 1,
        "errors": ["non_finite"],
        "cold_s": 9.0,
        "dtype": "float32",
    }
    assert lengths_kept({"written": {"0": [1] * 30, "1": [2] * 10}}, made)
    assert not lengths_kept({"written": {"0": [1] * 30, "1": [2] * 9}}, made)
    assert lengths_kept(told, made)


def test_texts_are_compared_as_far_as_the_shorter_goes() -> None:
    tokenizer = SimpleNamespace(batch_decode=lambda ids, **_: [" ".join(map(str, one)) for one in ids])
    assert texts({"written": {"0": [1, 2], "3": [4]}}, tokenizer) == {"0": "1 2", "3": "4"}
    assert texts({"texts": {"0": " as said "}}, tokenizer) == {"0": "as said"}
    assert same({"0": "yes, it is", "1": "no", "2": "x"}, {"0": "yes", "1": "yes"}) == 0.5


RATES = {
    "engine": 200.0,
    "pipeline": 10.0,
    "pipeline-batch8": 16.0,
    "engine-alone": 240.0,
    "static-16": 120.0,
    "static-32": 100.0,
    "generate-batch": 160.0,
    "llama-cpp": 80.0,
    "engine-bfloat16": 400.0,
    "pipeline-bfloat16": 20.0,
}


def test_ratios_of_hand_made_rates() -> None:
    found = ratios(RATES)
    assert found["engine_to_pipeline"] == 20.0
    assert found["engine_to_best_pipeline"] == 12.5
    assert found["engine_alone_to_best_static"] == 2.0
    assert found["engine_alone_to_generate_batch"] == 1.5
    assert found["engine_alone_to_best_llama_cpp"] == 3.0
    assert found["engine_to_pipeline_bfloat16"] == 20.0
    assert found["engine_to_llama_cpp_bfloat16"] == 5.0
    assert not any("static" in name for name in found if name.endswith("bfloat16"))
    assert ratios({"pipeline": 1.0}) == {}


def test_the_report_says_each_way_and_what_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    common = {"prompts": 256, "spread": [190.0, 210.0], "tokens_per_core_s": 100.0, "cold_s": 9.0}
    ways = {name: {"tokens_per_s": rate, "of_limit": 0.5, "same_text": 1.0, **common} for name, rate in RATES.items()}
    show(
        {
            "machine": {"cpu": "a processor", "cores": 2, "gpus": []},
            "prompts": {"count": 256, "common": 159, "mean_prompt": 230.0, "mean_answer": 78.2},
            "limits": {"float32": {"tokens_per_s": 480.0, "batch": 64}},
            "left_out": ["llama-cpp is left out: none"],
            "ways": ways,
            "ratios": ratios(RATES),
        }
    )
    lines = capsys.readouterr().out.splitlines()
    assert "256 prompts of 230 tokens on average, 159 of them shared, answers of 78" in lines
    assert "limit in float32: 480 tokens/s, with 64 answers at once" in lines
    row = next(line for line in lines if line.startswith("engine "))
    assert row.split() == ["engine", "256", "200.0", "190.0", "to", "210.0", "100.0", "50%", "100%", "9.0"]
    assert "   12.50  engine to best pipeline; asked for is 10" in lines


def test_every_way_is_in_one_group_and_runs_something() -> None:
    assert sorted(way for group in GROUPS for way in group) == sorted(WAYS)
    kinds = {way.kind for name, way in WAYS.items() if name not in LLAMA}
    assert kinds <= {"", *KINDS}
    assert names(half=False) == tuple(WAYS)
    assert "engine-bfloat16" in names(half=True)
    assert "llama-cpp-bfloat16" not in names(half=True)
    assert [count(part, 256, 16) for part in ("all", "half", "quarter", "few")] == [256, 128, 64, 16]


def test_the_command_reads_ways() -> None:
    read = {action.dest: action.type for action in command._parser()._actions}["only"]
    assert read("static,engine") == ("engine", "static-16", "static-32", "sorted-32")
    with pytest.raises(argparse.ArgumentTypeError, match="expected some of pipelines, static, llama, engine"):
        read("vllm")


def settings(**changed: Any) -> case.Settings:
    return case.Settings(**{"prompts": 4, "few": 2, "tried": 2, "runs": 1, "only": tuple(WAYS), **changed})


def test_llama_cpp_is_left_out_with_a_line_where_it_is_not(tmp_path: Path) -> None:
    ways, lines = case._able(settings())
    assert set(WAYS) - {*ways} == {*LLAMA}
    assert lines[0] == "llama-cpp is left out: --llama-python names no interpreter with llama-cpp-python"
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    lines = case._able(settings(llama_python=str(without)))[1]
    assert "llama-cpp-python is not installed" in lines[0]
    without.write_text("#!/bin/sh\nexit 0\n")
    assert case._able(settings(llama_python=str(without))) == ([*WAYS], [])
    assert "only SmolLM2's package" in case._able(settings(size="smallest", llama_python=str(without)))[1][0]


def test_ways_are_told_what_they_answer(model: Path, made: list[Row], tmp_path: Path) -> None:
    asked = settings(prompts=7)
    told = {way: case._spec(asked, way, tmp_path, model, made, processes=1) for way in WAYS if way not in LLAMA}
    assert {way: one.count for way, one in told.items() if one.count != 7} == {
        "pipeline": 2,
        "pipeline-batch8": 2,
        "static-16": 4,
        "static-32": 2,
        "sorted-32": 2,
        "generate-batch": 4,
    }
    half = case._spec(asked, "static-16-bfloat16", tmp_path, model, made, processes=1)
    assert (half.dtype, half.options, half.kind) == ("bfloat16", {"batch": 16}, "static")
    assert Spec.from_json(half.to_json()) == half
    assert table.read(half.rows) == made


def test_the_best_of_a_trial_is_taken(
    model: Path, made: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Spec] = []

    def rate(asked: Spec) -> float:
        seen.append(asked)
        return 10.0 * asked.options.get("batch", 1) / asked.processes

    monkeypatch.setattr(trials, "_rate", rate)
    long = [Row(row.user, row.ids, 100) for row in made]
    tried = case._trial(spec(model, made, cores=4), settings(tried=3), long)
    assert [row.answer for row in table.read(tried.rows)] == [24] * 3 == [24] * tried.count
    best, rates = trials.best_options(tried, ({"batch": 2}, {"batch": 8}, {"batch": 4}), lambda line: None)
    assert (best.options, sorted(rates.values())) == ({"batch": 8}, [20.0, 40.0, 80.0])
    assert trials.best_processes(tried, lambda line: None)[0] == 1
    assert [one.processes for one in seen[3:]] == [1, 4]


def test_a_whole_run_reports_every_way(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)

    def measured(specs: dict[str, Spec], runs: int, *_: Any, **__: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        told, word = {}, tokenizer("the").input_ids
        for way, one in specs.items():
            rows = table.read(one.rows)[: one.count]
            if one.kind:
                told[way] = {"dtype": one.dtype, "written": {str(i): word * row.answer for i, row in enumerate(rows)}}
            else:
                told[way] = {"dtype": one.dtype, "texts": {"0": " the the", "1": "no"}, "errors": {}}
            told[way]["cold_s"] = 1.0
        return told, {way: [{"s": 2.0, "core_s": 4.0}] * runs for way in specs}

    monkeypatch.setattr(case, "by_turns", measured)
    monkeypatch.setattr(case, "limit", lambda *_, **__: {"tokens_per_s": 1000.0, "batch": 8})
    monkeypatch.setattr(trials, "_rate", lambda asked: float(asked.options.get("max_requests_per_batch", 1)))
    told: list[str] = []
    report = case.run(settings(model=model, prompts=8, only=(*WAYS, "static-32-bfloat16"), runs=2), told.append)
    show(report)
    ways = report["ways"]
    assert {*ways} == {*WAYS, "static-32-bfloat16"} - {*LLAMA}
    assert (ways["pipeline"]["prompts"], ways["static-32"]["prompts"], ways["engine"]["prompts"]) == (2, 2, 8)
    assert ways["pipeline"]["same_text"] == 0.5
    assert ways["engine-alone"]["same_text"] == 1.0
    assert "same_text" not in ways["static-32"]
    tokens = sum(answer for _, answer in lengths(8))
    assert ways["engine"]["tokens_per_s"] == tokens / 2
    assert ways["engine"]["of_limit"] == tokens / 2 / 1000
    assert report["ratios"]["engine_to_engine_alone"] == 1.0
    assert [*report["limits"]] == ["float32", "bfloat16"]
    assert sorted(report["trials"]["generate-batch"].values()) == [8.0, 16.0, 32.0]
    assert len(report["left_out"]) == 2
    json.dumps(report)


VALID = {"sentiment": "positive", "product": {"name": "van", "broken": False}, "topics": ["price"], "steps": []}


def test_answers_are_valid_or_have_an_error() -> None:
    good = {"text": json.dumps(VALID), "code": None, "tokens": 9}
    cut = {"text": None, "code": "incomplete", "tokens": 0}
    assert structured.verdicts([good, cut, good]) == {"valid": 2, "errors": 1, "codes": {"incomplete": 1}}
    for text in ('{"sentiment": "positive"}', "{", json.dumps({**VALID, "topics": ["weather"]})):
        with pytest.raises(ValueError, match="1 of 2 answers are not valid and have no error"):
            structured.verdicts([good, {**good, "text": text}])


def test_no_jvm_and_no_mlflow_is_imported_for_the_engine_alone() -> None:
    modules = "benchmarks.chat.__main__, benchmarks.chat.case, benchmarks.chat.member, benchmarks.chat.structured"
    among = {"pyspark", "py4j", "mlflow", "rich", "pandas", "torch", "transformers", "llama_cpp"}
    assert brought(modules, among=among) == []
