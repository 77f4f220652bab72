"""boto3 and aiobotocore against a real server: Bedrock's four operations, one exchange an attempt, and nothing else of AWS."""

import asyncio
import base64
import gc
import json
import struct
import zlib

import pytest

from llm_observe import capture
from llm_observe.testing import recording
from llm_observe.testing.provider import Reply

boto3 = pytest.importorskip("boto3")
botocore = pytest.importorskip("botocore")

EVENTS = "application/vnd.amazon.eventstream"
MODEL = "anthropic.claude-x:0"
MESSAGES = [{"role": "user", "content": [{"text": "hi"}]}]
NATIVE = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    "metrics": {"latencyMs": 7},
}


def frame(headers, payload):
    """One message in AWS's framing."""
    named = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode() for name, value in headers.items()
    )
    head = struct.pack("!II", 16 + len(named) + len(payload), len(named))
    whole = head + struct.pack("!I", zlib.crc32(head)) + named + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def event(kind, document):
    """One event of a stream."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, json.dumps(document).encode())


STREAM = [
    event("messageStart", {"role": "assistant"}),
    *(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in ("Hel", "lo")),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": CONVERSED["usage"], "metrics": {"latencyMs": 7}}),
]
PIECES = [event("chunk", {"bytes": base64.b64encode(json.dumps({"n": n}).encode()).decode()}) for n in range(3)]
ANSWERS = {
    "converse": Reply(raw=json.dumps(CONVERSED).encode()),
    "converse-stream": Reply(raw=b"".join(STREAM), chunks=6, headers={"content-type": EVENTS}),
    "invoke": Reply(raw=b'{"completion": "Hello"}', headers={"x-amzn-bedrock-input-token-count": "3", "x-amzn-requestid": "r-1"}),
    "invoke-with-response-stream": Reply(raw=b"".join(PIECES), chunks=3, headers={"content-type": EVENTS}),
}


@pytest.fixture
def server(llm_provider):
    """A server that answers Bedrock's four operations."""
    llm_provider.route(lambda received: "/model/" in received.path, lambda received: ANSWERS[received.path.rpartition("/")[2]])
    return llm_provider


@pytest.fixture
def bedrock(server):
    """A client of Bedrock's runtime that speaks to it, and does not retry for long."""
    client = session().client("bedrock-runtime", endpoint_url=server.url, config=config())
    yield client
    client.close()


def session():
    """Keys that are none."""
    return boto3.Session(
        aws_access_key_id="AKIASECRET", aws_secret_access_key="secret", aws_session_token="secret-token", region_name="eu-x-1"
    )


def config(**options):
    """Two attempts, no proxy of the machine's."""
    return botocore.config.Config(**{"retries": {"total_max_attempts": 2, "mode": "standard"}, "proxies": {}, "read_timeout": 5} | options)


OPERATIONS = {
    "converse": lambda client: client.converse(modelId=MODEL, messages=MESSAGES),
    "converse-stream": lambda client: list(client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]),
    "invoke": lambda client: client.invoke_model(modelId=MODEL, body=NATIVE)["body"].read(),
    "invoke-with-response-stream": lambda client: list(client.invoke_model_with_response_stream(modelId=MODEL, body=NATIVE)["body"]),
}


def said(call):
    """What the model said."""
    return "".join(part.content for message in call.output.messages for part in message.parts)


# --- what is asked and answered --------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_is_one_exchange(bedrock, server, exchanges, operation):
    """With the bytes that went over the wire, both ways."""
    OPERATIONS[operation](bedrock)

    (exchange,) = exchanges
    assert ("botocore", "POST", "127.0.0.1", 200, "eof") == (
        exchange.client,
        exchange.method,
        exchange.host,
        exchange.status_code,
        exchange.end,
    )
    assert server.requests[0].path == exchange.path
    assert exchange.path.endswith(f"/model/anthropic.claude-x%3A0/{operation}")
    assert server.requests[0].raw == exchange.request_body
    assert ANSWERS[operation].raw == b"".join(exchange.chunks)
    assert ("stream" in operation or operation == "invoke") is exchange.streamed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_application_gets_what_it_gets_without_us(bedrock, llm_records, operation):
    """The parsed answer is the same, but for its date."""
    with_us = OPERATIONS[operation](bedrock)
    capture.uninstall()
    try:
        without_us = OPERATIONS[operation](bedrock)
    finally:
        capture.install()

    for answer in (with_us, without_us):
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata")
    assert without_us == with_us
    assert with_us


def test_headers_that_fold_and_count_are_kept_and_no_key(bedrock, exchanges):
    """The invocation's id, Bedrock's counts, and nothing of the signature."""
    OPERATIONS["invoke"](bedrock)

    (exchange,) = exchanges
    assert {"amz-sdk-invocation-id", "amz-sdk-request", "user-agent"} == set(exchange.request_headers)
    assert ("3", "r-1") == tuple(exchange.response_headers[name] for name in ("x-amzn-bedrock-input-token-count", "x-amzn-requestid"))
    assert not any(word in repr(exchange) for word in ("AKIASECRET", "secret-token", "Signature"))


def test_a_guardrail_is_named(bedrock, exchanges):
    """It is asked for in a header."""
    bedrock.invoke_model(modelId=MODEL, body=NATIVE, guardrailIdentifier="gr-1", guardrailVersion="1")["body"].read()

    assert "gr-1" == exchanges[0].request_headers["x-amzn-bedrock-guardrailidentifier"]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_the_attempts_of_one_call_have_one_invocation(bedrock, server, exchanges, code):
    """Two exchanges, told apart by their attempt."""
    replies = iter(
        [Reply(raw=b'{"message":"later"}', status=code, headers={"x-amzn-errortype": "ThrottlingException:"}), ANSWERS["converse"]]
    )
    server.route(lambda received: True, lambda received: next(replies))
    OPERATIONS["converse"](bedrock)

    assert [code, 200] == [exchange.status_code for exchange in exchanges]
    assert 1 == len({exchange.request_headers["amz-sdk-invocation-id"] for exchange in exchanges})
    assert ["1", "2"] == [exchange.request_headers["amz-sdk-request"].partition("attempt=")[2][0] for exchange in exchanges]
    assert "ThrottlingException:" == exchanges[0].response_headers["x-amzn-errortype"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_error_is_on_record(bedrock, server, exchanges, operation):
    """Its body is read by botocore itself, where the operation streams too."""
    server.route(lambda received: True, Reply(raw=b'{"message":"no"}', status=400, headers={"x-amzn-errortype": "ValidationException:"}))
    with pytest.raises(bedrock.exceptions.ValidationException):
        OPERATIONS[operation](bedrock)

    assert [(400, [b'{"message":"no"}'], "eof")] == [(exchange.status_code, exchange.chunks, exchange.end) for exchange in exchanges]


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
def test_what_was_said_is_on_record(bedrock, llm_records, operation):
    """From the bytes that were kept, plain or in AWS's framing; a failure that was retried is part of it."""
    OPERATIONS[operation](bedrock)

    (call,) = llm_records.calls
    assert ("ok", "Hello", 1, 2) == (call.status, said(call), call.usage.input_tokens, call.usage.output_tokens)


def test_a_call_that_botocore_retried_is_one_call(bedrock, server, llm_records):
    """Its attempts are on its record, and it went well in the end."""
    replies = iter([Reply(raw=b'{"message":"later"}', status=503), ANSWERS["converse"]])
    server.route(lambda received: True, lambda received: next(replies))
    OPERATIONS["converse"](bedrock)

    assert [("ok", "Hello", [503, 200])] == [
        (call.status, said(call), [attempt.status_code for attempt in call.attempts]) for call in llm_records.calls
    ]


# --- ways to read an answer ------------------------------------------------------------------------------------------


def into(body):
    """Into memory of the application's, where botocore lets one."""
    buffer = bytearray(100)
    if not hasattr(body, "readinto"):
        return [body.read()]
    return [bytes(buffer[: body.readinto(buffer)]), body.read()]


WAYS = {
    "read": lambda body: [body.read()],
    "read(5)": lambda body: [*iter(lambda: body.read(5), b"")],
    "iter": lambda body: [*body],
    "iter_chunks": lambda body: [*body.iter_chunks(7)],
    "iter_lines": lambda body: [*body.iter_lines()],
    "next": lambda body: [next(body), body.read()],
    "readinto": into,
    "readlines": lambda body: body.readlines(),
    "with": lambda body: [body.__enter__().read(), body.__exit__(None, None, None)][:1],
    "json": lambda body: [json.dumps(json.load(body)).encode()],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_streaming_body_is_kept_once_whatever_way_it_is_read(bedrock, exchanges, way):
    """`StreamingBody` works untouched on what we watch."""
    got = way(bedrock.invoke_model(modelId=MODEL, body=NATIVE)["body"])

    (exchange,) = exchanges
    assert ANSWERS["invoke"].raw == b"".join(got) == b"".join(exchange.chunks)
    assert "eof" == exchange.end


def test_the_streaming_body_s_timeout_can_be_set(bedrock, exchanges):
    """The library looks for the socket below the raw response."""
    body = bedrock.invoke_model(modelId=MODEL, body=NATIVE)["body"]

    assert body.readable()
    assert 0 == body.tell()
    assert ANSWERS["invoke"].raw == body.read()


def test_a_stream_that_is_left_and_closed(bedrock, server, exchanges):
    """What came until then is what there is."""
    server.route(lambda received: True, Reply(raw=b"".join(STREAM), chunks=6, chunk_delay=0.01, headers={"content-type": EVENTS}))
    stream = bedrock.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
    next(iter(stream))
    stream.close()

    (exchange,) = exchanges
    assert "closed" == exchange.end
    assert b"".join(STREAM).startswith(b"".join(exchange.chunks))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # its socket is dropped too
@pytest.mark.parametrize("read_some", [False, True])
def test_a_stream_that_is_dropped(bedrock, server, exchanges, read_some):
    """The garbage collector ends it."""
    server.route(lambda received: True, Reply(raw=b"".join(STREAM), chunks=6, chunk_delay=0.01, headers={"content-type": EVENTS}))
    stream = bedrock.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
    if read_some:
        next(iter(stream))
    del stream
    gc.collect()

    assert [read_some] == [bool(exchange.chunks) for exchange in exchanges]
    assert exchanges[0].end in {"abandoned", "closed"}


# --- calls that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["converse-stream", "invoke"])
def test_a_connection_cut_in_the_middle_of_a_stream(bedrock, server, exchanges, operation):
    """The exception is botocore's or urllib3's, and what was heard is on record."""
    raw = ANSWERS[operation].raw
    server.route(lambda received: True, Reply(raw=raw * 5, chunks=20, cut_after=9, headers={"content-type": EVENTS}))
    with pytest.raises(Exception, match=r"(?i)broken|incomplete|ended"):
        OPERATIONS[operation](bedrock)

    (exchange,) = exchanges
    assert ("error", "ProtocolError", 200) == (exchange.end, exchange.error_type, exchange.status_code)
    assert operation == "invoke" or ((raw * 5).startswith(b"".join(exchange.chunks)) and exchange.chunks)


def test_a_provider_that_is_not_there(bedrock, server, exchanges):
    """Each attempt is an exchange that failed."""
    server.stop()
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        OPERATIONS["converse"](bedrock)

    assert [("error", "EndpointConnectionError", None)] * 2 == [
        (exchange.end, exchange.error_type, exchange.status_code) for exchange in exchanges
    ]


def test_a_timeout_before_an_answer(server, exchanges):
    """It comes out of the call itself."""
    server.route(lambda received: True, Reply(delay=30))
    client = session().client(
        "bedrock-runtime", endpoint_url=server.url, config=config(read_timeout=0.1, retries={"total_max_attempts": 1})
    )
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        OPERATIONS["converse"](client)
    client.close()

    assert [("error", "ReadTimeoutError")] == [(exchange.end, exchange.error_type) for exchange in exchanges]


# --- nothing else of AWS ---------------------------------------------------------------------------------------------

ELSEWHERE = [
    ("https://s3.eu-x-1.amazonaws.com/bucket/model/x/invoke?uploads", "S3"),
    ("https://bucket.s3.amazonaws.com/model/x/converse", "S3"),
    ("https://runtime.sagemaker.eu-x-1.amazonaws.com/model/x/invoke", "SageMaker"),
    ("https://sts.eu-x-1.amazonaws.com/model/x/invoke", "STS"),
    ("http://169.254.169.254/latest/meta-data/model/x/invoke", "IMDS"),
    ("http://169.254.170.2/model/x/invoke", "ECS"),
    ("https://bedrock-runtime.eu-x-1.amazonaws.com/guardrail/x/version/1/apply", "another operation"),
    ("https://bedrock-agent-runtime.eu-x-1.amazonaws.com/agents/x/converse", "an agent"),
]
HERE = [
    "https://bedrock-runtime.eu-x-1.amazonaws.com/model/x/invoke",
    "https://bedrock-runtime-fips.eu-x-1.amazonaws.com/model/x/converse",
    "https://vpce-1.bedrock-runtime.eu-x-1.vpce.amazonaws.com/model/x/converse-stream",
    "https://gateway.example/bedrock/model/x/invoke",
    "http://localhost:8080/model/arn%3Aaws%3Abedrock%2Fx/invoke-with-response-stream",
]


def sent(url):
    """Have botocore send a request to *url*, as far as to its connection."""
    request = botocore.awsrequest.AWSRequest(method="POST", url=url, data=b"{}").prepare()
    http = botocore.httpsession.URLLib3Session()

    def unreachable(*_):
        raise OSError("nothing leaves this machine")

    http._get_connection_manager = unreachable
    with pytest.raises(botocore.exceptions.HTTPClientError):
        http.send(request)


@pytest.mark.parametrize("url", [url for url, _ in ELSEWHERE], ids=[what for _, what in ELSEWHERE])
def test_what_is_not_bedrock_s_runtime_is_nobody_s_business(exchanges, url):
    """Although it goes through the same class, with a path that looks like a model's."""
    sent(url)

    assert [] == exchanges


@pytest.mark.parametrize("url", HERE)
def test_bedrock_s_runtime_is_known_by_its_host_or_its_path(exchanges, url):
    """Also behind a gateway of another name."""
    sent(url)

    assert [url.partition("://")[2].partition("/")[2]] == [exchange.path[1:] for exchange in exchanges]


# --- never hurt the host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "llm_observe.capture._begin.observer_here",
        "llm_observe.capture._begin.as_bytes",
        "llm_observe.capture.botocore.Raw",
        "llm_observe.capture._tap.Tap.headers",
        "llm_observe.capture._tap.Tap.chunk",
    ],
)
def test_a_failure_of_the_hook_never_reaches_the_application(bedrock, monkeypatch, what):
    """The answer arrives as without us, and the failure is counted."""

    def broken(*_, **__):
        raise RuntimeError("ours")

    with recording(strict=False) as recorded:
        with monkeypatch.context() as patch:
            patch.setattr(what, broken)
            assert ANSWERS["invoke"].raw == OPERATIONS["invoke"](bedrock)
        assert 1 <= recorded.observer.stats().errors


# --- aiobotocore -----------------------------------------------------------------------------------------------------


@pytest.fixture
def aioask(server):
    """Ask by aiobotocore, in a loop of its own."""
    aiobotocore = pytest.importorskip("aiobotocore.session")
    from aiobotocore.config import AioConfig

    def run(use):
        async def main():
            keys = {"aws_access_key_id": "AKIASECRET", "aws_secret_access_key": "secret", "region_name": "eu-x-1"}
            options = AioConfig(retries={"total_max_attempts": 2, "mode": "standard"}, proxies={})
            async with aiobotocore.get_session().create_client(
                "bedrock-runtime", endpoint_url=server.url, config=options, **keys
            ) as client:
                return await use(client)

        return asyncio.run(main())

    return run


async def aconverse(client):
    """The answer as a document."""
    return (await client.converse(modelId=MODEL, messages=MESSAGES))["stopReason"]


async def astream(client):
    """The answer as events."""
    return [event async for event in (await client.converse_stream(modelId=MODEL, messages=MESSAGES))["stream"]]


async def ainvoke(client):
    """The answer as bytes."""
    async with (await client.invoke_model(modelId=MODEL, body=NATIVE))["body"] as body:
        return await body.read()


async def ainvoke_stream(client):
    """The answer as events with bytes in them."""
    return [event async for event in (await client.invoke_model_with_response_stream(modelId=MODEL, body=NATIVE))["body"]]


AIO = {"converse": aconverse, "converse-stream": astream, "invoke": ainvoke, "invoke-with-response-stream": ainvoke_stream}


@pytest.mark.parametrize("operation", AIO)
def test_each_operation_of_aiobotocore_is_one_exchange_of_aiohttp_s(aioask, server, exchanges, operation):
    """What it sends, it sends by aiohttp, and that is the client on record."""
    assert aioask(AIO[operation])

    (exchange,) = exchanges
    assert ("aiohttp", f"/model/anthropic.claude-x%3A0/{operation}", 200, "eof") == (
        exchange.client,
        exchange.path,
        exchange.status_code,
        exchange.end,
    )
    assert server.requests[0].raw == exchange.request_body
    assert ANSWERS[operation].raw == b"".join(exchange.chunks)
    assert {"amz-sdk-invocation-id", "amz-sdk-request"} <= set(exchange.request_headers)
    assert "SECRET" not in repr(exchange)


def test_a_retry_of_aiobotocore_has_the_invocation_of_the_first(aioask, server, exchanges):
    """Two exchanges, told apart by their attempt."""
    replies = iter([Reply(raw=b'{"message":"later"}', status=503), ANSWERS["converse"]])
    server.route(lambda received: True, lambda received: next(replies))
    aioask(aconverse)

    assert [503, 200] == [exchange.status_code for exchange in exchanges]
    assert 1 == len({exchange.request_headers["amz-sdk-invocation-id"] for exchange in exchanges})
