"""embercast's engine: Arrow in, Arrow out, no JVM. ``engine.scorer`` is the spine."""

__version__ = "0.1.0"
