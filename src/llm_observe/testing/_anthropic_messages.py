"""Anthropic Messages as the service writes it: one JSON document, or named events from ``message_start`` to ``message_stop``."""

import json
from collections.abc import Iterator
from typing import Any

from llm_observe.testing._replies import Received, Reply, ToolCall
from llm_observe.testing._said import Event, Said, arguments, by_word, encode, said

NAME = "anthropic.messages"
REQUEST_ID = "request-id"
PROCESSING = "x-envoy-upstream-service-time"
FAILING = 529
HEADERS = {
    "anthropic-organization-id": "00000000-0000-4000-8000-00000000fa4e",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-input-tokens-limit": "400000",
    "anthropic-ratelimit-input-tokens-remaining": "400000",
    "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-output-tokens-limit": "80000",
    "anthropic-ratelimit-output-tokens-remaining": "80000",
    "anthropic-ratelimit-output-tokens-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-tokens-limit": "480000",
    "anthropic-ratelimit-tokens-remaining": "480000",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
}

# status: type, message. What the service answers where a reply names none.
_ERRORS = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    409: ("conflict_error", "Conflict"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def error(reply: Reply, status: int, request_id: str) -> dict[str, Any]:
    """The error that *reply* is, in the service's shape."""
    kind, message = _ERRORS.get(status, _ERRORS[400 if status < 500 else 500])
    detail = {"type": reply.error_type or kind, "message": message if reply.text is None else reply.text}
    return {"type": "error", "error": detail, "request_id": request_id}


def document(received: Received, reply: Reply) -> dict[str, Any]:
    """The message as one document."""
    answer = said(received, reply)
    content: list[dict[str, Any]] = []
    if answer.thinking:
        content.append({"type": "thinking", "thinking": answer.thinking, "signature": _signature(answer)})
    if answer.text or not answer.tool_calls:
        content.append({"type": "text", "text": answer.text})
    content += [
        {"type": "tool_use", "id": answer.call_id(n, "toolu_"), "name": call.name, "input": _input(call)}
        for n, call in enumerate(answer.tool_calls)
    ]
    return _shell(answer) | {"content": content} | _stop(answer) | {"usage": _first_usage(answer) | _last_usage(answer)}


def events(received: Received, reply: Reply, request_id: str) -> Iterator[Event]:
    """The message as a stream, block by block."""
    answer = said(received, reply)
    first = _shell(answer) | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _first_usage(answer)}
    yield _event("message_start", {"message": first})
    for index, (block, deltas) in enumerate(_blocks(answer)):
        yield _event("content_block_start", {"index": index, "content_block": block})
        if index == 0:
            yield Event(b'event: ping\ndata: {"type": "ping"}\n\n')
        head = f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},"delta":{{"type":'
        for kind, field, piece in deltas:
            padding = " " * (-len(piece) % 16)  # the service hides the length of a piece behind spaces
            paced = kind in {"text_delta", "thinking_delta"} or (kind == "input_json_delta" and piece != "")
            yield Event(f'{head}"{kind}","{field}":{encode(piece)}}}{padding}}}\n\n'.encode(), paced)
        yield _event("content_block_stop", {"index": index})
    if reply.error_in_stream:
        detail = error(Reply(error_type=reply.error_type), FAILING, request_id)
        yield Event(f"event: error\ndata: {encode(detail)}\n\n".encode())
        return
    yield _event("message_delta", {"delta": _stop(answer), "usage": _last_usage(answer)})
    yield _event("message_stop", {})


def _blocks(answer: Said) -> Iterator[tuple[dict[str, Any], list[tuple[str, str, str]]]]:
    """Each content block as it starts, and its deltas: type, field, piece."""
    if answer.thinking:
        thought = [("thinking_delta", "thinking", piece) for piece in by_word(answer.thinking)]
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thought, ("signature_delta", "signature", _signature(answer))]
    if answer.text or not answer.tool_calls:
        yield {"type": "text", "text": ""}, [("text_delta", "text", piece) for piece in answer.pieces]
    for n, call in enumerate(answer.tool_calls):
        pieces = ["", *by_word(arguments(call))]
        block = {"type": "tool_use", "id": answer.call_id(n, "toolu_"), "name": call.name, "input": {}}
        yield block, [("input_json_delta", "partial_json", piece) for piece in pieces]


def _event(kind: str, fields: dict[str, Any]) -> Event:
    return Event(f"event: {kind}\ndata: {encode({'type': kind} | fields)}\n\n".encode())


def _shell(answer: Said) -> dict[str, Any]:
    return {"model": answer.model, "id": f"msg_{answer.token}", "type": "message", "role": "assistant"}


def _stop(answer: Said) -> dict[str, Any]:
    if answer.finish is not None:
        reason = _FINISH.get(answer.finish, answer.finish)
    elif answer.refusal:
        reason = "refusal"
    else:
        reason = "tool_use" if answer.tool_calls else "end_turn"
    return {"stop_reason": reason, "stop_sequence": None}


def _input(call: ToolCall) -> Any:
    if not isinstance(call.arguments, str):
        return dict(call.arguments)
    try:
        return json.loads(call.arguments)
    except ValueError:
        return {"INVALID_JSON": call.arguments}  # a document has no way to say what a stream of pieces can


def _signature(answer: Said) -> str:
    return f"EqQBCgIYAhIk{answer.token}"


def _first_usage(answer: Said) -> dict[str, Any]:
    """What the service knows before it speaks; its output count is a placeholder."""
    return {
        **_input_usage(answer),
        "cache_creation": {"ephemeral_5m_input_tokens": answer.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _last_usage(answer: Said) -> dict[str, Any]:
    details = {"output_tokens_details": {"thinking_tokens": answer.reasoning_tokens}} if answer.reasoning_tokens else {}
    return _input_usage(answer) | {"output_tokens": answer.output_tokens} | details


def _input_usage(answer: Said) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens - answer.cache_write_tokens,
        "cache_creation_input_tokens": answer.cache_write_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
    }
