"""What the daemon does before it is Spark's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_what_it_imports_writes_nothing_where_spark_reads(tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text("print('hello')")
    code = f"""
import os, sys
sys.path.insert(0, {str(tmp_path)!r})
from udfs import daemon
daemon.MODULES = ("talks", "of_nobody")
daemon.prepare()
import numpy as np
pipe = os.pipe()
if os.fork() == 0:
    os.write(pipe[1], str(np.random.rand()).encode())
    os._exit(0)
os.wait()
print(np.random.rand() == float(os.read(pipe[0], 64)), os.environ["HF_HUB_OFFLINE"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False 1\n"
    hello, missing = done.stderr.splitlines()
    assert hello == "hello"
    assert missing == (
        "embercast: workers are not forked with of_nobody in them: ModuleNotFoundError(\"No module named 'of_nobody'\")"
    )
