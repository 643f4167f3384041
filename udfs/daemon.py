"""The process that Spark's Python workers fork from, with torch and transformers imported once for all of them.

Spark starts ``python -m udfs.daemon pyspark.worker`` on an executor where ``spark.python.daemon.module`` names this
module, in place of its own daemon, which has nothing in it: every worker would then import for itself, and hold for
itself, what is imported here. No engine code runs here, and no model is loaded.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import Final

#: What every scoring worker imports. None starts a thread, which would not live through a fork: pyarrow and pandas do.
MODULES: Final = (
    "torch",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
)


def main() -> None:
    """Imports what workers need, then is Spark's daemon. Runs on the executor, until Spark ends it."""
    prepare()
    from pyspark.daemon import manager

    manager()


def prepare() -> None:
    """Imports ``MODULES``; says on standard error which can't be imported: a worker that needs one says more."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # executors ask no hub; read on import
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # to ask for GPUs otherwise starts CUDA, once for all
    with redirect_stdout(sys.stderr):  # Spark reads this process's standard output
        for name in MODULES:
            try:
                import_module(name)
            except Exception as error:
                print(f"embercast: workers are not forked with {name} in them: {error!r}", file=sys.stderr)
    os.register_at_fork(after_in_child=_draw_anew)
    gc.collect()
    gc.freeze()  # a worker's collector would write to every object, and so copy what it shares


def _draw_anew() -> None:
    """Gives a worker numbers by chance that are its own; Python's own generator does so by itself."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


if __name__ == "__main__":
    main()
