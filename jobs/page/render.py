"""The page as HTML: figures and pictures in one file, which asks no other for anything. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.page.charts import charts
from jobs.page.counts import counts
from jobs.page.figures import Figures, figures

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.comparison import Comparison
    from jobs.definition import JobDefinition
    from jobs.summary import Summary


@dataclass
class Page:
    """What makes the page of a run.

    Args:
        spark: with Delta.
        definition: the job.
        path: where it is to be written; None where MLflow alone gets it.
        ended: why it ended before its last row, or as a failure; None of a run that is well.
    """

    spark: SparkSession
    definition: JobDefinition
    path: Path | None = None
    ended: str | None = None
    _made: dict[str, str] = field(default_factory=dict)

    def html(self, summary: Summary) -> str:
        """Of a run that is done; the answers in the sink are counted the first time it is asked for."""
        if summary.run_id not in self._made:
            found = counts(self.spark, self.definition, summary)
            self._made[summary.run_id] = render(figures(summary, found, ended=self.ended))
        return self._made[summary.run_id]


def render(shown: Figures) -> str:
    """HTML with all that it needs. Words are escaped, whoever wrote them."""
    drawn = [one.as_dict() for one in charts(shown)]
    return _filled("page.html.j2", shown=shown, figures=shown.as_dict(), charts=drawn, plotly=_plotly())


def compared(shown: Comparison) -> str:
    """HTML of two versions compared: what the terminal shows, and all figures as JSON."""
    return _filled("promotion.html.j2", shown=shown)


def _filled(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("jobs", "page"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template(template).render(**values)


def _plotly() -> str:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
