"""Writes the tables of these pages anew from the code they describe: ``python docs/tables.py`` (``make docs``).

A table lies between ``<!-- table: NAME -->`` and ``<!-- end -->``. With ``--check`` nothing is written: the pages that
are out of step are named, and the exit code is 1.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, get_args

PAGES: Final = Path(__file__).resolve().parent
_TABLE: Final = re.compile(r"(<!-- table: (?P<name>.+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def renewed(page: Path) -> str:
    """The text of a page with every table as the code has it now. Raises KeyError for a table that there is not."""
    text = page.read_text(encoding="utf-8")
    return _TABLE.sub(lambda match: match[1] + table(match["name"]) + match[4], text)


def table(name: str) -> str:
    """A table by name: ``row errors``, ``function keys``, ``job keys``, ``job keys source``, ``inputs of TASK``,
    ``faults of rows``, …
    """
    kind, _, rest = name.partition(" of ")
    if kind in _OF:
        return _OF[kind](rest)
    if name == "row errors":
        return _row_errors()
    if name == "function keys":
        return _function_keys()
    if name == "job keys":
        return _job_keys(None)
    return _job_keys(name.removeprefix("job keys "))


def _inputs(task: str) -> str:
    from engine.schema import schema_of

    rows = [
        (f"`{role.name}`", f"`{role.words}`", "required" if role.required else "optional")
        for role in schema_of(task).inputs
    ]
    return _markdown(("input", "type", ""), rows)


def _params(task: str) -> str:
    from engine.tasks import task_class
    from engine.tasks.params import describe

    meanings = _arguments(task_class(task).Params)
    rows = [(f"`{name}`", kind, f"`{default}`", meanings[name]) for name, kind, default in describe(task)]
    return _markdown(("parameter", "type", "default", "meaning"), rows)


def _output(task: str) -> str:
    from engine.schema import ddl, schema_of

    return _markdown(("field", "type"), [(f"`{f.name}`", f"`{ddl(f.type)}`") for f in schema_of(task).output.fields])


def _faults(kind: str) -> str:
    from tests.faults import declared

    def link(file: str) -> str:
        return f"[{Path(file).stem}](../{file})"

    rows = [(one.name, one.seen, one.left, link(one.file)) for one in declared() if one.of == kind]
    return _markdown(("what goes wrong", "what is seen", "what is left to do", "test"), rows)


_OF: Final = {"inputs": _inputs, "params": _params, "output": _output, "faults": _faults}


def _row_errors() -> str:
    from engine.errors import ROW_ERROR_CODES

    return _markdown(("code", "retryable"), [(f"`{code}`", str(may).lower()) for code, may in ROW_ERROR_CODES.items()])


def _job_keys(section: str | None) -> str:
    from jobs.definition import JobDefinition

    model: Any = JobDefinition
    if section is not None:
        for name in section.split("."):
            held = model.model_fields[name].annotation
            model = next(one for one in (held, *get_args(held)) if hasattr(one, "model_fields"))
    return _markdown(("key", "default", "expects", "for example"), list(_keys(model)))


def _function_keys() -> str:
    from jobs.functions import FunctionSection

    return _markdown(("key", "default", "expects", "for example"), list(_keys(FunctionSection)))


def _keys(model: Any) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield f"`{field.alias or name}`", default, field.description, f"`{_flow((field.examples or [None])[0])}`"


def _default(value: Any) -> str:
    # The defaults of a section stand in the section's own table.
    return "" if value is None or hasattr(type(value), "model_fields") or value in ([], {}) else f"`{_flow(value)}`"


def _flow(value: Any) -> str:
    import yaml

    return str(
        yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).removesuffix("...\n").strip()
    )


def _arguments(documented: type) -> dict[str, str]:
    """Name → meaning, from the sections ``Args:`` of a class and its bases; several names may share a line."""
    found: dict[str, str] = {}
    for one in reversed(documented.__mro__):
        lines = inspect.cleandoc(one.__doc__ or "").partition("Args:\n")[2].split("\n\n")[0]
        for entry in re.split(r"\n(?= {4}\w)", "\n" + lines):
            names, _, meaning = entry.strip().partition(": ")
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()).replace("``", "`").rstrip("."))
    return found


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Renews the pages, or with ``--check`` names those that are out of step."""
    stale = {page: text for page in sorted(PAGES.rglob("*.md")) if (text := renewed(page)) != page.read_text("utf-8")}
    for page, text in stale.items():
        print(page.relative_to(PAGES.parent))
        if "--check" not in sys.argv[1:]:
            page.write_text(text, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(PAGES.parent))  # a checkout need not be installed
    sys.exit(main())
