"""What is wrong with a definition, in words: each ``add_…`` looks at one kind of mistake and notes all it finds."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from jobs import references
from jobs.batches import FORMAT, KEY
from jobs.located import Key, Located, dotted

Data = Any


def add_unset_references(found: Located) -> None:
    """Environment variables that are named and unset, and references that are none."""
    for key, value in _leaves(found.data, ()):
        if isinstance(value, str):
            place = found.place(key)
            found.problems += references.problems(value, file=place.file, line=place.line, key=dotted(key))


def add_validation(found: Located, error: ValidationError, model: type[BaseModel]) -> None:
    """Unknown and missing keys, values of the wrong type or out of range."""
    known = {problem.key for problem in found.problems}
    for detail in error.errors(include_url=False):
        key = _key(detail, found.data)
        if dotted(key) in known:
            continue
        if detail["type"] == "extra_forbidden":
            expected, hint = _unknown(key, model)
            found.add(key, expected, words(key[-1]), hint)
        elif detail["type"] == "refused":
            context = detail["ctx"]
            found.add(key, context["expected"], context["got"], context["hint"])
        else:
            got = "nothing" if detail["type"] == "missing" else words(_at(found.data, key))
            found.add(key, *_says(key, model, got))


def add_clashes(found: Located) -> None:
    """An output, or its parsed values, with the name of a column of the key or of a conversation's last turn."""
    source, sink = _mapping(found.data, "source"), _mapping(found.data, "sink")
    key = source.get("key", [KEY] if source.get("format") == FORMAT else None)
    keys = [str(name).lower() for name in key] if isinstance(key, list) else []
    if isinstance(source.get("fold"), dict):
        keys.append(str(source["fold"].get("order", "turn")).lower())
    for field, name in (("output", sink.get("output", "prediction")), ("parse", sink.get("parse"))):
        if isinstance(name, str) and name.lower() in keys:
            found.add(("sink", field), "a name that no key column has", words(name), "write another name")


def add_task(found: Located) -> None:
    """Inputs, parameters and a ``sink.parse`` that the task does not take, where the definition names the task."""
    from engine.schema import SCHEMAS

    task = found.data.get("task") if isinstance(found.data, dict) else None
    if isinstance(task, str) and task in SCHEMAS:
        _add_inputs(found, task, _mapping(found.data, "source").get("inputs"))
        _add_params(found, task, _mapping(found.data, "params"))
        _add_parse(found, task)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that the given one is most like, if it is like any."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)), None)


def words(value: Any) -> str:
    """A value as YAML shows it, short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _add_inputs(found: Located, task: str, inputs: Data) -> None:
    from engine.schema import schema_of

    roles = {role.name: role.required for role in schema_of(task).inputs}
    if not isinstance(inputs, dict):
        return
    for name in inputs:
        if name not in roles:
            hint = f"write {nearest(name, roles) or next(iter(roles))}: {inputs[name]}"
            found.add(("source", "inputs", name), f"an input of {task} ({', '.join(roles)})", words(name), hint)
    for name, required in roles.items():
        if required and name not in inputs:
            found.add(("source", "inputs"), f"a column for the input {name} of {task}", "none", f"write {name}: column")


def _add_params(found: Located, task: str, params: Mapping[str, Data]) -> None:
    from engine.errors import ParameterError
    from engine.options import Column
    from engine.tasks import task_class
    from engine.tasks.params import parse_params, takes

    needed = {
        name: Column("") for name in task_class(task).required
    }  # each is looked at alone, and a model may log one
    known = {problem.key for problem in found.problems}
    for name, value in params.items():
        if dotted(("params", name)) in known:
            continue
        column = isinstance(value, dict) and set(value) == {"column"}  # any other mapping is a value, as a schema is
        try:
            parse_params(task, {**needed, name: Column("") if column else value})
        except ParameterError as error:
            expected, got, _ = str(error).partition(", got ")
            expected = expected.removeprefix(f"expected {name} to be ").removeprefix("expected ")
            if not got:  # not about the value: the name is unknown
                expected = f"a parameter of {task}"
            found.add(("params", name), expected, words(value), f"write one that {task} takes: {takes(task)}")


def _add_parse(found: Located, task: str) -> None:
    """A column of values where the task's answers have no type."""
    from engine.tasks.params import describe

    key, sink = ("sink", "parse"), _mapping(found.data, "sink")
    if sink.get("parse") is None or dotted(key) in {problem.key for problem in found.problems}:
        return
    form = _mapping(found.data, "params").get("response_format")
    if "response_format" not in {name for name, *_ in describe(task)}:
        found.add(key, "a task with a response_format, such as llm/v1/chat", words(task), "remove parse")
    elif isinstance(form, dict) and form.get("type") != "json_schema":
        hint = "write params: {response_format: {type: json_schema, …}}, or remove parse"
        found.add(key, "a response_format of type json_schema, the same for all rows", words(form), hint)


def _unknown(key: Key, model: type[BaseModel]) -> tuple[str, str]:
    name, section = str(key[-1]), _model(key[:-1], model)
    names = [field.alias or name for name, field in section.model_fields.items()]
    near = nearest(name, names)
    if near is None:
        home = next((dotted((home, name)) for home, fields in _homes(model) if name in fields), None)
        hint = f"write it as {home}" if home else "remove it"
    else:
        hint = f"write {near}"
    return f"one of {', '.join(names)}", hint


def _says(key: Key, model: type[BaseModel], got: str) -> tuple[str, str, str]:
    name, field = _field(key, model)
    if field is None:
        return "a mapping with version, name, model, source and sink", got, "write them"
    example = yaml.safe_dump({name: (field.examples or [None])[0]}, default_flow_style=True, width=1000).strip()
    return field.description or "another value", got, f"write {example[1:-1]}"


def _homes(model: type[BaseModel]) -> Iterator[tuple[str, list[str]]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, [inner.alias or key for key, inner in field.annotation.model_fields.items()]


def _model(key: Key, model: type[BaseModel]) -> type[BaseModel]:
    for part in key:
        inner = _section(model.model_fields[str(part)])
        assert inner is not None
        model = inner
    return model


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, where it holds one, or may."""
    held = (field.annotation, *get_args(field.annotation))
    return next((one for one in held if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _field(key: Key, model: type[BaseModel]) -> tuple[str, FieldInfo | None]:
    """The field at a key, with its name in YAML; of an item of a list or mapping, the field that holds it."""
    found: tuple[str, FieldInfo | None] = "", None
    section: Any = model
    for part in key:
        named = {field.alias or name: field for name, field in section.model_fields.items()}
        found = str(part), named[str(part)]
        section = _section(named[str(part)])
        if section is None:
            break
    return found


def _key(detail: ErrorDetails, data: Data) -> Key:
    """Where an error stands in the data; pydantic's own names of the branches of a union are left out."""
    key: list[str | int] = []
    for i, part in enumerate(detail["loc"]):
        missing = detail["type"] in ("missing", "refused") and i == len(detail["loc"]) - 1
        if missing or (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int)):
            key.append(part)
            data = data[part] if not missing else None
    return tuple(key)


def _at(data: Data, key: Key) -> Data:
    for part in key:
        data = data[part]
    return data


def _leaves(data: Data, key: Key) -> Iterator[tuple[Key, Data]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, (*key, name))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from _leaves(value, (*key, i))
    else:
        yield key, data


def _mapping(data: Data, name: str) -> Mapping[str, Data]:
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
