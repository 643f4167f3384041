"""Figures → pictures, as plotly draws them: plain data, nothing of plotly is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from jobs.page.distributions import Distribution
from jobs.page.figures import Figures

_NOW: Final = "#2563eb"
_THEN: Final = "#9ca3af"
_BAD: Final = "#dc2626"
_FAR: Final = "#f59e0b"
_SHADES: Final = (_NOW, "#93c5fd", _THEN, "#1e3a8a", _FAR)
#: Every so many steps of a range are named.
_TICK: Final = 4
_LAYOUT: Final[Mapping[str, Any]] = {
    "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#374151"},
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": {"automargin": True, "gridcolor": "#e5e7eb", "zeroline": False, "rangemode": "tozero"},
    "yaxis": {"automargin": True, "gridcolor": "#e5e7eb", "rangemode": "tozero"},
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture.

    Args:
        name: of it within the page; title, note: what stands above and below.
        data, layout: as ``Plotly.newPlot`` takes them.
    """

    name: str
    title: str
    note: str = ""
    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)


def charts(figures: Figures) -> tuple[Chart, ...]:
    """The pictures that there are numbers for, in the order of the page."""
    return (
        *_over_time(figures),
        _stages(figures),
        *_saved(figures),
        *(_of(at, one) for at, one in enumerate(figures.distributions)),
    )


def _over_time(figures: Figures) -> Iterator[Chart]:
    if not figures.points:
        return
    note = "A point is a commit."
    rows = {"scored": ("rows", _NOW), "failed": ("failed", _BAD)}
    yield _course(figures, name="rows", title="Rows over time", note=note, lines=rows)
    yield _course(figures, name="speed", title="Rows a second", note=note, lines={"rows/s": ("rows_per_s", _NOW)})
    if figures.skew is not None:
        spread = {"p50": ("p50_s", _NOW), "p99": ("p99_s", _FAR), "longest": ("longest_s", _BAD)}
        note = f"Of {figures.partitions:,} partitions; p99 is {figures.skew:,.1f} times p50 where it is most."
        yield _course(figures, name="partitions", title="Seconds of a partition", note=note, lines=spread)


def _course(figures: Figures, *, name: str, title: str, note: str, lines: Mapping[str, tuple[str, str]]) -> Chart:
    """``lines``: name → field of a point, color."""
    line = {"type": "scatter", "mode": "lines+markers", "x": [point.seconds for point in figures.points]}
    drawn = tuple(
        {**line, "name": label, "y": [getattr(point, of) for point in figures.points], "line": {"color": color}}
        for label, (of, color) in lines.items()
    )
    layout = _layout("seconds since scoring began", legend=len(lines) > 1)
    return Chart(name=name, title=title, note=note, data=drawn, layout=layout)


def _stages(figures: Figures) -> Chart:
    names, seconds = list(figures.stages), list(figures.stages.values())
    bar = {"type": "bar", "orientation": "h", "y": names, "x": seconds, "marker": {"color": _NOW}}
    return Chart(
        name="stages",
        title="Time by stage",
        data=(bar,),
        layout=_layout("seconds of all workers", legend=False, downwards=True),
        note="Encoding runs beside forward.",
    )


def _saved(figures: Figures) -> Iterator[Chart]:
    rows = {"by the model": figures.computed, "by an equal row": figures.duplicates, "no input": figures.nulls}
    tokens = {"of inputs": figures.tokens, "padding": figures.padding}
    data = [
        {"type": "bar", "orientation": "h", "name": f"{of}: {label}", "y": [of], "x": [number / sum(numbers.values())]}
        for of, numbers in (("rows", rows), ("tokens", tokens))
        for label, number in numbers.items()
        if sum(numbers.values())
    ]
    if data:
        drawn = tuple({**bar, "marker": {"color": color}} for bar, color in zip(data, _SHADES, strict=False))
        layout = {**_layout("share", legend=True, downwards=True), "barmode": "stack"}
        layout["xaxis"] = {**layout["xaxis"], "tickformat": ".0%", "range": [0, 1]}
        yield Chart(name="saved", title="Duplicates and padding", data=drawn, layout=layout)


def _of(at: int, one: Distribution) -> Chart:
    lying = not one.ordered
    bars, shares = ("y", "x") if lying else ("x", "y")
    data = []
    for name, numbers, color in (("this run", one.now, _NOW), ("the run before", one.before, _THEN)):
        if numbers:
            ends = {bars: list(range(len(numbers))), shares: [number / sum(numbers) for number in numbers]}
            bar = {"type": "bar", "orientation": "h" if lying else "v", "name": name, "marker": {"color": color}}
            data.append({**bar, **ends, "hovertext": one.bars})
    layout = _layout("share of answers" if lying else "", legend=True, downwards=lying)
    ticks = range(0, len(one.bars), 1 if lying else _TICK)  # bars are known by number: two may have one name
    named = {"tickvals": [*ticks], "ticktext": [one.starts[tick] for tick in ticks]}
    layout[f"{bars}axis"] = {**layout[f"{bars}axis"], **named}
    layout[f"{shares}axis"] = {**layout[f"{shares}axis"], "tickformat": ".0%"}
    note = "" if one.moved is None else f"{one.moved:.1%} of the answers are elsewhere than in the run before."
    return Chart(name=f"distribution-{at}", title=one.title.capitalize(), note=note, data=tuple(data), layout=layout)


def _layout(title: str, *, legend: bool, downwards: bool = False) -> dict[str, Any]:
    """``downwards``: bars lie, the first one on top."""
    made: dict[str, Any] = {**_LAYOUT, "showlegend": legend}
    made["xaxis"] = {**_LAYOUT["xaxis"], "title": {"text": title}}
    if downwards:
        made["yaxis"] = {**_LAYOUT["yaxis"], "autorange": "reversed"}
    return made
