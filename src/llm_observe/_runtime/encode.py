"""A record to one line of JSON, once for all exporters."""

import json

import msgspec

from llm_observe.records import AnyRecord

_encoder = msgspec.json.Encoder(enc_hook=repr)


def encode(record: AnyRecord) -> bytes:
    """*record* as one compact JSON object, no newline in it.

    What JSON does not know becomes its ``repr``. A text UTF-8 does not know (a lone surrogate in a user's tag) is written escaped.
    """
    try:
        return _encoder.encode(record)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(record, enc_hook=repr), default=repr).encode()
