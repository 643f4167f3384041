"""Small PyFuncs as people log them: a script each, which MLflow runs where the model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

#: Takes the column ``body`` and the parameter ``scale``; raises on one text, and answers another with a new field.
LENGTHS: Final = """
import mlflow


class Lengths(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        scale = (params or {}).get("scale", 1.0)
        return [self.measure(text, scale) for text in model_input["body"]]

    def measure(self, text, scale):
        if text == "raises":
            raise ValueError("a message that quotes " + text)
        words = [{"word": word, "length": len(word)} for word in text.split()]
        found = {"length": len(text) * scale, "words": words}
        return {**found, "new": 1} if text == "new field" else found


mlflow.models.set_model(Lengths())
"""

#: As MLflow's type hints have it: a list of texts in, a list of texts out.
SHOUTS: Final = """
import mlflow


class Shouts(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


mlflow.models.set_model(Shouts())
"""


def save(folder: Path, script: str, **arguments: Any) -> Path:
    """Saves a PyFunc in ``folder``/model with stock MLflow; ``arguments`` go to ``save_model``."""
    import mlflow

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.py").write_text(script, encoding="utf-8")
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(folder / "script.py"), pip_requirements=["mlflow"], **arguments
    )
    return folder / "model"


def lengths(folder: Path, **arguments: Any) -> Path:
    """``LENGTHS`` with its signature."""
    import pandas as pd
    from mlflow.models import infer_signature

    signature = infer_signature(pd.DataFrame({"body": ["a text"]}), params={"scale": 1.0})
    return save(folder, LENGTHS, signature=signature, **arguments)
