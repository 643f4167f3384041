"""Faults that are injected into jobs: rows are counted before and after, and the message says what to do."""
