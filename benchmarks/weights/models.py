"""Random classifiers of a size; the way of weights does not depend on what they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

#: Up to so many GB: hidden size. Layers make up the rest.
_WIDTHS: Final = ((0.3, 512), (2.0, 1024), (float("inf"), 2048))


def sizes(gb: float) -> dict[str, Any]:
    """Of a BERT in float32 whose weights take about so many gigabytes."""
    hidden = next(width for most, width in _WIDTHS if gb < most)
    layer = 12 * hidden * hidden * 4  # four matrices of attention and two of four times the width, in bytes
    layers = max(1, round(gb * 1e9 / layer))
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
    }


def save(folder: Path, gb: float) -> Path:
    """Saves one, in a process apart: what it takes to draw it is not the driver's."""
    subprocess.run([sys.executable, "-m", "benchmarks.weights.models", str(folder), str(gb)], check=True)
    return folder


if __name__ == "__main__":
    from benchmarks.text.models import save_random

    save_random(Path(sys.argv[1]), **sizes(float(sys.argv[2])))
