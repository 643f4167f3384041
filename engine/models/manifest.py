"""What a bundle says of itself: small JSON beside the weights, from which its digest is taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

FILE: Final = "bundle.json"
WEIGHTS: Final = "model.safetensors"
#: Of a model with an adapter: the weights that the adapter left as they were. Equal for all adapters of its kind.
BASE: Final = "base.safetensors"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a worker needs to know before it loads a bundle.

    Args:
        task: what the model is loaded for.
        dtype: of the floating-point weights.
        parameters: how many numbers the model has; hidden: size of a hidden state; weight_bytes: bytes of the weights.
        tied: parameter name → the name it shares its storage with.
        max_length, pooling, normalize: as a sentence-transformers folder ships them.
        special_tokens: how many the tokenizer adds to a single text.
        labels: outputs of a classifying head; activation: what a cross-encoder's folder names to make scores of them.
        made_with: versions of engine and transformers, which decide the layout of the weights.
        files: file name → (sha256, bytes).
    """

    task: str
    dtype: str
    parameters: int
    hidden: int
    weight_bytes: int
    tied: Mapping[str, str]
    max_length: int | None
    pooling: str
    normalize: bool
    special_tokens: int
    made_with: Mapping[str, str]
    files: Mapping[str, tuple[str, int]]
    labels: int = 0
    activation: str | None = None

    @property
    def digest(self) -> str:
        """sha256 over this manifest, which holds the sha256 of every file: one name for all the bytes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files.values())

    def to_json(self) -> str:
        """Canonical JSON: equal manifests give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a bundle folder."""
        loaded: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        loaded["files"] = {name: (sha, size) for name, (sha, size) in loaded["files"].items()}
        return cls(**loaded)


def file_digests(folder: Path) -> dict[str, tuple[str, int]]:
    """sha256 and bytes of every file of a folder, by relative name, the manifest left out.

    A process reads a file once, as long as its size, time and inode stay: MLflow loads a model again for every task.
    """
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILE)
    stats = [(path, path.stat()) for path in found]
    return {
        str(path.relative_to(folder)): (_digest(path, stat.st_ino, stat.st_mtime_ns, stat.st_size), stat.st_size)
        for path, stat in stats
    }


@lru_cache(maxsize=4096)
def _digest(path: Path, inode: int, time: int, size: int) -> str:
    return sha256(path)


def sha256(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
