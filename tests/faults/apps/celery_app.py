"""A Celery app whose tasks are steps; its broker is a directory, and so is the list of what is done."""

import os
from pathlib import Path

from celery import Celery

import llm_observe

ROOT = Path(os.environ["BROKER"])
app = Celery("celery_app", broker="filesystem://")
app.conf.update(
    broker_transport_options={f"data_folder_{way}": str(ROOT / "messages") for way in ("in", "out")},
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
(ROOT / "done").mkdir(exist_ok=True)
llm_observe.configure()


@app.task
def work(n):
    """One step."""
    with llm_observe.step(f"task-{n}"):
        pass
    (ROOT / "done" / str(n)).touch()
