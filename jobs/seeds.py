"""Random numbers that belong to a row's key: a row tried again, or beside others, draws the same. On the driver."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from engine.options import Column
from engine.tasks import task_class
from udfs.scoring import PreparedModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: The column of a row's seed, which no sink keeps.
SEED: Final = "_embercast_seed"
#: The role of a row's own parameters.
PARAMS: Final = "params"


def by_key(model: PreparedModel, inputs: Collection[str]) -> PreparedModel:
    """The same model with its seed from the column ``SEED``, where it draws by chance and no seed is given.

    Args:
        model: of the job.
        inputs: the roles that have a column; the parameters of one may ask for chance.
    """
    if model.params.get("seed") is not None:
        return model
    if PARAMS not in inputs and not task_class(model.task).draws(model.params, model.bundle.path):
        return model
    return replace(model, params={**model.params, "seed": Column(SEED)})


def add(rows: DataFrame, model: PreparedModel, key: Sequence[str]) -> DataFrame:
    """The rows with a seed made from their key, where the model reads one: 64 bits, the same in every run."""
    if model.params.get("seed") != Column(SEED):
        return rows
    from pyspark.sql import functions as f

    return rows.withColumn(SEED, f.xxhash64(*(f.col(f"`{name}`") for name in key)))
