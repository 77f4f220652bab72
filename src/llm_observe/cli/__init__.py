"""The command `llm-observe`."""
