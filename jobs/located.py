"""YAML as plain data, with the place of every key, so that an error can name the file and the line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from jobs.errors import Problem

Key = tuple[str | int, ...]

_PLAIN: Final = "tag:yaml.org,2002:"
_OVERRIDE: Final = "--set"
#: What every alias has, and a cron has not.
_ALIAS: Final = re.compile(rb"\*[\w-]")


@dataclass(frozen=True)
class Place:
    """A file and a line counted from 1; an override has no line."""

    file: str
    line: int | None


@dataclass
class Located:
    """Plain data (mappings with text keys, lists, scalars), the place of each key, and what was wrong with the YAML."""

    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, key: Key) -> Place:
        """Where the key stands, or what would hold it where it is missing."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, Place("", None))

    def add(self, key: Key, expected: str, got: str, hint: str) -> None:
        """Notes a problem at a key."""
        place = self.place(key)
        problem = Problem(file=place.file, line=place.line, key=dotted(key), expected=expected, got=got, hint=hint)
        if problem not in self.problems:
            self.problems.append(problem)


def dotted(key: Key) -> str:
    """``("source", "key", 0)`` → ``source.key[0]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def read(path: Path, *, holds: str = "job definition") -> Located:
    """Reads a YAML file. A file that can't be read gives no data and one problem, which says what it ``holds``."""
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = Problem(
            file=str(path),
            line=None,
            key="",
            expected=f"a readable {holds}",
            got=error.strerror or type(error).__name__,
            hint="write the path of a YAML file, relative to the folder you are in",
        )
        return Located(problems=[problem])
    return _parse(text, str(path))


def override(located: Located, assignment: str) -> None:
    """Sets one value: ``compute.batch_tokens=2048``; the value is YAML. What can't be set becomes a problem."""
    name, equals, text = assignment.partition("=")
    *parents, last = key = tuple(name.split("."))
    located.places[key] = Place(_OVERRIDE, None)
    if not equals or not all(key):
        located.add(key, "an assignment", repr(assignment), f"write {_OVERRIDE} compute.dtype=float32")
        return
    value = _parse(text.encode(), _OVERRIDE)
    located.problems += value.problems
    holder = located.data
    for i, part in enumerate(parents):
        if isinstance(holder, dict) and holder.get(part) is None:
            holder[part] = {}
            located.places[key[: i + 1]] = Place(_OVERRIDE, None)
        holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        located.add(key, f"a mapping at {dotted(key[:-1])}", "another value", "write a key that the definition has")
        return
    holder[last] = value.data
    for known in [known for known in located.places if known[: len(key)] == key]:
        del located.places[known]
    located.places |= {(*key, *inner): place for inner, place in value.places.items()}


def _parse(text: bytes, file: str) -> Located:
    located = Located(places={(): _place(file, 1)})
    try:
        # Half of the time that reading takes, and 200 definitions are read at once where Airflow parses its DAGs.
        for event in yaml.parse(text, yaml.SafeLoader) if _ALIAS.search(text) else ():
            if isinstance(event, yaml.AliasEvent):
                located.places[()] = _place(file, _line(event))
                located.add((), "every value written out", f"the alias *{event.anchor}", "write the value there again")
                return located
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            located.data = _Builder(loader, located, file).value(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        located.places[()] = _place(file, mark.line + 1 if mark else None)
        got = f"an error ({getattr(error, 'problem', None) or getattr(error, 'reason', None) or type(error).__name__})"
        hint = "write a space after each colon, indent with spaces, and quote text that holds a colon or a hash"
        located.add((), "YAML", got, hint)
        located.data = None
    return located


@dataclass
class _Builder:
    loader: yaml.SafeLoader
    located: Located
    file: str

    def value(self, node: yaml.Node, key: Key) -> Any:
        self.located.places.setdefault(key, _place(self.file, node.start_mark.line + 1))
        if not node.tag.startswith(_PLAIN):
            self.located.add(key, "a plain value", f"the tag {node.tag}", "remove the tag")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, i)) for i, item in enumerate(node.value)]
        return self.scalar(node, key)

    def mapping(self, node: yaml.MappingNode, key: Key) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = _line(name_node)
            name = name_node.value
            if name_node.tag != f"{_PLAIN}str":
                got = repr(name) if isinstance(name, str) else "a list or mapping"
                self._wrong_key(key, line, "a text as key", got, "write the key in quotes")
            elif name in found:
                first = self.located.places[*key, name].line
                hint = f"remove one: the first stands in line {first}"
                self._wrong_key((*key, name), line, "each key once", "it again", hint)
            else:
                self.located.places[*key, name] = _place(self.file, line)
                found[name] = self.value(value_node, (*key, name))
        return found

    def scalar(self, node: yaml.Node, key: Key) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, yaml.constructor.ConstructorError):  # a date such as 2026-02-30, a tag as !!python/name
            self.located.add(key, "a plain value", repr(node.value), "write it in quotes")
            return None

    def _wrong_key(self, key: Key, line: int, expected: str, got: str, hint: str) -> None:
        self.located.problems.append(
            Problem(file=self.file, line=line, key=dotted(key), expected=expected, got=got, hint=hint)
        )


def _line(at: yaml.Node | yaml.Event) -> int:
    assert at.start_mark is not None
    return int(at.start_mark.line) + 1


def _place(file: str, line: int | None) -> Place:
    return Place(file, None if file == _OVERRIDE else line)
