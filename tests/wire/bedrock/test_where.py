"""Which requests are Bedrock's, and what they fail with."""

import pytest

from llm_observe.records import Error, Exchange
from llm_observe.wire import Unknown, decode, recognise

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
CONVERSE = b'{"messages": [{"role": "user", "content": [{"text": "hi"}]}]}'


def posted(host: str, path: str, body: bytes | None = b'{"prompt": "hi"}', **headers: str) -> Exchange:
    """A POST with a body."""
    return Exchange(client="httpx", method="POST", host=host, path=path, request_body=body, request_headers=headers)


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        pytest.param(posted(HOST, "/model/m/converse"), "bedrock.converse", id="Bedrock"),
        pytest.param(posted(HOST, "/model/m/converse-stream"), "bedrock.converse_stream", id="a stream"),
        pytest.param(posted(HOST, "/model/m/invoke"), "bedrock.invoke", id="InvokeModel"),
        pytest.param(posted(HOST, "/model/m/invoke-with-response-stream"), "bedrock.invoke_stream", id="its stream"),
        pytest.param(
            posted("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "/model/m/invoke", None), "bedrock.invoke", id="FIPS, no body"
        ),
        pytest.param(posted("bedrock-runtime.cn-north-1.amazonaws.com.cn", "/model/m/invoke"), "bedrock.invoke", id="China"),
        pytest.param(
            posted("vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "/model/m/invoke"), "bedrock.invoke", id="an endpoint of a VPC"
        ),
        pytest.param(
            posted(HOST, "/model/arn:aws:bedrock:us-east-1:1:custom-model/a/b/invoke"), "bedrock.invoke", id="slashes in the model"
        ),
        pytest.param(
            posted("localhost", "/bedrock/model/us.amazon.nova-micro-v1:0/converse"), "bedrock.converse", id="a gateway, by the model"
        ),
        pytest.param(
            posted("gw.example", "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aprompt-router%2Fx/invoke"), "bedrock.invoke", id="an ARN"
        ),
        pytest.param(posted("gw.example", "/model/mine/converse", CONVERSE), "bedrock.converse", id="a gateway, by the blocks"),
        pytest.param(
            posted("gw.example", "/model/mine/invoke", b'{"anthropic_version": "v", "messages": []}'),
            "bedrock.invoke",
            id="by Anthropic's version",
        ),
        pytest.param(
            posted("gw.example", "/model/mine/invoke", b'{"inputText": "a", "textGenerationConfig": {}}'),
            "bedrock.invoke",
            id="by Titan's words",
        ),
        pytest.param(
            posted("gw.example", "/model/mine/invoke", **{"amz-sdk-request": "attempt=1; max=3"}), "bedrock.invoke", id="by AWS's client"
        ),
        pytest.param(
            posted("gw.example", "/model/mine/invoke", **{"x-amzn-bedrock-guardrailidentifier": "g"}), "bedrock.invoke", id="by a header"
        ),
        pytest.param(posted("app.example", "/model/resnet/invoke"), None, id="an application's own"),
        pytest.param(posted("app.example", "/model/resnet/invoke", None), None, id="an application's own, no body"),
        pytest.param(
            posted("app.example", "/model/resnet.v2/invoke", b'{"messages": [{"content": "a"}]}'), None, id="whose model has a dot"
        ),
        pytest.param(posted("app.example", "/model/units/converse", b'{"from": "m", "to": "ft"}'), None, id="another conversion"),
        pytest.param(
            posted("app.example", "/model/x/converse", b'{"model": "m", "messages": [{"role": "user", "content": [{"text": "a"}]}]}'),
            None,
            id="a body that names its model",
        ),
        pytest.param(
            posted("app.example", "/model/x/converse", b'{"messages": [{"content": [{"type": "text"}]}]}'), None, id="typed blocks"
        ),
        pytest.param(posted("app.example", "/models/x/invoke", CONVERSE), None, id="not the path"),
    ],
)
def test_a_path_that_applications_have_too_needs_a_sign_of_aws(exchange, expected):
    """The host, a header, the model's id, or words that nobody else has."""
    form = recognise(exchange)

    assert expected == (form and form.name)


def test_an_answer_may_tell_that_it_is_bedrocks():
    """Where a gateway passes its headers on."""
    exchange = posted("gw.example", "/model/mine/invoke")
    exchange.response_headers = {"x-amzn-bedrock-input-token-count": "3"}

    assert "bedrock.invoke" == recognise(exchange).name


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("POST", HOST, "/model/m/count-tokens"),
        ("POST", HOST, "/async-invoke"),
        ("GET", HOST, "/async-invoke/arn"),
        ("POST", HOST, "/guardrail/g/version/1/apply"),
        ("POST", HOST, "/guardrail-checks/invoke"),
        ("POST", HOST, "/model/m/invoke-with-bidirectional-stream"),
        ("GET", HOST, "/model/m/invoke"),
        ("POST", "bedrock-agent-runtime.us-east-1.amazonaws.com", "/agents/a/agentAliases/b/sessions/c/text"),
        ("POST", "bedrock-agent-runtime.us-east-1.amazonaws.com", "/knowledgebases/k/retrieve"),
        ("POST", "bedrock-agent-runtime.us-east-1.amazonaws.com", "/retrieveAndGenerate"),
        ("POST", "bedrock.us-east-1.amazonaws.com", "/model-invocation-job"),
    ],
)
def test_what_is_no_inference_is_no_record(method, host, path):
    """Counting, guarding, jobs; agents, whose calls nobody sees."""
    exchange = Exchange(
        client="botocore", method=method, host=host, path=path, request_body=CONVERSE, request_headers={"amz-sdk-request": "a"}
    )

    assert isinstance(decode(exchange), Unknown)


# What they fail with


@pytest.mark.parametrize(
    ("document", "headers", "expected"),
    [
        pytest.param(
            {"message": "m"},
            {"x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"},
            Error(type="ValidationException", message="m"),
            id="a header",
        ),
        pytest.param(
            {"Message": "m"}, {"x-amzn-errortype": "ThrottlingException"}, Error(type="ThrottlingException", message="m"), id="a capital"
        ),
        pytest.param(
            {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "m"},
            {},
            Error(type="AccessDeniedException", message="m"),
            id="a type in the body",
        ),
        pytest.param(
            {"code": "ResourceNotFoundException", "message": "m"}, {}, Error(type="ResourceNotFoundException", message="m"), id="a code"
        ),
        pytest.param(
            {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"},
            {},
            Error(type="UnknownOperationException"),
            id="no operation",
        ),
        pytest.param({"message": "m"}, {}, Error(type="429", message="m"), id="the status"),
        pytest.param(
            {"error": {"type": "rate_limit_error", "message": "m"}}, {}, Error(type="rate_limit_error", message="m"), id="a gateway's"
        ),
        pytest.param({}, {}, Error(type="429"), id="nothing"),
        pytest.param([7], {"x-amzn-errortype": ":"}, Error(type="429"), id="nothing at all"),
    ],
)
@pytest.mark.parametrize("verb", ["converse", "converse-stream", "invoke", "invoke-with-response-stream"])
def test_an_error_has_awss_type(bedrock, verb, document, headers, expected):
    """In a header up to its colon, else in the body, else the status."""
    decoded = decode(bedrock(document, verb=verb, status_code=429, response_headers=headers))

    assert (expected, "error") == (decoded.error, decoded.status)
    assert () == decoded.output.messages
