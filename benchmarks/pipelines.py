"""What people use for each task: a transformers pipeline. How rows enter it, and how its results read as structs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from engine.schema import schema_of

_SCORES: Final = "scores ARRAY<STRUCT<label STRING, score DOUBLE>>"
_ENTITIES: Final = "entities ARRAY<STRUCT<entity STRING, score DOUBLE, word STRING, start INT, end INT>>"


@dataclass(frozen=True, kw_only=True)
class Stock:
    """A task done by a pipeline in a pandas UDF.

    Args:
        pipeline: its name.
        returns: DDL of a row's struct, with the names of the engine's.
        answer: an SQL expression of ``scored``, the struct of either, whose string is compared. It reads one field, so
            that Spark does not score a row for each of several.
        rows: input columns → what the pipeline is called with.
        structs: its results → a column for each field.
        named: the engine's name of a parameter → the pipeline's, where they differ.
    """

    pipeline: str
    returns: str
    answer: str
    rows: Callable[[Sequence[pd.Series]], list[Any]]
    structs: Callable[[list[Any]], pd.DataFrame]
    named: Mapping[str, str] = field(default_factory=dict)

    def score(
        self, run: Callable[..., list[Any]], columns: Sequence[pd.Series], params: Mapping[str, Any], batch_size: int
    ) -> pd.DataFrame:
        """Structs of the rows in these columns, by a pipeline that is loaded (``run``)."""
        given = {self.named.get(name, name): value for name, value in params.items()}
        return self.structs(run(self.rows(columns), batch_size=batch_size, **given))


def inputs_of(task: str) -> list[str]:
    """The columns that a task's rows have here: its required inputs."""
    return [role.name for role in schema_of(task).inputs if role.required]


def _texts(columns: Sequence[pd.Series]) -> list[Any]:
    return list(columns[0])


def _pairs(columns: Sequence[pd.Series]) -> list[Any]:
    return [{"text": first, "text_pair": second} for first, second in zip(*columns, strict=True)]


def _entities(found: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"entities": [[_entity(one) for one in entities] for entities in found]})


def _entity(found: Mapping[str, Any]) -> dict[str, Any]:
    name = found.get("entity_group", found.get("entity"))
    places = {"start": int(found["start"]), "end": int(found["end"])}
    return {"entity": name, "score": float(found["score"]), "word": found["word"], **places}


def _ranked(found: list[Any]) -> pd.DataFrame:
    pairs = [
        [{"label": label, "score": score} for label, score in zip(one["labels"], one["scores"], strict=True)]
        for one in found
    ]
    best = [ranked[0] for ranked in pairs]
    labels, scores = [one["label"] for one in best], [one["score"] for one in best]
    return pd.DataFrame({"label": labels, "score": scores, "scores": pairs})


def _score(found: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"score": [one["score"] for one in found]})


#: Rerankers are cross-encoders with one label: what transformers has for them is text-classification of pairs.
STOCK: Final[Mapping[str, Stock]] = {
    "text-classification": Stock(
        pipeline="text-classification",
        returns="label STRING, score DOUBLE",
        answer="scored.label",
        rows=_texts,
        structs=pd.DataFrame,
    ),
    "token-classification": Stock(
        pipeline="token-classification",
        returns=_ENTITIES,
        answer="to_json(scored.entities)",
        rows=_texts,
        structs=_entities,
        named={"aggregation": "aggregation_strategy"},
    ),
    "zero-shot-classification": Stock(
        pipeline="zero-shot-classification",
        returns=f"label STRING, score DOUBLE, {_SCORES}",
        answer="to_json(map_from_entries(scored.scores))",
        rows=_texts,
        structs=_ranked,
    ),
    "reranking": Stock(
        pipeline="text-classification",
        returns="score DOUBLE",
        answer="CAST(scored.score AS STRING)",
        rows=_pairs,
        structs=_score,
    ),
}
