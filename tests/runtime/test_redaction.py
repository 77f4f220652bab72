"""Redaction in the sink: no byte of a key gets out, whichever way it came in."""

import json
import logging

import pytest

import llm_observe
from llm_observe.exporters import FileExporter, StdoutExporter

KEY = "sk-proj-CanaryA1b2C3d4E5f6G7h8"
HALVES = KEY[:13], KEY[13:]


def streamed(*pieces):
    """Server-sent events that say *pieces*, one after the other."""
    said = [{"id": "c", "model": "gpt-x", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said] + [b"data: [DONE]\n\n"]


def everywhere(observer, make):
    """Leave the key in a prompt, a tool's arguments, two chunks of a stream, an error, a tag, a path and a step."""
    with pytest.raises(ValueError, match=KEY), llm_observe.scope(f"job {KEY}", observer=observer, tag=KEY, password="canary-tiny"):
        chunks = streamed("my key: ", *HALVES, " ok")
        observer.hand_over(
            make.captured(
                make.exchange(
                    prompt=f"postgres://joe:canary-tiny@db/x {KEY}",
                    headers={"content-type": "text/event-stream"},
                    chunks=chunks,
                    chunk_times=[10**9] * len(chunks),
                    response_size=sum(map(len, chunks)),
                )
            )
        )
        observer.hand_over(make.captured(make.exchange(None, error_message=f"no route to https://u:canary-tiny@host/?key={KEY}")))
        with llm_observe.step("look", query=KEY, api_key="canary-tiny"), llm_observe.record_call("m", provider="p", input=KEY) as call:
            call.output = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": json.dumps({"k": KEY})}}]}
        raise ValueError(KEY)


def test_no_byte_of_a_key_is_in_any_file_line_or_log(observe, make, tmp_path, capsys, caplog, told):
    """Nor in what an exporter gets, nor of what is only by its name a secret; and all records are there."""
    caplog.set_level(logging.DEBUG)
    time_enough = 60  # seconds, on a busy machine too
    observer = observe(told, FileExporter(tmp_path), StdoutExporter(), redact_key=KEY, redact_budget=time_enough)
    everywhere(observer, make)
    observer.flush(30, final=True)
    observer.shutdown(30)
    out = capsys.readouterr()
    seen = [
        b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()),
        out.out.encode(),
        out.err.encode(),
        caplog.text.encode(),
    ]
    seen += [repr(told.records).encode(), repr(observer.settings).encode()]

    assert 5 == len(told.records)
    assert [] == [(n, word) for n, text in enumerate(seen) for word in (KEY.encode(), HALVES[1].encode(), b"canary-tiny") if word in text]
    assert b"[openai_key:" in seen[0]
    assert 0 == observer.stats().withheld


def test_a_rule_that_fails_lets_nothing_out_and_breaks_nothing(observe, told, make, caplog):
    """The record arrives without the field; it is counted, and said without the words; the law holds."""

    def wrong(text, path):
        if "canary" in text:
            raise ValueError(text)
        return text

    observer = observe(told, redact_with=wrong)
    for n in range(20):
        observer.hand_over(make.captured(make.exchange(prompt=f"canary {n}")))
    observer.flush(30)
    numbers = observer.stats()

    assert (20, True, False, False) == (
        len(told.records),
        next(iter(numbers.exporters.values())).balanced,
        "canary" in repr(told.records),
        "canary" in caplog.text,
    )
    assert numbers.withheld >= 10
    assert 10 == numbers.errors


def test_redaction_rests_between_pieces(observe, told, make, hands):
    """A long text does not keep the interpreter from the application: the rest comes when half a millisecond has passed."""
    from llm_observe._runtime.redaction import Redaction

    redaction = Redaction(observe(told).settings, observe(told).guard, now=hands.clock.now)
    before = redaction._since
    hands.move(1)
    redaction._rest()

    assert (0, 10**9) == (before, redaction._since)
