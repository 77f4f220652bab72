"""botocore, and boto3 on it: ``URLLib3Session.send``, once for an attempt (wire.md, 10).

All of AWS goes through it. A model's address is one of Bedrock's, or of a gateway or a test that stands in for it by ``endpoint_url``:
a host that is not AWS's, and a path with ``/model/`` in it.
"""

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from llm_observe.capture._begin import Pairs, PairsHook, asked, begun, parts
from llm_observe.capture._headers import RESPONSE_HEADERS
from llm_observe.capture._hook import watch
from llm_observe.capture._tap import Tap
from llm_observe.capture._urllib3 import Raw
from llm_observe.wire import may_be_call

CLIENT = "botocore"
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")


def begin(hook: PairsHook, request: Any) -> Tap | None:
    """The tap for *request*; None for what is none of our business."""
    try:
        method: Any = getattr(request, "method", None)
        url: Any = getattr(request, "url", None)
        if not may_be_call(method, url):
            return None
        host, port, path = parts(url)
        if "/model/" not in path or ("bedrock" not in host and host.endswith(_AWS)):
            return None
        tap = begun(hook, method, host=host, port=port, path=path)
        if tap is not None:
            asked(hook, tap, request)
        return tap
    except Exception as error:
        hook.caught(error, None)
        return None


def answered(hook: PairsHook, tap: Tap, request: Any, response: Any) -> None:
    """The answer's headers are there: take them, and its body or a watch over it."""
    try:
        tap.headers(response.status_code, RESPONSE_HEADERS.pick_text(hook.pairs(response.headers)))
        if request.stream_output:
            tap.stream()
            response.raw = Raw(response.raw, tap)
        else:
            tap.whole(response.content, decoded=False)  # nobody unpacks it: botocore asks for the identity
            tap.end("eof")
    except Exception as error:
        tap.end("closed")
        hook.caught(error, tap.observer)


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*, botocore.httpsession. Returns the undo."""
    headers = importlib.import_module("botocore.awsrequest").HeadersDict
    return watch([(library.URLLib3Session, "send", _sent)], lambda: PairsHook(CLIENT, headers, _pairs))


def _pairs(headers: Any) -> Pairs:
    return [(key._key, value) for key, value in headers._dict.items()]  # noqa: SLF001 - see PairsHook


def _sent(original: Callable[..., Any], hook: PairsHook) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, request)
        if tap is None:
            return original(self, request, *args, **options)
        try:
            response = original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        answered(hook, tap, request, response)
        return response

    return send
