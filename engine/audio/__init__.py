"""Recordings → samples: where their bytes lie, how they are decoded, and threads that do it beside the device."""
