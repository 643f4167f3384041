"""Recordings through Whisper: this engine, the stock pipeline and faster-whisper, on the same machine."""
