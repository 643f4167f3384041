"""One Spark session, one store and one registry for all tutorials; none of them outlives this package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import generation, homes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="package", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own that has the user's Delta jars, and an MLflow on sqlite."""
    made = tmp_path_factory.mktemp("tutorials")
    with homes.home(made, cache=made / "cache") as patch:
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.chdir(made)
        import mlflow

        # By the environment: set_experiment would name it to every test that comes after these.
        patch.setenv("MLFLOW_EXPERIMENT_ID", mlflow.create_experiment("tutorials", (made / "artifacts").as_uri()))
        # MLflow's own guesses ask for torchvision, and start a Python that loads the model. What mlflow.transformers
        # names is a proxy: the module itself is patched.
        flavor = import_module("mlflow.transformers")
        patch.setattr(flavor, "get_default_pip_requirements", _requirements)
        patch.setattr(flavor, "infer_pip_requirements", _requirements)
        yield made


def _requirements(*_: Any, **__: Any) -> list[str]:
    return ["torch", "transformers"]


@pytest.fixture(scope="package")
def spark(home: Path) -> SparkSession:
    from jobs.session import session

    return session("tutorials")


@pytest.fixture(scope="package")
def llama(home: Path) -> Path:
    """A tiny model that writes."""
    return generation.save(home / "llama", "llama", generation={"eos_token_id": generation.ENDS})
