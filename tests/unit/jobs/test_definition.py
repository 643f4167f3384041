from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UnsupportedTaskError
from engine.options import Column, Compute, Request
from engine.tasks.params import parse_params
from jobs.definition import JobDefinition, json_schema, load
from jobs.errors import DefinitionError
from jobs.references import mask, reveal

CONF = Path(__file__).parents[3] / "conf" / "jobs"

GOOD = """\
version: 1
name: reviews_sentiment
model: models:/sentiment@champion
task: text-classification
source:
  table: reviews
  key: [review_id]
  inputs: {text: body}
sink:
  table: reviews_scored
  output: sentiment
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def wrong(path: Path, *overrides: str) -> list[str]:
    """The problems of a definition, without the folder."""
    with pytest.raises(DefinitionError) as caught:
        load(path, overrides=overrides)
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def test_defaults_and_sections(tmp_path: Path) -> None:
    job = load(write(tmp_path, GOOD))
    assert (job.source.table, job.source.path, job.source.format, job.source.changes) == (
        "reviews",
        None,
        "delta",
        "fail",
    )
    assert (job.sink.output, job.sink.keep, job.sink.mode, job.on_change) == ("sentiment", [], "append", "new_rows")
    assert job.errors.max_fraction == 0.01
    assert job.request() == Request(inputs={"text": "body"}, params={})
    assert job.compute_options() == Compute()
    assert load(write(tmp_path, GOOD), overrides=["compute.backend=vllm"]).compute_options() == Compute(backend="vllm")


@pytest.mark.parametrize(
    ("name", "key", "inputs"),
    [
        ("reviews", "review_id", {"text": "body"}),
        ("reviews_embeddings", "review_id", {"text": "body"}),
        ("calls", "call_id", {"audio": "path"}),
        ("chats", "chat_id", {"messages": "question"}),
        ("chats_tickets", "chat_id", {"messages": "question"}),
    ],
)
def test_committed_jobs_load(name: str, key: str, inputs: dict[str, str]) -> None:
    job = load(CONF / f"{name}.yaml")
    assert job.source.key == [key]
    assert job.request().inputs == inputs


def test_every_committed_job_is_looked_at() -> None:
    jobs = {"reviews", "reviews_embeddings", "calls", "chats", "chats_tickets"}
    assert {path.stem for path in CONF.glob("*.yaml")} == jobs


def test_the_calls_are_read_below_their_folder_alone() -> None:
    job = load(CONF / "calls.yaml")
    params = parse_params("automatic-speech-recognition", job.request().params)
    assert (params.roots, params.timestamps) == ((".demo/recordings",), "segments")
    assert job.errors.max_fraction == 0.05


def test_all_problems_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
version: 1
nam: reviews
model: models:/x@champion
source:
  table: a
  path: b
  key: [id, 3]
  inputs: {text: 5}
  wher: "x > 1"
compute: {dtype: fp16, batch_tokens: 0}
sink: {table: c, output: _run_id, mode: overwrite}
errors: {max_fraction: 2}
"""
    assert wrong(write(tmp_path, text)) == [
        "job.yaml:1: name: expected a name of lower-case letters, digits and underscores that starts with a letter, "
        "got nothing; write name: reviews_sentiment",
        "job.yaml:2: nam: expected one of version, name, model, task, source, params, compute, sink, on_change, "
        'allow_foreign_code, errors, limits, tracking, trigger, schedule, got "nam"; write name',
        "job.yaml:6: source.path: expected either table or path, got both; write table: name, or path: with format:",
        "job.yaml:7: source.key[1]: expected the columns that tell rows apart, a list, got 3; write key: [review_id]",
        "job.yaml:8: source.inputs.text: expected the column that the task reads, or a column for each of its inputs, "
        "got 5; write inputs: {text: body}",
        "job.yaml:9: source.wher: expected one of table, path, format, key, inputs, fold, where, changes, schema, "
        'options, got "wher"; write where',
        'job.yaml:10: compute.dtype: expected auto, float32, bfloat16 or float16, got "fp16"; write dtype: auto',
        "job.yaml:10: compute.batch_tokens: expected auto or the tokens of a micro-batch, a whole number above 0, "
        "got 0; write batch_tokens: 4096",
        "job.yaml:11: sink.output: expected names that the sink has no other use for, got _run_id; write another name",
        "job.yaml:11: sink.mode: expected append, merge (a row takes the place of that with its key) or replace_where "
        "(all rows of the source are scored and take the place of the rows that meet replace_where), got "
        '"overwrite"; write mode: append',
        "job.yaml:12: errors.max_fraction: expected the share of rows that may fail, a number from 0 to 1, got 2; "
        "write max_fraction: 0.01",
    ]


@pytest.mark.parametrize(
    ("change", "key", "got"),
    [
        (("name: reviews_sentiment", "name: Reviews"), "name", '"Reviews"'),
        (("version: 1", 'version: "1"'), "version", '"1"'),
        (("[review_id]", "review_id"), "source.key", '"review_id"'),
        (("[review_id]", "[]"), "source.key", "[]"),
        (("[review_id]", "[no]"), "source.key[0]", "false"),
        (("[review_id]", "[a, a]"), "source.key", "a again"),
        (("{text: body}", "{}"), "source.inputs", "{}"),
        (("{text: body}", "{roles: 5}"), "source.inputs.roles", "5"),
        (("{text: body}", "[body]"), "source.inputs", '["body"]'),
        (("output: sentiment", "output: review_id"), "sink.output", '"review_id"'),
        (("output: sentiment", "keep: [prediction]"), "sink.keep", "prediction"),
        (("table: reviews_scored", "mode: append"), "sink.path", "neither"),
        (("table: reviews\n", "table: reviews\n  format: csv\n"), "source.format", "csv"),
        (("table: reviews\n", "table: reviews\n  schema: a INT\n"), "source.schema", "one"),
        (("table: reviews\n", 'table: reviews\n  options: {header: "true"}\n'), "source.options", "header"),
        (("table: reviews\n", "path: calls\n  format: binaryFile\n  schema: a INT\n"), "source.schema", "one"),
        (("task: text-classification", "task: text-clasification"), "task", "text-clasification"),
        (("task: text-classification", "compute: {device: gpu}"), "compute.device", '"gpu"'),
        (("task: text-classification", "compute: {max_bytes_per_commit: 1x}"), "compute.max_bytes_per_commit", '"1x"'),
        (("task: text-classification", "compute: {backend: vlm}"), "compute.backend", '"vlm"; write backend: auto'),
        (
            ("task: text-classification", "compute: {device: cpu, executor: {gpus: 1, cores: 8}}"),
            "compute.executor",
            "device cpu; remove one",
        ),
        (
            ("task: text-classification", "compute: {executor: {gpus: 1, cores: 8, memory: 4}}"),
            "compute.executor.memory",
            "4",
        ),
        (
            ("task: text-classification", "compute: {gpus_per_task: 2, tasks_per_gpu: 2}"),
            "compute.tasks_per_gpu",
            "gpus_per_task 2 and tasks_per_gpu 2; remove one",
        ),
        (("task: text-classification", "compute:"), "compute", "null"),
        (("task: text-classification", "key: [a]"), "key", '"key"; write it as source.key'),
        (("{text: body}", "{texts: body}"), "source.inputs.texts", '"texts"; write text: body'),
        (("{text: body}", "{text_pair: body}"), "source.inputs", "none; write text: column"),
        (("inputs:", "fold: {order: review_id}\n  inputs:"), "source.fold", "review_id"),
        (("inputs:", "fold: {rolle: who}\n  inputs:"), "source.fold.rolle", '"rolle"; write role'),
        (("inputs:", "fold: {role: 1}\n  inputs:"), "source.fold.role", "1; write role: role"),
        (("inputs:", "fold: [turn]\n  inputs:"), "source.fold", '["turn"]'),
        (("table: reviews\n", "path: calls\n  format: binaryFile\n  fold: {}\n"), "source.fold", "one; remove it"),
        (("output: sentiment", "mode: replace_where"), "sink.replace_where", "none; write replace_where"),
        (
            ("output: sentiment", "mode: replace_where\n  replace_where: a = 1\non_change: rescore"),
            "on_change",
            "rescore; remove it",
        ),
        (("task: text-classification", "limits: {max_price: 1}"), "limits", "none; write there"),
        (("output: sentiment", "parse: Review_ID"), "sink.parse", '"Review_ID"'),
        (("task: text-classification", "trigger: {every: 0 minutes}"), "trigger.every", '"0 minutes"; write every'),
        (("task: text-classification", "trigger: {}"), "trigger.every", "nothing; write every: 1 minute"),
        (
            ("task: text-classification", "schedule: {cron: nightly}"),
            "schedule.cron",
            '"nightly"; write cron: 0 2 * * *',
        ),
        (("task: text-classification", "schedule: {timezone: Berlin}"), "schedule.timezone", "Berlin; write timezone"),
        (("task: text-classification", "schedule: {timezone: ../x}"), "schedule.timezone", "../x; write timezone"),
        (("task: text-classification", "schedule: {over_budget: stop}"), "schedule.over_budget", '"stop"; write over'),
        (
            ("task: text-classification", "schedule: {secrets: {TOKEN: hush}}"),
            "schedule.secrets.TOKEN",
            '"hush"; write secrets: {MAILS_TOKEN: mails.password}',
        ),
        (
            ("output: sentiment", "mode: replace_where\n  replace_where: a = 1\ntrigger: {every: 1 minute}"),
            "trigger",
            "one; remove it",
        ),
    ],
)
def test_one_problem(tmp_path: Path, change: tuple[str, str], key: str, got: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    found = wrong(write(tmp_path, text))
    assert any(f": {key}: expected" in problem and f"got {got}" in problem for problem in found), found


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "expected a mapping with version, name, model, source and sink, got null"),
        ("- 1\n", 1, "expected a mapping with version, name, model, source and sink, got [1]"),
        ("version: 1\nname: a: b\n", 2, "expected YAML, got an error (mapping values are not allowed here)"),
        ("version: 1\n---\nversion: 1\n", 2, "expected YAML, got an error (but found another document)"),
        ("a: &x 1\nb: *x\n", 2, "expected every value written out, got the alias *x"),
        ("version: 1\nversion: 1\n", 2, "version: expected each key once, got it again; remove one: the first stands"),
        ("version: 1\n1: x\n", 2, "expected a text as key, got '1'; write the key in quotes"),
        ("version: 1\nname: !!python/name:os.system ''\n", 2, "name: expected a plain value"),
        ("version: 1\nname: !thing {a: 1}\n", 2, "name: expected a plain value, got the tag !thing"),
        ("version: 1\nname: 2026-02-30\n", 2, "name: expected a plain value, got '2026-02-30'; write it in quotes"),
    ],
)
def test_yaml_problems(tmp_path: Path, text: str, line: int, message: str) -> None:
    assert any(p.startswith(f"job.yaml:{line}: {message}") for p in wrong(write(tmp_path, text)))


def test_a_missing_file(tmp_path: Path) -> None:
    (problem,) = wrong(tmp_path / "none.yaml")
    assert problem.startswith("none.yaml: expected a readable job definition, got No such file or directory")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(b"name: \xff\xfa")
    assert wrong(path)[0].startswith("job.yaml: expected YAML, got an error")


def test_params_of_a_task_that_needs_some(tmp_path: Path) -> None:
    """Each is looked at for itself; one that is missing may come with the logged model."""
    text = GOOD.replace("task: text-classification", "task: zero-shot-classification")
    assert load(write(tmp_path, text + "params: {multi_label: true}\n")).params == {"multi_label": True}
    assert load(write(tmp_path, text + "params: {candidate_labels: {column: teams}}\n"))
    found = wrong(write(tmp_path, text + "params: {candidate_labels: [], hypothesis_template: it is}\n"))
    assert [problem.partition("; write")[0] for problem in found] == [
        "job.yaml:12: params.candidate_labels: expected list of str, at least one, got []",
        'job.yaml:12: params.hypothesis_template: expected a sentence with one {} where the label goes, got "it is"',
    ]


def test_params_and_inputs_of_a_task_on_recordings(tmp_path: Path) -> None:
    text = GOOD.replace("task: text-classification", "task: automatic-speech-recognition")
    heard = text.replace("{text: body}", "{audio: recording, sampling_rate: hertz}")
    assert load(write(tmp_path, heard + "params: {roots: [s3a://calls/], language: {column: lang}}\n"))
    given = "params: {roots: /calls, channel: -1, max_duration_s: {column: longest}, window: 20}\n"
    found = wrong(write(tmp_path, heard + given))
    assert [re.sub("; write one that .*", "", problem) for problem in found] == [
        'job.yaml:12: params.roots: expected list of str, got "/calls"',
        "job.yaml:12: params.channel: expected channel of at least 0, got -1",
        'job.yaml:12: params.max_duration_s: expected a value for all rows, got {"column": "longest"}',
        "job.yaml:12: params.window: expected a parameter of automatic-speech-recognition, got 20",
    ]


def test_a_parameter_may_be_a_mapping_but_none_that_is_nearly_a_column(tmp_path: Path) -> None:
    chat = GOOD.replace("text-classification", "llm/v1/chat").replace("{text: body}", "{messages: body}")
    given = {"response_format": {"type": "json_object"}, "logit_bias": {50: -1, 7: 2.5}, "top_k": {"column": "k"}}
    job = load(write(tmp_path, chat + f"params: {json.dumps(given)}\n"))
    assert job.params["response_format"] == {"type": "json_object"}
    assert job.params["logit_bias"] == {"50": -1, "7": 2.5}
    assert job.params["top_k"] == Column("k")
    found = wrong(write(tmp_path, chat + "params: {top_k: {colum: k}, logit_bias: {column: a, else: b}}\n"))
    assert [problem.partition(", got ")[2] for problem in found] == [
        "a mapping with colum; write {column: name}",
        "a mapping with column, else; write {column: name}",
    ]


def test_params(tmp_path: Path) -> None:
    job = load(write(tmp_path, GOOD + "params: {top_k: {column: k}, max_length: 64}\n"))
    assert job.request().params == {"top_k": Column("k"), "max_length": 64}
    assert json.loads(job.model_dump_json())["params"] == {"top_k": {"column": "k"}, "max_length": 64}

    found = wrong(
        write(tmp_path, GOOD + "params: {topk: 3, top_k: 0, function_to_apply: relu, max_length: {col: n}}\n")
    )
    assert [re.sub("; write one that .*", "", problem) for problem in found] == [
        "job.yaml:12: params.max_length: expected a value or {column: name}, got a mapping with col; "
        "write {column: name}",
        "job.yaml:12: params.topk: expected a parameter of text-classification, got 3",
        "job.yaml:12: params.top_k: expected null or at least 1, got 0",
        'job.yaml:12: params.function_to_apply: expected auto or softmax or sigmoid or none, got "relu"',
    ]
    assert "top_k: int or null = null" in found[1]


def test_parsed_answers(tmp_path: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    text = GOOD.replace("task: text-classification\n", "").replace("{text: body}", "body")
    job = load(write(tmp_path, text + f"params: {{response_format: {json.dumps(form)}}}\n"), overrides=["sink.parse=a"])
    assert (job.sink.parse, job.params) == ("a", {"response_format": form})
    assert wrong(write(tmp_path, GOOD), "sink.parse=_Dtype") == [
        "--set: sink.parse: expected names that the sink has no other use for, got _Dtype; write another name"
    ]
    assert wrong(write(tmp_path, GOOD), "sink.output=a", "sink.parse=A") == [
        "--set: sink.parse: expected names that the sink has no other use for, got A; write another name"
    ]
    assert wrong(write(tmp_path, GOOD), "sink.parse=a") == [
        '--set: sink.parse: expected a task with a response_format, such as llm/v1/chat, got "text-classification"; '
        "remove parse"
    ]
    chat = GOOD.replace("text-classification", "llm/v1/chat").replace("{text: body}", "body")
    for form in ("{type: json_object}", "{column: form}"):
        (problem,) = wrong(write(tmp_path, chat), "sink.parse=a", f"params.response_format={form}")
        assert "sink.parse: expected a response_format of type json_schema, the same for all rows, got {" in problem
    assert load(write(tmp_path, chat), overrides=["sink.parse=a"]).sink.parse == "a"  # the model may be logged with one


def test_a_task_left_to_the_model(tmp_path: Path) -> None:
    text = GOOD.replace("task: text-classification\n", "").replace("{text: body}", "body")
    job = load(write(tmp_path, text + "params: {anything: 3}\n"))
    assert job.request("embeddings").inputs == {"text": "body"}
    with pytest.raises(UnsupportedTaskError):
        job.request()


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    job = load(path, overrides=["compute.batch_tokens=512", "sink.table=null", "sink.path=/x/y", "source.key=[a, b]"])
    assert (job.compute.batch_tokens, job.sink.path, job.source.key) == (512, "/x/y", ["a", "b"])
    assert wrong(path, "compute.batch_tokens=-1", "name.x=3", "nothing", "compute.dtype=[a") == [
        "--set: name.x: expected a mapping at name, got another value; write a key that the definition has",
        "--set: nothing: expected an assignment, got 'nothing'; write --set compute.dtype=float32",
        "--set: expected YAML, got an error (expected ',' or ']', but got '<stream end>'); write a space after each "
        "colon, indent with spaces, and quote text that holds a colon or a hash",
        "--set: compute.dtype: expected auto, float32, bfloat16 or float16, got null; write dtype: auto",
        "--set: compute.batch_tokens: expected auto or the tokens of a micro-batch, a whole number above 0, got -1; "
        "write batch_tokens: 4096",
    ]


def test_a_secret_is_used_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "s3://hunter2-bucket")
    job = load(write(tmp_path, GOOD.replace("table: reviews_scored", "path: ${env:BUCKET}/out")))
    assert job.sink.path is not None
    assert reveal(job.sink.path) == "s3://hunter2-bucket/out"
    for shown in (repr(job), str(job), job.model_dump_json(), str(job.model_dump()), repr(job.sink)):
        assert "${env:BUCKET}/out" in shown
        assert "hunter2" not in shown
    assert mask("no such path: s3://hunter2-bucket/out") == "no such path: ${env:BUCKET}/out"
    before = job.identity
    monkeypatch.setenv("BUCKET", "s3://elsewhere")
    assert job.identity != before


def test_problems_show_references_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.delenv("UNSET", raising=False)
    text = GOOD.replace("models:/sentiment@champion", "${env:UNSET}").replace("[review_id]", "['${env:SECRET}']")
    text = text.replace("output: sentiment", "output: '${file:/etc/passwd}'")
    assert wrong(write(tmp_path, text)) == [
        "job.yaml:3: model: expected the environment variable UNSET to be set, got nothing; write export UNSET=… first",
        "job.yaml:7: source.key[0]: expected plain text, got ${env:SECRET}; write ${env:…} only in model, table, "
        "path, where, options and weights_path",
        "job.yaml:11: sink.output: expected ${env:NAME}, got ${file:/etc/passwd}; "
        "write ${env:NAME} with the name of an environment variable",
    ]


def test_an_unset_variable_is_named_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(DefinitionError, match="expected the environment variable UNSET to be set"):
        reveal("${env:UNSET}")
    assert reveal(None) is None


def made(**changes: Any) -> JobDefinition:
    fields: dict[str, Any] = {
        "version": 1,
        "name": "a",
        "model": "m",
        "source": {"path": "./in/", "key": ["id"], "inputs": "body"},
        "sink": {"path": "out"},
    }
    return JobDefinition.model_validate({**fields, **changes})


def test_identity_is_name_source_and_sink() -> None:
    job = made()
    assert re.fullmatch(r"[0-9a-f]{16}", job.identity)
    same = made(
        source={"path": "file:in", "key": ["x"], "inputs": {"text": "t"}}, model="n", errors={"max_fraction": 1}
    )
    assert same.identity == job.identity
    for other in (made(name="b"), made(sink={"path": "out2"}), made(sink={"table": "out"})):
        assert other.identity != job.identity
    assert made(sink={"table": "Shop.`Out`"}).identity == made(sink={"table": "shop.out"}).identity


def test_turns_are_folded_by_columns_with_usual_names(tmp_path: Path) -> None:
    job = made(source={"path": "in", "key": ["chat"], "inputs": "messages", "fold": {"content": "said", "name": "who"}})
    fold = job.source.fold
    assert fold is not None
    assert (fold.order, fold.fields) == ("turn", {"role": "role", "content": "said", "name": "who"})
    assert (job.source.row_key, made().source.row_key) == (["chat", "turn"], ["id"])
    folded = GOOD.replace("inputs:", "fold: {}\n  inputs:").replace("output: sentiment", "output: turn")
    assert wrong(write(tmp_path, folded)) == [
        'job.yaml:12: sink.output: expected a name that no key column has, got "turn"; write another name'
    ]
    folded = GOOD.replace("inputs:", "fold: {}\n  inputs:").replace("[review_id]", "[messages]")
    (problem,) = wrong(write(tmp_path, folded))
    assert problem.startswith("job.yaml:8: source.fold: expected a key without messages, which a conversation has")


def test_a_request_for_a_task_that_there_is_not() -> None:
    with pytest.raises(UnsupportedTaskError, match="no-such-task"):
        made().request("no-such-task")


def test_json_schema_names_every_key() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["version", "name", "model", "source", "sink"]
    source = schema["$defs"]["Source"]
    assert "schema" in source["properties"]
    assert all(value["description"] for value in source["properties"].values())
    assert source["else"] == {"required": ["key", "inputs"]}
    assert source["if"]["properties"] == {"format": {"const": "openai-batch"}}
