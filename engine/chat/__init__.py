"""Chats: cells to messages, messages to prompts, and what was written to ChatCompletion structs."""
