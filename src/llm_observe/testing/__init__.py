"""The kit for users' tests: a memory exporter, a fake provider, fixtures."""
