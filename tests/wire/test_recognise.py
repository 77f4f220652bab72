"""Which traffic is a model call: a guess in the request's path, a judgement in the sink."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.records import Exchange
from llm_observe.wire import may_be_call, recognise
from llm_observe.wire.formats import FORMATS

CHAT = b'{"model": "m", "messages": []}'


def posted(host: str, path: str, body: bytes | None = CHAT, **headers: str) -> Exchange:
    """A POST with a body."""
    return Exchange(client="httpx", method="POST", host=host, path=path, request_body=body, request_headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", b"/v1/chat/completions", True),
        ("POST", b"/openai/deployments/gpt-4o/chat/completions?api-version=2024-02-01", True),
        ("POST", b"/v1/chat/completions#stream", True),
        ("POST", b"/v1/messages?beta=true", True),
        ("POST", b"/v1/messages?next=/a/b", True),
        ("POST", b"/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict", True),
        ("GET", b"/v1/chat/completions", False),
        ("POST", b"/v1/messages/count_tokens", False),
        ("POST", b"/v1/messages/batches", False),
        ("POST", b"/v1/models/x:countTokens", False),
        ("POST", b"/completions.html", False),
        ("POST", b"/search?q=/v1/messages", False),
        ("POST", b"/a#/messages", False),
        ("POST", b"", False),
        ("POST", b"/", False),
    ],
)
def test_a_request_may_be_a_call_by_the_last_word_of_its_path(method, path, expected):
    """Query and fragment do not count."""
    assert expected == may_be_call(method, path)


@given(
    st.text(max_size=9) | st.none() | st.just("POST"),
    st.binary() | st.text() | st.none() | st.integers() | st.just(bytearray(b"/messages")),
)
def test_whatever_a_client_passes_it_does_not_raise(method, path):
    """It runs in the application's request."""
    assert isinstance(may_be_call(method, path), bool)


def test_it_costs_a_few_function_calls():
    """0.2 us, about five calls of a function that does nothing; whoever traces these tests makes it more."""

    def nothing(method, path):
        return False

    def cost(function, path):
        return min(timeit.repeat(lambda: function("POST", path), number=2000, repeat=9))

    for path in (b"/v1/chat/completions", b"/some/page/of/my/own"):
        assert cost(may_be_call, path) < 25 * cost(nothing, path)


def test_whatever_is_recognised_may_be_a_call():
    """The first look lets nothing slip that the second would take."""
    for form in FORMATS:
        for path in form.paths:
            assert may_be_call(form.method, b"/v1" + path.encode())


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        pytest.param(posted("api.openai.com", "/v1/chat/completions"), "openai.chat", id="OpenAI"),
        pytest.param(posted("x.openai.azure.com", "//openai/deployments/d/chat/completions"), "openai.chat", id="Azure, a slash too many"),
        pytest.param(posted("localhost", "/chat/completions"), "openai.chat", id="no prefix at all"),
        pytest.param(posted("api.openai.com", "/v1/chat/completions", None), "openai.chat", id="the body was shed"),
        pytest.param(posted("api.openai.com", "/v1/chat/completions", b"{"), "openai.chat", id="the body is broken"),
        pytest.param(
            posted("api.mistral.ai", "/v1/agents/completions", b'{"agent_id": "a", "messages": []}'), "openai.chat", id="Mistral agents"
        ),
        pytest.param(posted("api.openai.com", "/v1/chat/completions#stream"), "openai.chat", id="a fragment"),
        pytest.param(posted("api.openai.com", "/v1/completions"), "openai.completions", id="legacy completions"),
        pytest.param(posted("api.openai.com", "/v1/chat/completions/abc"), None, id="a stored completion"),
        pytest.param(posted("api.anthropic.com", "/v1/messages"), "anthropic.messages", id="Anthropic"),
        pytest.param(posted("r.services.ai.azure.com", "/anthropic/v1/messages"), "anthropic.messages", id="Foundry"),
        pytest.param(posted("gateway.example", "/anthropic/messages"), "anthropic.messages", id="a gateway, by its body"),
        pytest.param(posted("api.anthropic.com", "/v1/messages", None), "anthropic.messages", id="the body was shed, the host is known"),
        pytest.param(
            posted("gateway.example", "/v1/messages", b"{", **{"anthropic-version": "2023-06-01"}),
            "anthropic.messages",
            id="the body is broken, a header tells",
        ),
        pytest.param(posted("api.anthropic.com", "/v1/messages/count_tokens"), None, id="counting tokens"),
        pytest.param(posted("api.anthropic.com", "/v1/messages/batches"), None, id="batches"),
        pytest.param(posted("chat.example", "/rooms/7/messages", b'{"text": "hi"}'), None, id="a chat application"),
        pytest.param(posted("chat.example", "/v1/messages", b'{"to": "1", "text": {"body": "hi"}}'), None, id="a messenger"),
        pytest.param(posted("chat.example", "/v1/messages", b'{"model": "m", "messages": "all"}'), None, id="the words, not the shape"),
        pytest.param(posted("chat.example", "/v1/messages", b"{"), None, id="a broken body at nobody's host"),
        pytest.param(posted("api.openai.com", "/v1/threads/t/messages", b'{"role": "user", "content": "hi"}'), None, id="OpenAI threads"),
        pytest.param(
            posted("europe-west1-aiplatform.googleapis.com", "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict"),
            "anthropic.messages",
            id="Vertex",
        ),
        pytest.param(
            posted("aiplatform.googleapis.com", "/v1/publishers/anthropic/models/count-tokens:rawPredict"),
            None,
            id="Vertex counting tokens",
        ),
        pytest.param(
            posted("aiplatform.googleapis.com", "/v1/publishers/mistralai/models/m:rawPredict"), None, id="another maker on Vertex"
        ),
        pytest.param(Exchange(client="httpx", method="GET", host="api.openai.com", path="/v1/chat/completions"), None, id="not a POST"),
    ],
)
def test_the_format_is_read_from_the_path_and_where_that_is_common_from_the_body(exchange, expected):
    """Never from the host: every gateway serves several formats."""
    form = recognise(exchange)

    assert expected == (form and form.name)
