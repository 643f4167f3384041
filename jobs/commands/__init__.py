"""The commands of ``embercast``, a room for each kind; ``jobs.cli`` puts them together."""
