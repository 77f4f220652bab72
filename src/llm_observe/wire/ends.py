"""What the two ends of a JSON object say of it, where its middle was not kept.

SDKs send the model, the parameters and the tools before or after the messages: the members that lie whole within either end are read,
the one that was cut is there by name, empty. No parse of what is missing is tried: the end is walked backwards from the object's last
brace, where it is known that no string is open. Work is bounded by the ends' own length.
"""

import re
from collections.abc import Iterator

from llm_observe.wire.jsonio import MALFORMED, MAX_DEPTH, Document, load

_REST = rb"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)|(?P<scalar>[^\s\"\[\]{},:]++))"
_FORWARD = re.compile(rb'\s*+(?:(?P<string>"(?:[^"\\]++|\\.)*+")' + _REST, re.DOTALL)
_BACKWARD = re.compile(rb'\s*+(?:(?P<string>"[^"]*+(?:"\\[^"]*+)*+")' + _REST)  # an inner quote has a backslash before it, now behind it

_EMPTY = {ord("["): b"[]", ord("{"): b"{}", ord('"'): b'""'}


def document(front: bytes, back: bytes) -> Document:
    """The members of the object that begins as *front* does and ends as *back* does, as far as they can be read."""
    found = {**dict(_forward(front)), **dict(_backward(back))}
    pairs = ((load(key), load(value)) for key, value in found.items())
    return {key: value for key, value in pairs if type(key) is str and value is not MALFORMED}


def _forward(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The members from the front on, and the one that the end of *data* cuts."""
    depth, key, begin = 0, b"", 0
    for token in iter(_FORWARD.scanner(data).match, None):  # type: ignore[attr-defined]  # typeshed does not know it
        kind = token.lastgroup
        if depth == 0 and token["open"] != b"{":
            return
        if kind == "open":
            depth += 1
            if depth > MAX_DEPTH:
                return
        elif kind == "close":
            depth -= 1
        if depth == 1:
            if kind == "string" and not key:
                key = token["string"]
            elif kind == "colon":
                begin = token.end()
            elif kind == "comma" and key:
                yield key, data[begin : token.start()]
                key = b""
    if key and begin and (empty := _EMPTY.get((data[begin:].lstrip() or b"?")[0])):
        yield key, empty


def _backward(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The members from the back on."""
    size, depth, end = len(data), 0, 0
    value: bytes | None = None
    for token in iter(_BACKWARD.scanner(data[::-1]).match, None):  # type: ignore[attr-defined]  # as above
        kind, at = token.lastgroup, size - token.end()
        if depth == 0:
            if token["close"] != b"}":
                return
            end = at
        if kind == "close":
            depth += 1
            if depth > MAX_DEPTH:
                return
        elif kind == "open":
            depth -= 1
        if depth == 0:
            return
        if depth == 1:
            if kind == "colon":
                value = data[at + 1 : end]
            elif kind == "string" and value is not None:
                if at == 0:
                    return  # what comes before may be the backslash of a quote inside of it
                yield token["string"][::-1], value
                value = None
            elif kind == "comma":
                end = at
