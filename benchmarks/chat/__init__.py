"""Chats through SmolLM2: this engine, what people use, and the limit that the machine itself sets."""
