"""OpenAI Chat Completions as the service writes it: one JSON document, or data-only events that end in ``[DONE]``."""

from collections.abc import Iterator
from typing import Any

from llm_observe.testing._replies import Received, Reply
from llm_observe.testing._said import Event, Said, arguments, by_word, encode, said

NAME = "openai.chat"
REQUEST_ID = "x-request-id"
PROCESSING = "openai-processing-ms"
FAILING = 500
HEADERS = {
    "openai-organization": "fake-organization",
    "openai-project": "proj_fake",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "199960",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "12ms",
}

# status: type, code, message. What the service answers where a reply names none.
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-fake*****0000. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 6ms."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded, please try again later."),
}
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}
_PADDING = "xQb7LkWm2TzR9aVd"


def error(reply: Reply, status: int, request_id: str) -> dict[str, Any]:
    """The error that *reply* is, in the service's shape."""
    kind, code, message = _ERRORS.get(status, _ERRORS[400 if status < 500 else 500])
    if reply.error_type is not None:
        kind = code = reply.error_type
    return {"error": {"message": message if reply.text is None else reply.text, "type": kind, "param": None, "code": code}}


def document(received: Received, reply: Reply) -> dict[str, Any]:
    """The completion as one document."""
    answer = said(received, reply)
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.refusal:
        message |= {"content": None, "refusal": answer.text}
    if answer.tool_calls:
        message["content"] = answer.text or None
        message["tool_calls"] = [
            {"id": answer.call_id(n, "call_"), "type": "function", "function": {"name": call.name, "arguments": arguments(call)}}
            for n, call in enumerate(answer.tool_calls)
        ]
    return {
        "id": f"chatcmpl-{answer.token}",
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}],
        "usage": _usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_fake000001",
    }


def events(received: Received, reply: Reply, request_id: str) -> Iterator[Event]:
    """The completion as a stream: role, content, tool calls, finish, usage if it was asked for, ``[DONE]``."""
    answer = said(received, reply)
    options = received.body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    with_usage, padded = options.get("include_usage") is True, options.get("include_obfuscation") is not False
    # The head is the same in every chunk: written once, a chunk costs the encoding of its piece alone.
    shell = {"id": f"chatcmpl-{answer.token}", "object": "chat.completion.chunk", "created": answer.created, "model": answer.model}
    head = "data: " + encode(shell | {"service_tier": "default", "system_fingerprint": "fp_fake000001"})[:-1] + ',"choices":['
    tail = "]" + (',"usage":null' if with_usage else "")

    def chunk(delta: str, finish: str = "null", *, paced: bool = False) -> Event:
        padding = f',"obfuscation":"{_PADDING[: 1 + -len(delta) % 16]}"' if padded else ""
        choice = f'{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}'
        return Event(f"{head}{choice}{tail}{padding}}}\n\n".encode(), paced)

    kind = "refusal" if answer.refusal else "content"
    if answer.text or not answer.tool_calls:
        yield chunk('"role":"assistant","content":"","refusal":null')
    else:
        yield chunk('"role":"assistant","content":null,"refusal":null')
    for piece in answer.pieces:
        yield chunk(f'"{kind}":{encode(piece)}', paced=True)
    for n, call in enumerate(answer.tool_calls):
        function = encode({"name": call.name, "arguments": ""})
        start = f'"index":{n},"id":{encode(answer.call_id(n, "call_"))},"type":"function","function":{function}'
        yield chunk(f'"tool_calls":[{{{start}}}]')
        for piece in by_word(arguments(call)):
            yield chunk(f'"tool_calls":[{{"index":{n},"function":{{"arguments":{encode(piece)}}}}}]', paced=True)
    if reply.error_in_stream:
        yield Event(f"data: {encode(error(Reply(error_type=reply.error_type), FAILING, request_id))}\n\n".encode())
        return
    yield chunk("", encode(_finish(answer)))
    if with_usage:
        yield Event(f'{head}],"usage":{encode(_usage(answer))}}}\n\n'.encode())
    yield Event(b"data: [DONE]\n\n")


def _finish(answer: Said) -> str:
    if answer.finish is None:
        return "tool_calls" if answer.tool_calls else "stop"
    return _FINISH.get(answer.finish, answer.finish)


def _usage(answer: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
