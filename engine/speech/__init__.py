"""Samples → text: Whisper and its kin, and models of connectionist temporal classification (CTC)."""
