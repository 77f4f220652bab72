"""Bytes to records. Pure: no clock, no loop, no I/O; it runs in the sink and may be slow, and may fail without harm."""
