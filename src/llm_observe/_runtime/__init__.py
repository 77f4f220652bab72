"""The only place with threads, loops and context variables."""
