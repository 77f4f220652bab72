"""The cost of observing, beside the peers: `nox -s bench`. What is measured and how: `docs/performance.md`."""
