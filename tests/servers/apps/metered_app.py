"""A Flask app that asks whatever model its user names, and shows its metrics."""

import os

from flask import Flask
from openai import OpenAI
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import llm_observe
from llm_observe.flask import LLMObserve
from llm_observe.metrics.prometheus import metrics_wsgi_app

app = Flask(__name__)
LLMObserve(app, metrics=["prometheus"], prices={"*": "1/2"})
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics_wsgi_app()})  # around ours: scrapes are not recorded
openai = OpenAI(api_key="none", base_url=f"{os.environ['PROVIDER_URL']}/v1")


@app.get("/ask/<user>/<model>")
def ask(user: str, model: str) -> str:
    """Asks once, plain or streamed."""
    llm_observe.tag(user_id=user)
    messages = [{"role": "user", "content": f"hi from {user}"}]
    if user.endswith("7"):
        chunks = openai.chat.completions.create(model=model, messages=messages, stream=True, stream_options={"include_usage": True})
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return openai.chat.completions.create(model=model, messages=messages).choices[0].message.content
