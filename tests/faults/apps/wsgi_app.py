"""A WSGI app without a framework: one line of it is ours."""

import os
import time

from llm_observe.wsgi import LLMObserveWSGI


def app(environ, start_response):
    """Answers at once, or after a while."""
    if environ["PATH_INFO"] == "/slow":
        os.write(2, b"in the middle\n")
        time.sleep(0.5)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


app = LLMObserveWSGI(app)
