"""llm-observe: one line in a web app, and every LLM call it makes is on record."""
