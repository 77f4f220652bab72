"""gunicorn's configuration for several workers with metrics, as docs/metrics.md has it."""


def child_exit(server, worker):
    """The gauges of a worker that has gone leave with it."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
