"""A Flask app whose model calls are on record, in files and in an exporter of its own.

flask --app flask_app run
gunicorn --threads 8 flask_app:app
"""

import sys
from collections.abc import Iterator

from anthropic import Anthropic
from flask import Flask, Response, request, stream_with_context
from openai import OpenAI

import llm_observe
from llm_observe.flask import LLMObserve
from llm_observe.protocols import Batch
from llm_observe.records import Call


def tokens(batch: Batch) -> None:
    """An exporter is a function that takes records. It runs in the background: a slow one holds up nobody."""
    for record in batch:
        if isinstance(record, Call):
            used = f"{record.usage.input_tokens} tokens in, {record.usage.output_tokens} out"
            print(f"{record.name}: {used}, {record.duration:.2f} s", file=sys.stderr, flush=True)


app = Flask(__name__)
LLMObserve(app, exporters=["file", tokens])

openai, anthropic = OpenAI(), Anthropic()  # keys and addresses come from the environment, as always


@llm_observe.step("look up")
def look_up(question: str) -> str:
    return f"What we know of this: nothing. The question is: {question}"


@app.get("/chat/<user>")
def chat(user: str) -> dict[str, str | None]:
    llm_observe.tag(user=user)
    messages = [{"role": "user", "content": look_up(request.args["q"])}]
    answer = openai.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return {"answer": answer.choices[0].message.content}


@app.get("/story/<user>")
def story(user: str) -> Response:
    def words() -> Iterator[str]:
        llm_observe.tag(user=user)
        messages = [{"role": "user", "content": request.args["q"]}]
        with anthropic.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=messages) as stream:
            yield from stream.text_stream

    return Response(stream_with_context(words()), mimetype="text/plain")
