"""Texts to waveforms: what each family of models does, and what their rows need to sound alike in any batch."""
