"""generateContent: what the answer says, whole or as a stream."""

import json

import pytest

from llm_observe.records import Billed, Blob, Error, Generic, InputTokens, Message, Modality, OutputTokens, Reasoning, Text, ToolCall, Usage
from llm_observe.wire import decode

STREAM = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent"
VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/gemini-x:generateContent"


def candidate(*parts: dict, **members) -> dict:
    """A candidate of these parts."""
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP"} | members


def answer(*candidates: dict, **members) -> dict:
    """A whole answer of these."""
    return {"candidates": list(candidates), "modelVersion": "gemini-x-1", "responseId": "r-1"} | members


def piece(*parts: dict, **members) -> dict:
    """A chunk of a stream: a candidate that has no reason yet, unless it is given one."""
    return answer({"content": {"parts": list(parts), "role": "model"}, "index": 0} | members)


@pytest.fixture
def said(gemini):
    """What is decoded of an answer."""
    return lambda document, **changes: decode(gemini(document, **changes))


@pytest.fixture
def streamed(gemini, events):
    """What is decoded of events."""
    return lambda *several, **changes: decode(gemini(events(*several), url=STREAM + "?alt=sse", **changes))


# Whole answers


def test_a_plain_answer(said):
    """Who answered, what, and why it stopped."""
    decoded = said(answer(candidate({"text": "a"})))

    assert (Message(role="model", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert ("r-1", "gemini-x-1", ("stop",)) == (decoded.response.id, decoded.response.model, decoded.response.finish_reasons)
    assert ("ok", True, ("STOP",)) == (decoded.status, decoded.wire.complete, decoded.wire.finish_reasons)


def test_several_candidates_are_several_messages(said):
    """Each with its own reason, in their order."""
    document = answer(candidate({"text": "b"}, index=1, finishReason="MAX_TOKENS"), candidate({"text": "a"}, index=0))
    decoded = said(document)

    assert ["a", "b"] == [message.parts[0].content for message in decoded.output.messages]
    assert (("stop", "length"), ("STOP", "MAX_TOKENS")) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


@pytest.mark.parametrize(
    ("raw", "mapped"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        *((raw, "content_filter") for raw in ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
        *((raw, "content_filter") for raw in ("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION")),
        *((raw, "error") for raw in ("OTHER", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "IMAGE_OTHER")),
        *((raw, "error") for raw in ("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE", "PUP_LIMITED_DISABLED")),
        ("A_WORD_TO_COME", "A_WORD_TO_COME"),
    ],
)
def test_why_it_stopped(said, raw, mapped):
    """In the convention's words, and in Google's."""
    decoded = said(answer(candidate({"text": "a"}, finishReason=raw)))

    assert ((mapped,), (raw,)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


def test_a_call_stops_as_a_call(said):
    """Google says STOP of it too."""
    decoded = said(answer(candidate({"text": "a"}, {"functionCall": {"name": "f", "args": {"x": 1}}})))

    assert (("tool_call",), ("STOP",)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)
    assert (Text(content="a"), ToolCall(name="f", arguments={"x": 1})) == decoded.output.messages[0].parts


def test_a_call_that_failed_is_no_call(said):
    """What went wrong is told in the message, where it went wrong only."""
    call = {"functionCall": {"name": "f"}}
    failed = said(answer(candidate(call, finishReason="UNEXPECTED_TOOL_CALL", finishMessage="no such function")))
    right = said(answer(candidate(call, finishMessage="Model generated function call(s).")))

    assert ("error",) == failed.response.finish_reasons
    assert Generic(generic_type="finish_message", content="no such function") == failed.output.messages[0].parts[-1]
    assert (ToolCall(name="f"),) == right.output.messages[0].parts


@pytest.mark.parametrize(
    ("url", "number", "word"),
    [
        (None, 1, "STOP"),
        (None, 6, "LANGUAGE"),
        (None, 10, "MALFORMED_FUNCTION_CALL"),
        (None, 17, "IMAGE_RECITATION"),
        (None, 99, "99"),
        (VERTEX, 2, "MAX_TOKENS"),
        (VERTEX, 6, "BLOCKLIST"),
        (VERTEX, 10, "MODEL_ARMOR"),
        (VERTEX, 16, "NO_IMAGE"),
    ],
)
def test_reasons_as_numbers(said, url, number, word):
    """Each service counts its own; one that has no word stays a number."""
    decoded = said(answer(candidate({"text": "a"}, finishReason=number)), **({"url": url} if url else {}))

    assert (word,) == decoded.wire.finish_reasons


@pytest.mark.parametrize("reason", [None, 0, "FINISH_REASON_UNSPECIFIED", "", [], {}])
def test_an_answer_without_a_reason_has_none(said, reason):
    """Nothing is made up."""
    decoded = said(answer(candidate({"text": "a"}, finishReason=reason)))

    assert ((), (), "ok") == (decoded.response.finish_reasons, decoded.wire.finish_reasons, decoded.status)


@pytest.mark.parametrize(("block", "word"), [("PROHIBITED_CONTENT", "PROHIBITED_CONTENT"), (1, "SAFETY"), ("OTHER", "OTHER")])
def test_a_refused_prompt(said, block, word):
    """There is no candidate; the record says why, and that it was the filter."""
    decoded = said({"promptFeedback": {"blockReason": block}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}})

    assert (("content_filter",), (), "ok") == (decoded.response.finish_reasons, decoded.wire.finish_reasons, decoded.status)
    assert (f"prompt refused: {word}", (), 5) == (decoded.wire.reason, decoded.output.messages, decoded.usage.input_tokens)


def test_safety_ratings_alone_refuse_nothing(said):
    """Feedback comes with answers too."""
    decoded = said(answer(candidate({"text": "a"}), promptFeedback={"safetyRatings": []}))

    assert (("stop",), None) == (decoded.response.finish_reasons, decoded.wire.reason)


def test_a_candidate_without_content(said):
    """It was filtered: a message that says nothing."""
    decoded = said(answer({"finishReason": "SAFETY", "index": 0}))

    assert (Message(role="model", finish_reason="content_filter"),) == decoded.output.messages


def test_media_in_the_answer(said):
    """Measured, not kept."""
    decoded = said(answer(candidate({"text": "here"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}})))

    assert isinstance(decoded.output.messages[0].parts[1], Blob)
    assert 3 == decoded.output.messages[0].parts[1].size
    assert b"AAAA" not in json.dumps(str(decoded)).encode()


# Usage


def test_all_counts(said):
    """Tools' tokens are input and thoughts are output; what is told apart by kind is."""
    counts = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 42,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 6},
            {"modality": "DOCUMENT", "tokenCount": 3},
            {"modality": "IMAGE", "tokenCount": 1},
        ],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
        "serviceTier": "standard",
    }
    decoded = said(answer(candidate({"text": "a"}), usageMetadata=counts))

    assert "standard" == decoded.response.service_tier
    assert (
        Usage(
            input_tokens=15,
            output_tokens=27,
            cache_read=InputTokens(input_tokens=4),
            reasoning=OutputTokens(output_tokens=7),
            text=Modality(input_tokens=11, cache_read=InputTokens(input_tokens=4)),
            image=Modality(input_tokens=4),
            audio=Modality(output_tokens=20),
        )
        == decoded.usage
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"promptTokenCount": 5, "thoughtsTokenCount": 3}, Usage(input_tokens=5, output_tokens=3, reasoning=OutputTokens(output_tokens=3))),
        ({"promptTokenCount": 5}, Usage(input_tokens=5)),
        ({"prompt_token_count": 5, "candidates_token_count": 2}, Usage(input_tokens=5, output_tokens=2)),
        ({"trafficType": "ON_DEMAND"}, Usage()),
        ({"promptTokenCount": 5, "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 5}]}, Usage(input_tokens=5)),
        (
            {"promptTokenCount": 5, "promptTokensDetails": [{"modality": 1, "tokenCount": 2}, {"modality": 4, "tokenCount": 3}]},
            Usage(input_tokens=5, text=Modality(input_tokens=2), audio=Modality(input_tokens=3)),
        ),
        ({"promptTokenCount": 5, "promptTokensDetails": [{"tokenCount": 5}]}, Usage(input_tokens=5, text=Modality(input_tokens=5))),
        ({}, Usage()),
    ],
)
def test_some_counts(said, counts, expected):
    """What is not told is not known; for video there is no name, and a kind without a word is text."""
    assert expected == said(answer(candidate({"text": "a"}), usageMetadata=counts)).usage


def test_vertex_names_the_traffic_instead_of_the_tier(said):
    """They are the same choice."""
    decoded = said(answer(candidate({"text": "a"}), usageMetadata={"trafficType": "PROVISIONED_THROUGHPUT"}), url=VERTEX)

    assert "PROVISIONED_THROUGHPUT" == decoded.response.service_tier


# What it stands on

GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://a.b", "title": "a"}}, {"retrievedContext": {"text": "x" * 2000, "fileSearchStore": "s"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 1, "endIndex": 5, "text": "word"}, "groundingChunkIndices": [0, 1, 7, -1, "0"], "confidenceScores": [1]},
        {"segment": {"endIndex": 9}, "groundingChunkIndices": [0]},
    ],
    "searchEntryPoint": {"renderedContent": "<style>"},
    "webSearchQueries": ["q", "r"],
    "googleMapsWidgetContextToken": "token",
}


def test_the_sources_are_with_the_last_text(said):
    """Each with the places that lean on it; long excerpts are cut, pages of markup are left out."""
    decoded = said(answer(candidate({"text": "before"}, {"text": "words"}, groundingMetadata=GROUNDING)))

    assert (
        Text(content="before"),
        Text(
            content="words",
            citations=(
                {"web": {"uri": "https://a.b", "title": "a"}, "segments": [{"startIndex": 1, "endIndex": 5}, {"endIndex": 9}]},
                {"retrievedContext": {"text": "x" * 1000 + "…", "fileSearchStore": "s"}, "segments": [{"startIndex": 1, "endIndex": 5}]},
                {"webSearchQueries": ["q", "r"]},
            ),
        ),
    ) == decoded.output.messages[0].parts


def test_searches_are_counted(said):
    """They are charged for apart."""
    assert Billed(web_searches=2) == said(answer(candidate({"text": "a"}, groundingMetadata=GROUNDING))).usage.billed


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"citationMetadata": {"citations": [{"startIndex": 1, "uri": "u"}]}}, ({"startIndex": 1, "uri": "u"},)),
        ({"citationMetadata": {"citationSources": [{"uri": "u"}]}}, ({"uri": "u"},)),
        (
            {"urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "u", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}]}},
            ({"retrievedUrl": "u", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},),
        ),
        ({"groundingMetadata": {}}, ()),
        ({"grounding_metadata": {"grounding_chunks": [{"web": {"uri": "u"}}]}}, ({"web": {"uri": "u"}},)),
        (
            {"groundingMetadata": {"groundingChunks": [{"web": {}, "segments": 7}], "groundingSupports": [{"groundingChunkIndices": [0]}]}},
            ({"web": {}, "segments": [{}]},),
        ),
    ],
)
def test_other_sources(said, members, expected):
    """Texts that were repeated, pages that were read."""
    assert expected == said(answer(candidate({"text": "a"}, **members))).output.messages[0].parts[0].citations


def test_sources_are_bounded(said):
    """However many there are."""
    chunks = [{"web": {"uri": str(n)}} for n in range(1000)]
    decoded = said(answer(candidate({"text": "a"}, groundingMetadata={"groundingChunks": chunks}, citationMetadata={"citations": chunks})))

    assert 200 == len(decoded.output.messages[0].parts[0].citations)


def test_sources_without_a_text_are_left_out(said):
    """There is nothing that stands on them."""
    decoded = said(answer(candidate({"functionCall": {"name": "f"}}, groundingMetadata=GROUNDING)))

    assert (ToolCall(name="f"),) == decoded.output.messages[0].parts


# Streams


@pytest.mark.parametrize("stream", ["content_events", "content_array"])
def test_a_whole_stream(gemini, request, stream):
    """As events or as an array: thoughts, text and calls, each joined to one."""
    decoded = decode(gemini(request.getfixturevalue(stream), url=STREAM))

    assert (
        Reasoning(content="hm …"),
        Text(content='Grüße, 世界 🌍\u2028[{]}\\"'),
        ToolCall(name="look", arguments={"at": "it"}),
        ToolCall(name="go", arguments={"to": "Berlin"}),
    ) == decoded.output.messages[0].parts
    assert (("tool_call",), ("STOP",), True, "ok") == (
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
        decoded.wire.complete,
        decoded.status,
    )
    assert ("resp-1", "gemini-x-1", 7, 13) == (
        decoded.response.id,
        decoded.response.model,
        decoded.usage.input_tokens,
        decoded.usage.output_tokens,
    )


def test_adjacent_text_is_joined_where_it_is_of_one_kind(streamed):
    """A thought between two texts keeps them apart; so does a call."""
    decoded = streamed(
        piece({"text": "a"}, {"text": "b"}),
        piece({"text": ""}),
        piece({"text": "c", "thoughtSignature": "c2VjcmV0"}),
        piece({"text": "d", "thought": True}),
        piece({"text": "e"}),
        piece({"functionCall": {"name": "f"}}),
        piece({"text": "g"}, finishReason="STOP"),
    )

    assert (
        Text(content="abc"),
        Reasoning(content="d"),
        Text(content="e"),
        ToolCall(name="f"),
        Text(content="g"),
    ) == decoded.output.messages[0].parts


def test_candidates_are_folded_apart(streamed):
    """By their indexes; complete when each has its reason."""

    def chunk(index: int, text: str, **members) -> dict:
        return answer({"content": {"parts": [{"text": text}]}, "index": index} | members)

    begun = [chunk(0, "a"), chunk(1, "x"), chunk(0, "b", finishReason="STOP")]
    decoded = streamed(*begun, chunk(1, "y", finishReason="MAX_TOKENS"))

    assert ["ab", "xy"] == [message.parts[0].content for message in decoded.output.messages]
    assert (("stop", "length"), "ok") == (decoded.response.finish_reasons, decoded.status)
    assert (("stop", "error"), "truncated") == (streamed(*begun).response.finish_reasons, streamed(*begun).status)


def test_the_last_word_on_usage_counts(streamed):
    """Chunks count up; one that says nothing takes nothing back."""
    decoded = streamed(
        piece({"text": "a"}) | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1}},
        piece({"text": "b"}) | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}},
        piece(finishReason="STOP") | {"usageMetadata": None},
    )

    assert (5, 9) == (decoded.usage.input_tokens, decoded.usage.output_tokens)


def test_a_stream_without_its_reason_is_truncated(streamed):
    """What came is kept."""
    decoded = streamed(piece({"text": "a"}), piece({"text": "b"}))

    assert ("truncated", False, ("error",), ()) == (
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
    )
    assert "ab" == decoded.output.messages[0].parts[0].content


def test_a_stream_whose_prompt_was_refused_is_complete(streamed):
    """At once, or in the middle of the answer."""
    block = {"promptFeedback": {"blockReason": "SAFETY"}}
    at_once, later = streamed(block), streamed(piece({"text": "a"}), block)

    assert ("ok", ("content_filter",), ()) == (at_once.status, at_once.response.finish_reasons, at_once.output.messages)
    assert ("ok", ("content_filter",)) == (later.status, later.response.finish_reasons)


def test_sources_come_with_any_chunk(streamed):
    """An empty word takes nothing back, and what is said twice is kept once."""
    quoted = {"citationMetadata": {"citations": [{"uri": "q"}]}}
    decoded = streamed(
        piece({"text": "a"}, groundingMetadata={"groundingChunks": [{"web": {"uri": "u"}}]}, **quoted),
        piece({"text": "b"}, groundingMetadata={}, **quoted),
        piece(finishReason="STOP"),
    )

    assert (Text(content="ab", citations=({"web": {"uri": "u"}}, {"uri": "q"})),) == decoded.output.messages[0].parts


def test_the_first_content_is_told_apart_from_the_first_chunk(gemini, events):
    """A chunk with nothing but a signature or counts has nothing of the answer in it."""
    chunks = [
        answer(usageMetadata={"trafficType": "ON_DEMAND"}),
        piece({"text": "", "thoughtSignature": "c2VjcmV0"}),
        piece({"text": "a", "thought": True}),
        piece(finishReason="STOP"),
    ]
    reads = [events(chunk) for chunk in chunks]
    decoded = decode(gemini(b"", url=STREAM, chunks=reads, chunk_times=[10, 20, 30, 40]))

    assert (10, 30) == (decoded.first_chunk_at, decoded.first_content_at)


def test_a_gateway_may_end_its_stream_with_a_mark(streamed):
    """It is no broken event."""
    decoded = streamed(piece({"text": "a"}, finishReason="STOP"), "[DONE]")

    assert (None, "ok") == (decoded.wire.reason, decoded.status)


def test_a_broken_event_is_told(streamed):
    """The others are read."""
    decoded = streamed(piece({"text": "a"}), "{", piece({"text": "b"}, finishReason="STOP"))

    assert ("ab", "1 event is no JSON") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason)


def test_an_array_of_nothing(gemini):
    """A stream that was cut before anything came."""
    decoded = decode(gemini(b"[]", url=STREAM))

    assert ("truncated", ()) == (decoded.status, decoded.output.messages)


# Calls in pieces


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param([{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a", "stringValue": "y"}], {"a": "xy"}, id="a text goes on"),
        pytest.param(
            [{"jsonPath": "$.a", "numberValue": 1.5}, {"jsonPath": "$.b", "boolValue": False}], {"a": 1.5, "b": False}, id="values"
        ),
        pytest.param([{"jsonPath": "$.a", "nullValue": "NULL_VALUE"}], {"a": None}, id="null"),
        pytest.param([{"json_path": "$.a", "string_value": "x"}], {"a": "x"}, id="in snake case"),
        pytest.param(
            [{"jsonPath": "$.a.b[0].c", "stringValue": "x"}, {"jsonPath": "$.a.b[1].c", "stringValue": "y"}],
            {"a": {"b": [{"c": "x"}, {"c": "y"}]}},
            id="objects and lists",
        ),
        pytest.param([{"jsonPath": "$.a[0]", "numberValue": 1}, {"jsonPath": "$.a[1]", "numberValue": 2}], {"a": [1, 2]}, id="a list"),
        pytest.param([{"jsonPath": "$['a b'].c", "stringValue": "x"}], {"a b": {"c": "x"}}, id="a quoted name"),
        pytest.param([{"jsonPath": "$.a", "stringValue": ""}], {"a": ""}, id="an empty text"),
        pytest.param([{"jsonPath": "$.a[999999999]", "stringValue": "x"}], {"a": ["x"]}, id="no list grows longer than what is in it"),
        pytest.param(
            [{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a.b", "stringValue": "y"}], {"a": {"b": "y"}}, id="a contradiction"
        ),
        pytest.param(
            [{"jsonPath": "$[0]", "stringValue": "x"}, {"jsonPath": "$", "stringValue": "x"}, {"jsonPath": "$.a"}, 7], {}, id="nowhere"
        ),
        pytest.param([{"jsonPath": "$" + ".a" * 51, "stringValue": "x"}, {"jsonPath": "['" * 900, "stringValue": "x"}], {}, id="too deep"),
    ],
)
def test_arguments_in_pieces(streamed, pieces, expected):
    """Each goes where its path says."""
    decoded = streamed(
        piece({"functionCall": {"name": "f", "willContinue": True}}),
        *(piece({"functionCall": {"partialArgs": [part], "willContinue": True}}) for part in pieces),
        piece({"functionCall": {}}, finishReason="STOP"),
    )

    assert (ToolCall(name="f", arguments=expected),) == decoded.output.messages[0].parts


def test_a_call_in_pieces_ends_where_the_next_begins(streamed):
    """By its name or its id; whole ones are left alone."""
    decoded = streamed(
        piece({"functionCall": {"name": "f", "id": "1", "args": {"a": 1}, "willContinue": True}}),
        piece({"functionCall": {"name": "f", "id": "1", "partialArgs": [{"jsonPath": "$.b", "stringValue": "x"}], "willContinue": True}}),
        piece({"functionCall": {"name": "f", "id": "2", "partialArgs": [{"jsonPath": "$.b", "stringValue": "y"}], "willContinue": True}}),
        piece({"functionCall": {"name": "g", "partialArgs": [{"jsonPath": "$.c", "stringValue": "z"}]}}),
        piece({"functionCall": {"name": "h", "args": {}}}, finishReason="STOP"),
    )

    assert (
        ToolCall(id="1", name="f", arguments={"a": 1, "b": "x"}),
        ToolCall(id="2", name="f", arguments={"b": "y"}),
        ToolCall(name="g", arguments={"c": "z"}),
        ToolCall(name="h", arguments={}),
    ) == decoded.output.messages[0].parts


# Errors

QUOTA = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"},
        ],
    }
}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize("wrapped", [lambda document: document, lambda document: [document]], ids=["plain", "in a list"])
def test_an_error(said, wrapped):
    """Its status is its type; a refused key's reason is finer."""
    document = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}
    decoded = said(wrapped(document), status_code=400)

    assert Error(type="INVALID_ARGUMENT", message="no", code="API_KEY_INVALID") == decoded.error
    assert ("error", 400) == (decoded.status, decoded.wire.status_code)


def test_a_quota_of_the_day_is_permanent(said):
    """And when to try again is in the body."""
    decoded = said(QUOTA, status_code=429)

    assert (True, 12.5) == (decoded.error.permanent, decoded.retry_after)


def test_a_quota_of_the_minute_is_not(said):
    """It will pass."""
    document = json.loads(json.dumps(QUOTA).replace("PerDay", "PerMinute"))

    assert None is said(document, status_code=429).error.permanent


def test_the_header_has_the_first_word_on_when_to_try_again(said):
    """It is the gateway's, which is nearer."""
    assert 3.0 == said(QUOTA, status_code=429, response_headers={"retry-after": "3"}).retry_after


@pytest.mark.parametrize("delay", ["", "soon", "-1s", "nans", 7, None, "1e99s"])
def test_a_delay_that_is_none(said, delay):
    """It is not told."""
    document = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": delay}, 7]}}

    assert None is said(document, status_code=429).retry_after


def test_an_error_among_the_events(streamed):
    """After what has come already."""
    decoded = streamed(piece({"text": "a"}), QUOTA)

    assert ("error", "RESOURCE_EXHAUSTED", 12.5) == (decoded.status, decoded.error.type, decoded.retry_after)
    assert "a" == decoded.output.messages[0].parts[0].content


def test_an_error_among_the_elements(gemini):
    """Of an array."""
    data = b"[" + json.dumps(piece({"text": "a"})).encode() + b",\r\n" + json.dumps(OVERLOADED, indent=2).encode() + b"]"
    decoded = decode(gemini(data, url=STREAM))

    assert ("error", "UNAVAILABLE") == (decoded.status, decoded.error.type)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_an_error_behind_the_events(gemini, indent, end):
    """Bare, as Google's servers send it where a stream breaks off."""
    data = b"data: " + json.dumps(piece({"text": "a"})).encode() + end + json.dumps(QUOTA, indent=indent).encode()
    decoded = decode(gemini(data, url=STREAM, response_headers={"content-type": "text/event-stream"}))

    assert ("error", "RESOURCE_EXHAUSTED", 12.5) == (decoded.status, decoded.error.type, decoded.retry_after)
    assert "a" == decoded.output.messages[0].parts[0].content


def test_an_error_in_place_of_the_events(gemini):
    """With a status that says all is well."""
    decoded = decode(gemini([OVERLOADED], url=STREAM, response_headers={"content-type": "text/event-stream"}))

    assert ("error", "UNAVAILABLE") == (decoded.status, decoded.error.type)


def test_an_error_behind_packed_events(gemini):
    """It is unpacked for; behind a gap it cannot be."""
    import gzip

    data = gzip.compress(b"data: " + json.dumps(piece({"text": "a"})).encode() + b"\n\n" + json.dumps(OVERLOADED).encode())
    packed = decode(gemini(data, url=STREAM, response_headers={"content-encoding": "gzip"}))
    gap = decode(gemini(data, url=STREAM, response_headers={"content-encoding": "gzip"}, tail=[json.dumps(OVERLOADED).encode()]))

    assert "UNAVAILABLE" == packed.error.type
    assert None is gap.error
