"""What of headers and addresses is kept, whichever client carries them: nothing that opens a door, and nobody's account."""

import ast
import gc
import json
import re
from pathlib import Path

import pytest

import llm_observe.wire
from llm_observe.capture._headers import LONGEST, REQUEST_HEADERS, RESPONSE_HEADERS, AllowedHeaders
from llm_observe.capture._hosts import left_alone
from llm_observe.capture._words import harmless
from llm_observe.testing.provider import Reply
from llm_observe.wire.headers import REQUEST_IDS

PATH = "/model/x/converse"
HEADER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")

NEVER_ASKED = [
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "x-amz-security-token", "cookie",
    "ocp-apim-subscription-key", "helicone-auth", "cf-aig-authorization", "x-portkey-api-key", "x-litellm-api-key", "openai-organization",
    "openai-project", "x-goog-user-project", "x-amz-date", "x-my-own", "x-title", "traceparent",
]  # fmt: skip
NEVER_ANSWERED = [
    "set-cookie", "www-authenticate", "openai-organization", "openai-project", "anthropic-organization-id", "anthropic-workspace-id",
    "x-databricks-org-id", "x-litellm-key-spend", "x-my-own", "location",
]  # fmt: skip
ASKED = {
    "x-stainless-retry-count": "1",
    "anthropic-version": "2023-06-01",
    "amz-sdk-invocation-id": "i-1",
    "amz-sdk-request": "attempt=1; max=3",
    "x-amzn-bedrock-guardrailidentifier": "gr-1",
    "user-agent": "ollama-python/0.6",
}
ANSWERED = [
    "retry-after", "retry-after-ms", "x-should-retry", "apim-request-id", "request-id", "x-amzn-requestid", "x-ds-trace-id",
    "x-debug-trace-id", "mistral-correlation-id", "x-kong-request-id", "cf-ray", "openai-processing-ms", "openai-version", "openai-model",
    "x-envoy-upstream-service-time", "server-timing", "x-ms-client-request-id", "x-ms-region", "x-ms-deployment-name", "x-ms-rai-invoked",
    "x-ms-is-spilled-over", "azureml-model-session", "cmp-upstream-response-duration", "x-amzn-errortype",
    "x-amzn-bedrock-invocation-latency", "x-amzn-bedrock-input-token-count", "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-service-tier", "x-endpoint-monthly-call-limit", "x-trial-endpoint-call-limit", "x-trial-endpoint-call-remaining",
    "num_tokens", "num_chars", "x-api-warning", "x-kong-upstream-latency", "x-kong-proxy-latency", "x-groq-region", "x-total-time",
    "x-inference-time", "x-queue-time", "x-time-per-token", "x-api-received", "x-api-call-start", "x-api-call-end",
    "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens_usage_based", "anthropic-ratelimit-input-tokens-reset",
    "anthropic-priority-input-tokens-limit", "anthropic-fast-output-tokens-remaining", "ratelimit-limit", "ratelimitbysize-query-cost",
    "x-ratelimitbysize-remaining-month",
]  # fmt: skip


def test_no_key_and_no_account_is_ever_kept(post, llm_provider, exchanges):
    """No header of those that open doors or name accounts, in any spelling, and nothing of the query, reaches the queue."""
    answer = {name.title(): "secret" for name in NEVER_ANSWERED}
    llm_provider.route(lambda received: True, Reply(raw=b"{}", headers=answer))
    asked = {(name.title() if n % 2 else name): "secret" for n, name in enumerate(NEVER_ASKED)}
    client = post(f"{llm_provider.url}{PATH}?key=secret&X-Amz-Signature=secret", asked)

    (exchange,) = exchanges
    assert (client, PATH) == (exchange.client, exchange.path)
    assert {"content-type"} == set(exchange.request_headers) - {"user-agent"}
    assert not {name.lower() for name in NEVER_ANSWERED} & set(exchange.response_headers)
    assert "secret" not in repr(exchange)
    assert all("secret" in llm_provider.requests[0].headers[name] for name in NEVER_ASKED)


def test_what_a_record_is_made_of_is_kept(post, llm_provider, exchanges):
    """What tells attempts apart, and what the provider says of the attempt, its limits and its work."""
    answer = {(name.title() if n % 2 else name): str(n) for n, name in enumerate(ANSWERED)}
    llm_provider.route(lambda received: True, Reply(raw=b"{}", headers=answer))
    post(llm_provider.url + PATH, {name.title(): value for name, value in ASKED.items()})

    (exchange,) = exchanges
    assert ASKED | {"content-type": "application/json"} == exchange.request_headers
    assert {name: str(n) for n, name in enumerate(ANSWERED)}.items() <= exchange.response_headers.items()
    assert {"content-type", "date"} <= set(exchange.response_headers)


def test_a_value_is_kept_up_to_a_bound(post, llm_provider, exchanges):
    """What a peer sends must not fill the memory."""
    llm_provider.route(lambda received: True, Reply(raw=b"{}", headers={"x-api-warning": "w" * 4000, "x-request-id": "r" * 4000}))
    post(llm_provider.url + PATH, {"amz-sdk-invocation-id": "i" * 4000})

    (exchange,) = exchanges
    assert ["w" * LONGEST, "r" * LONGEST] == [exchange.response_headers[name] for name in ("x-api-warning", "x-request-id")]
    assert "i" * LONGEST == exchange.request_headers["amz-sdk-invocation-id"]


def test_header_names_are_known_in_any_case():
    """Each spelling is looked at once, and remembered up to a bound."""
    allowed = AllowedHeaders("content-type", prefixes=("x-limit-",))

    assert {"content-type": "text/plain", "x-limit-a": "1"} == allowed.pick(
        [(b"CoNtEnT-TyPe", b"text/plain"), (b"X-Other", b"1"), (b"X-Limit-A", b"1")]
    )
    assert {"content-type": "t", "x-limit-a": "1"} == allowed.pick_text([("Content-Type", b"t"), ("X-Limit-A", "1"), ("X-Other", "1")])
    for n in range(AllowedHeaders.MOST + 10):
        allowed.pick([(b"x-%d" % n, b"")])
    assert AllowedHeaders.MOST == len(allowed)


@pytest.mark.parametrize("kept", [[], ["content-type"], ["content-type", "x-limit-a"], ["x-limit-a", "content-type", "x-limit-b"]])
def test_headers_that_are_read_later_are_those_that_would_be_picked(kept):
    """However many of them are allowed, wherever they stand; what is not allowed is not held."""
    allowed = AllowedHeaders("content-type", prefixes=("x-limit-",))
    listed = [(name.title().encode(), name.encode(), b"v%d" % n) for n, name in enumerate(["a", *kept, "b"])]

    for _ in range(2):  # when first seen, and when known
        held = allowed.hold(listed)
        assert allowed.pick([(raw, value) for raw, _, value in listed]) == held
        assert kept == list(held)
        assert not any(header in gc.get_referents(*gc.get_referents(held)) for header in (listed[0], listed[-1]))


def test_a_header_that_comes_twice_counts_as_it_came_last():
    """Whether it is read at once or later."""
    assert {"date": "2"} == RESPONSE_HEADERS.hold([(b"Date", b"date", b"1"), (b"Date", b"date", b"2")])


@pytest.mark.parametrize(
    "names",
    [[b"x\ndate", b"cookie"], [b"x", b"date\ncookie"], [b"x\ndate\ncookie"], [b"x", b"date", b"cookie", b""]],
    ids=["in the first", "in the last", "all in one", "and one more"],
)
@pytest.mark.parametrize("known_first", [True, False])
def test_names_with_line_ends_are_not_taken_for_others(names, known_first):
    """No such name comes over HTTP; what a transport in memory makes up has nothing held that is not allowed."""
    allowed = AllowedHeaders("date")
    usual, made_up = ([(name, name, b"v%d" % n) for n, name in enumerate(them)] for them in ([b"x", b"date", b"cookie"], names))
    expected = {id(usual): {"date": "v1"}, id(made_up): {"date": "v1"} if b"date" in names else {}}

    for headers in (usual, made_up) if known_first else (made_up, usual):
        assert expected[id(headers)] == allowed.hold(headers)


def test_headers_that_are_read_later_are_asked_as_a_mapping_is():
    """What is not there has a default, or is a mistake."""
    held = RESPONSE_HEADERS.hold([(b"Date", b"date", b"1"), (b"Set-Cookie", b"set-cookie", b"secret")])

    assert ("1", None, "?", 1) == (held.get("date"), held.get("set-cookie"), held.get("retry-after", "?"), len(held))
    assert ("date" in held, "set-cookie" in held) == (True, False)
    with pytest.raises(KeyError):
        held["set-cookie"]


def test_orders_of_headers_are_remembered_up_to_a_bound():
    """A peer that makes up names does not fill the memory, and goes on being heard."""
    allowed = AllowedHeaders("date")
    for n in range(AllowedHeaders.MOST_LAYOUTS + 10):
        assert {"date": "1"} == allowed.hold([(b"x", b"x-%d" % n, b""), (b"date", b"date", b"1")])

    assert AllowedHeaders.MOST_LAYOUTS == len(allowed.layouts)


def test_a_value_that_is_no_ascii_is_kept():
    """Headers are bytes; whatever they are, they become text."""
    assert {"x-api-warning": "\xff\xe9"} == RESPONSE_HEADERS.pick([(b"X-Api-Warning", b"\xff\xe9")])
    assert {"x-api-warning": "\xe9"} == RESPONSE_HEADERS.pick_text([("X-Api-Warning", b"\xe9")])


def looked_up():
    """Every header that is looked up by what reads exchanges: in a mapping of headers, or by a name that only headers have."""
    for path in Path(llm_observe.wire.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=where, attr="get"), args=[ast.Constant(value=str(name)), *_]):
                    pass
                case ast.Subscript(value=where, slice=ast.Constant(value=str(name))):
                    pass
                case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[where]):
                    pass
                case _:
                    continue
            mapping = where.attr if isinstance(where, ast.Attribute) else where.id if isinstance(where, ast.Name) else ""
            if (mapping.endswith("headers") and not name.startswith(":")) or HEADER.fullmatch(name):  # a colon: those of AWS's frames
                yield name


def test_every_header_that_is_read_is_kept():
    """A decoder that looks for a header finds it in what is captured."""
    wanted = {*looked_up(), *REQUEST_IDS}

    assert {"content-encoding", "content-type", "user-agent"} <= wanted
    assert [] == [name for name in wanted if not REQUEST_HEADERS[name] and not RESPONSE_HEADERS[name]]


# --- what exceptions quote -------------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_sent_is_not_kept(wire, llm_provider, exchanges):
    """A line break behind an API key is a common mistake, and the client quotes what it cannot send."""
    with wire.library.Client() as client, pytest.raises(wire.library.LocalProtocolError, match="secret"):
        client.post(llm_provider.url + PATH, json={}, headers={"api-key": "secret\n"})

    assert ["Illegal header value left out"] == [exchange.error_message for exchange in exchanges]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ""),
        ("no route to host", "no route to host"),
        ("is this it? yes, a@b.c", "is this it? yes, a@b.c"),
        ("at https://user:pass@host/v1/x?key=secret (refused)", "at https://host/v1/x (refused)"),
        ("Max retries exceeded with url: /v1/x:y?key=secret (Caused by z)", "Max retries exceeded with url: /v1/x:y (Caused by z)"),
        ("Invalid header value b'secret\n more'", "Invalid header value left out"),
        ("Header part ('secret') must be of type str", "Header part left out"),
        ("Header names are fine", "Header names are fine"),
    ],
)
def test_what_an_exception_says_is_kept_without_secrets(said, expected):
    """Addresses without their query and user, headers without their values."""
    assert expected == harmless(ValueError(said))


# --- hosts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("bedrock-runtime.eu-x-1.amazonaws.com", 1),
        ("api.openai.com", 1),
        ("oauth2.googleapis.com", 0),
        ("OAuth2.GoogleAPIs.com", 0),
        ("sts.amazonaws.com", 0),
        ("sts.eu-x-1.amazonaws.com", 0),
        ("169.254.169.254", 0),
        ("[fd00:ec2::254]", 0),
        ("metadata.google.internal", 0),
        ("login.microsoftonline.com", 0),
        ("login.microsoftonline.us", 0),
    ],
)
def test_hosts_that_hand_out_keys_are_left_alone(post, exchanges, host, expected):
    """Whatever the path, and whichever client."""
    post(f"https://{host}{PATH}", offline=True)

    assert expected == len(exchanges)


def test_hosts_are_remembered_up_to_a_bound():
    """An application that talks to very many does not fill the memory with their names."""
    for n in range(left_alone.MOST + 10):
        assert not left_alone[f"host-{n}.example"]

    assert left_alone.MOST >= len(left_alone)
    assert left_alone["sts.amazonaws.com"]


def test_a_request_s_body_is_the_same_for_all(post, llm_provider, exchanges):
    """What the server got is what is kept, and the answer is what the server sent."""
    llm_provider.route(lambda received: True, Reply(raw=b'{"a": "\xc3\xa9"}'))
    post(llm_provider.url + PATH)

    (exchange,) = exchanges
    assert llm_provider.requests[0].raw == exchange.request_body
    assert "gpt-x" == json.loads(exchange.request_body)["model"]
    assert [b'{"a": "\xc3\xa9"}'] == exchange.chunks


@pytest.mark.parametrize(
    "value", [b"openai", b"", b"a\nb", b"\xe9", b"x" * (LONGEST + 1)], ids=["usual", "empty", "a line end", "latin-1", "long"]
)
def test_what_is_held_is_read_as_it_would_have_been_picked(value):
    """None is taken for another, whatever a header holds."""
    headers = [(b"User-Agent", b"user-agent", value), (b"Cookie", b"cookie", b"secret"), (b"Content-Type", b"content-type", b"text/plain")]

    assert REQUEST_HEADERS.pick([(name, said) for _, name, said in headers]) == REQUEST_HEADERS.hold(headers)
