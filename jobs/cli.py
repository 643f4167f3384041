"""``embercast``: its commands, put together. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from jobs.commands import job, looking, models
from jobs.commands.command import app

__all__ = ["app", "job", "looking", "main", "models"]


def main() -> None:
    """What the command ``embercast`` runs."""
    app()


if __name__ == "__main__":
    main()
