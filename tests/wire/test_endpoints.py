"""The user's own addresses beside the table of formats."""

import pytest

from llm_observe.errors import SettingsError
from llm_observe.records import Exchange
from llm_observe.wire import FORMATS, Endpoints, Unknown, decode, look_for, may_be_call

CHAT = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


def seen(table: dict[str, str], address: str, body: bytes = CHAT) -> tuple[str, str] | None:
    """Format and provider that a call to *address* is recorded with; None where it is not."""
    host, _, path = address.partition("/")
    host, _, port = host.partition(":")
    exchange = Exchange(
        client="httpx", method="POST", host=host, port=int(port or 443), path="/" + path, request_body=body, status_code=200,
        chunks=[b'{"choices": []}'], end="eof",
    )  # fmt: skip
    decoded = decode(exchange, Endpoints(table, FORMATS))
    return None if isinstance(decoded, Unknown) else (decoded.wire.format, decoded.provider.name)


@pytest.mark.parametrize(
    ("table", "address", "expected"),
    [
        pytest.param({}, "gw.example/v1/ask", None, id="no row"),
        pytest.param({"gw.example": "mine"}, "gw.example/v1/chat/completions", ("openai.chat", "mine"), id="a provider"),
        pytest.param({"gw.example/llm": "mine"}, "gw.example/llm/chat/completions", ("openai.chat", "mine"), id="a base"),
        pytest.param({"gw.example/llm": "mine"}, "gw.example/llms/chat/completions", ("openai.chat", "openai"), id="no part of a word"),
        pytest.param({"gw.example:8443": "mine"}, "gw.example/chat/completions", ("openai.chat", "openai"), id="another port"),
        pytest.param({"*.example": "mine"}, "a.b.example/chat/completions", ("openai.chat", "mine"), id="a domain"),
        pytest.param({"*.example": "mine"}, "example/chat/completions", ("openai.chat", "openai"), id="not the domain itself"),
        pytest.param({"*.example": "mine"}, "badexample/chat/completions", ("openai.chat", "openai"), id="no part of a label"),
        pytest.param({"gw.example/v1/ask": "openai.chat"}, "gw.example/v1/ask", ("openai.chat", "openai"), id="a format"),
        pytest.param({"gw.example/v1/ask": "openai.chat"}, "gw.example/v1/ask/", ("openai.chat", "openai"), id="with a slash"),
        pytest.param({"gw.example/v1/ask": "openai.chat"}, "gw.example/v1/ask/files", None, id="not below it"),
        pytest.param({"gw.example/v1/ask": "mine openai.chat"}, "gw.example/v1/ask", ("openai.chat", "mine"), id="both"),
        pytest.param({"gw.example/{}/run": "groq.chat"}, "gw.example/m/1/run", ("groq.chat", "groq"), id="a brand of a format"),
        pytest.param({"*/run": "openai.chat"}, "any.example/run", ("openai.chat", "openai"), id="any host"),
        pytest.param({"https://GW.example/run/": "openai.chat"}, "gw.example/run", ("openai.chat", "openai"), id="as a URL"),
        pytest.param({"gw.example": "ignore"}, "gw.example/chat/completions", None, id="left alone"),
        pytest.param(
            {"gw.example": "ignore", "gw.example/v1": "mine", "gw.example/v1/ask": "openai.chat"},
            "gw.example/v1/ask",
            ("openai.chat", "mine"),
            id="the most particular",
        ),
        pytest.param({"api.groq.com": "mine"}, "api.groq.com/chat/completions", ("openai.chat", "mine"), id="over our own rules"),
    ],
)
def test_an_address_is_what_the_user_says(table, address, expected):
    """Provider, format, both, or nothing at all."""
    assert expected == seen(table, address)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"gw example": "mine"}, "Expected an address like"),
        ({"gw.example:99999": "mine"}, "Expected an address like"),
        ({"gw.example/a?b": "mine"}, "Expected an address like"),
        ({"": "mine"}, "Expected an address like"),
        ({"gw.example": ""}, "Expected a format, a provider's name"),
        ({"gw.example": "a b"}, "Expected a format, a provider's name"),
        ({"gw.example/x": "openai.chat groq.chat"}, "Expected a format, a provider's name"),
        ({"gw.example": "My Gateway!"}, "Expected a format, a provider's name"),
        ({"gw.example": "openai.chats"}, "Did you mean 'openai.chat'?"),
        ({"gw.example": "openai.chat"}, "Expected the whole path"),
        ({"gw.example/v1/{}": "openai.chat"}, "Expected the whole path"),
    ],
)
def test_what_cannot_be_read_fails_with_the_address(table, expected):
    """At start-up, with what was expected."""
    with pytest.raises(SettingsError) as caught:
        Endpoints(table, FORMATS)

    assert f"endpoints: {next(iter(table))!r}: " in str(caught.value)
    assert expected in str(caught.value)


def test_the_request_path_lets_such_calls_pass():
    """Once the table is known: the last word of each path."""
    endpoints = Endpoints({"gw.example/v1/quite-our-own": "openai.chat", "gw.example/elsewhere-entirely": "mine"}, FORMATS)

    assert not may_be_call("POST", b"/v1/quite-our-own")
    look_for(endpoints.paths)
    assert may_be_call("POST", b"/v1/quite-our-own?x=1")
    assert not may_be_call("POST", b"/elsewhere-entirely")


def test_naming_a_formats_own_home_is_enough():
    """Paths that applications have too are believed where the user says who lives there."""
    body = b'{"model": "m", "messages": []}'

    assert None is seen({}, "gw.example/v2/chat", body)
    assert ("cohere.chat", "cohere") == seen({"gw.example": "cohere"}, "gw.example/v2/chat", body)
