"""Everything that can be set.

Keyword arguments first, then ``LLM_OBSERVE_*`` from the environment, then the defaults below. The environment is read here and
nowhere else. Unknown or impossible settings raise :class:`SettingsError` at start-up, naming the setting, what was expected and
what to do.
"""

import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from llm_observe.errors import SettingsError

PREFIX = "LLM_OBSERVE_"

DAY = 86400.0

Content = Literal["full", "metadata", "none"]
MetricNames = Literal["current", "legacy", "both"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set: the default, and what it buys. Sizes are bytes, times are seconds."""

    enabled: Annotated[bool, Meta(description="false: no hook, no thread, no record")] = True
    service: Annotated[str | None, Meta(description="a name for this application, written on every record")] = None
    exporters: Annotated[
        tuple[Any, ...] | None,
        Meta(description="where records go: URLs (`stdout`, `file:./dir`, `https://host/path`), exporter objects or functions"),
    ] = None
    processors: Annotated[
        tuple[Any, ...], Meta(description="functions that see each record in the sink; in Python only, not in the environment")
    ] = ()
    metrics: Annotated[
        tuple[Any, ...],
        Meta(description="where sums are kept: `prometheus`, `otlp+http://host:port`, or objects with `record` and `health`"),
    ] = ()
    metric_names: Annotated[
        MetricNames, Meta(description="which of OpenTelemetry's names metrics have: current, legacy (before 2026) or both")
    ] = "current"
    content: Annotated[Content, Meta(description="how much of prompts and answers is recorded: full, metadata or none")] = "full"
    content_for: Annotated[
        dict[str, Content],
        Meta(
            description="`content` of single routes and jobs: `/admin/*`, `POST /chat`, `nightly-*` to full, metadata or none;"
            " in the environment `route=level,route=level`"
        ),
    ] = {}
    content_callback: Annotated[
        Any, Meta(description="a function of one record that says how much of its content stays, and can only take away; in Python only")
    ] = None
    sample_rate: Annotated[float, Meta(description="the share of traces whose records are kept, by their trace id", ge=0, le=1)] = 1.0
    sample_rules: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1)]],
        Meta(
            description="`sample_rate` of some records: `route:/health`, `model:gpt-x*`, `user:u-17` ... to a share, the first that matches;"
            " in the environment `rule=share,rule=share`"
        ),
    ] = {}
    sampler: Annotated[
        Any, Meta(description="a function of one record that gives its share, before `sample_rules`, or None; in Python only")
    ] = None
    keep_slower_than: Annotated[float, Meta(description="seconds from which on calls are kept whatever is sampled", ge=0, le=DAY)] = 30.0
    keep_costlier_than: Annotated[float, Meta(description="cost in US dollars from which on calls are kept whatever is sampled", ge=0)] = (
        1.0
    )
    redact: Annotated[
        str,
        Meta(
            description="what is taken out of every text of a record: `secrets`, `pii`, `email`, `phone`, `card`, `ip`, `iban`, `national_id`,"
            " several of them, or `none`"
        ),
    ] = "secrets"
    redact_for: Annotated[
        dict[str, str],
        Meta(
            description="what is taken out instead, by route or by the name of a job: `/admin/*` to `secrets pii`;"
            " in the environment `route=kinds,route=kinds`"
        ),
    ] = {}
    redact_fields: Annotated[
        dict[str, str],
        Meta(
            description="what becomes of single fields: `scope.user_id` to `pseudonym`, `drop`, `keep` or kinds;"
            " in the environment `field=what,field=what`"
        ),
    ] = {}
    redact_patterns: Annotated[
        dict[str, str], Meta(description="patterns of your own, by the name that they leave in the text; in the environment `name=regex`")
    ] = {}
    redact_unsafe: Annotated[bool, Meta(description="patterns of your own may be such that a text can make them run for ever")] = False
    redact_with: Annotated[
        Any, Meta(description="a function of a text and its path that returns the text as it may go out; in Python only")
    ] = None
    redact_key: Annotated[
        str, Meta(description="a secret by which pseudonyms are made; left out, each process has its own and they change with it")
    ] = ""
    redact_budget: Annotated[
        float, Meta(description="seconds that redaction may take for one record; the content it does not get to is withheld", gt=0, le=DAY)
    ] = 0.05
    endpoints: Annotated[
        dict[str, str],
        Meta(
            description="addresses of your own: `host[:port][/path]` to a format, a provider, both (`openai.chat my_gateway`) or `ignore`;"
            " in the environment `address=meaning,address=meaning`"
        ),
    ] = {}
    cost: Annotated[bool | None, Meta(description="whether calls are priced; left out, they are where genai-prices is installed")] = None
    prices: Annotated[
        dict[str, str],
        Meta(
            description="US dollars for a million tokens, by model: `input/output` or `input/output/cache read/cache write`;"
            " in the environment `model=price,model=price`"
        ),
    ] = {}
    directory: Annotated[str, Meta(description="where the file exporter writes when no directory is named", min_length=1)] = ".llm-observe"
    file_max_bytes: Annotated[int, Meta(description="size at which a record file is closed and a new one begun", ge=4096)] = 64 * 2**20
    file_total_bytes: Annotated[int, Meta(description="size of all record files together; the oldest go first", ge=4096)] = 2**30
    file_keep_days: Annotated[int, Meta(description="days that record files are kept; older ones are deleted", ge=1)] = 30
    http_headers: Annotated[
        dict[str, str], Meta(description="headers of the http exporter; in the environment `name=value,name=value`")
    ] = {}
    queue_records: Annotated[int, Meta(description="records that may wait for the sink; more are dropped, and counted", ge=1)] = 10_000
    queue_bytes: Annotated[int, Meta(description="bytes that may wait for the sink; content is shed first", ge=65536)] = 64 * 2**20
    spool: Annotated[
        bool | str,
        Meta(
            description="records are on disk until they have arrived: true for a directory `spool` in `directory`, or a directory of your own"
        ),
    ] = False
    spool_bytes: Annotated[int, Meta(description="size of the spool, for all processes and exporters together", ge=65536)] = 512 * 2**20
    body_bytes: Annotated[int, Meta(description="bytes kept of one request or response body", ge=1024)] = 4 * 2**20
    text_bytes: Annotated[int, Meta(description="bytes kept of one text in a record; longer ones keep their beginning", ge=64)] = 2**20
    batch_records: Annotated[int, Meta(description="records in one batch at most", ge=1)] = 512
    batch_bytes: Annotated[int, Meta(description="bytes in one batch at most", ge=1024)] = 4 * 2**20
    batch_age: Annotated[float, Meta(description="seconds the first record of a batch may wait for company", ge=0, le=DAY)] = 1.0
    retry_window: Annotated[float, Meta(description="seconds a failed attempt waits for the client's retry", ge=0, le=DAY)] = 60.0
    drain_timeout: Annotated[float, Meta(description="seconds a drain may take at shutdown", ge=0, le=DAY)] = 5.0
    install_signal_handlers: Annotated[
        bool | None, Meta(description="whether SIGTERM brings out what is in memory; left out, it does in web applications")
    ] = None
    request_id_header: Annotated[str, Meta(description="header that carries the request id, in and out", pattern=r"^[A-Za-z0-9-]+$")] = (
        "x-request-id"
    )
    follow_threads: Annotated[bool, Meta(description="calls made in ThreadPoolExecutor threads keep with their request")] = True
    otel: Annotated[
        bool,
        Meta(description="server spans by opentelemetry-instrumentation-asgi and -wsgi, and the current OpenTelemetry span as the parent"),
    ] = False
    propagate: Annotated[
        bool,
        Meta(
            description="model calls through httpx and httpx2 carry the trace in `traceparent` and `tracestate`, to whoever serves the model"
        ),
    ] = False
    strict: Annotated[bool, Meta(description="our own errors are raised instead of counted: for tests")] = False

    def __repr__(self) -> str:
        """Without the values of headers, and without the key: they are secrets."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        shown["http_headers"] = dict.fromkeys(self.http_headers, "***")
        shown["redact_key"] = "***" if self.redact_key else ""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


HINTS = get_type_hints(Settings, include_extras=True)
NAMES = Settings.__struct_fields__
PYTHON_ONLY = frozenset({"processors", "content_callback", "sampler", "redact_with"})


def describe(name: str) -> str:
    """What the setting *name* is for."""
    return str(get_args(HINTS[name])[1].description)


def resolve(keywords: Mapping[str, Any], env: Mapping[str, str] | None = None) -> tuple[Settings, dict[str, str]]:
    """Settings out of *keywords* and *env* (the process's when None), with where each came from.

    :raises SettingsError: for a name that does not exist or a value that does not fit.
    """
    found: dict[str, Any] = {}
    sources = dict.fromkeys(NAMES, "default")
    for key, text in (os.environ if env is None else env).items():
        if key.startswith(PREFIX) and text.strip():  # empty is as good as unset: `LLM_OBSERVE_SERVICE=${SERVICE:-}`
            name = _known(key.removeprefix(PREFIX).lower(), where=key, shape=lambda n: PREFIX + n.upper())
            if name in PYTHON_ONLY:
                raise SettingsError(f"{key}: {name} can only be set in Python. Remove the variable and pass {name}= in your code.")
            found[name] = _convert(name, _split(name, text, where=key), where=f"{key}={text!r}")
            sources[name] = f"environment {key}"
    _put(found, sources, keywords, "keyword")
    return Settings(**found), sources


def checked(settings: Settings, keywords: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    """*settings* with *keywords* instead of what they name, and where each came from. No environment.

    :raises SettingsError: for a name that does not exist or a value that does not fit: a Struct does not look at what it is made of.
    """
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    _put(found, sources, msgspec.structs.asdict(settings), "Settings object")
    _put(found, sources, keywords, "keyword")
    return Settings(**found), sources


def _put(found: dict[str, Any], sources: dict[str, str], given: Mapping[str, Any], source: str) -> None:
    for key, value in given.items():
        name = _known(key, where=f"{key}=", shape=str)
        found[name] = _convert(name, value, where=f"{key}={value!r}")
        sources[name] = source


def _known(name: str, *, where: str, shape: Any) -> str:
    if name in NAMES:
        return name
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"Did you mean {shape(near[0])}?" if near else f"Settings are: {', '.join(NAMES)}."
    raise SettingsError(f"{where}: there is no setting of that name. {hint}")


def _split(name: str, text: str, *, where: str) -> Any:
    if name in {"exporters", "metrics"}:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name == "redact_patterns":  # which may have commas in them: a variable is one pattern
        key, sign, expression = text.partition("=")
        if not sign:
            raise SettingsError(f"{where}: expected `name=regex`. Several patterns can only be set in Python.")
        return {key.strip(): expression.strip()}
    if name in {"http_headers", "endpoints", "prices", "content_for", "sample_rules", "redact_for", "redact_fields"}:
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        for place, (_, sign, _) in enumerate(pairs, 1):
            if not sign:  # which may be half a key: it is not quoted
                raise SettingsError(
                    f"{where}: expected `name=value,name=value`, and part {place} has no `=`. A value with a comma in it can only be set in Python."
                )
        return {key.strip(): value.strip() for key, _, value in pairs}
    return text


def _convert(name: str, value: Any, *, where: str) -> Any:
    if name in {"exporters", "metrics", "processors"}:
        return _several(name, value)
    if name in PYTHON_ONLY and value is not None and (isinstance(value, type) or not callable(value)):
        got = f"the class {value.__name__}" if isinstance(value, type) else f"`{type(value).__name__}`"
        of = "a text and its path" if name == "redact_with" else "one record"
        raise SettingsError(f"{name}: Expected a function of {of}, got {got}. {name} is {describe(name)}.")
    if name == "redact" and isinstance(value, list | tuple | set | frozenset) and all(isinstance(one, str) for one in value):
        value = " ".join(value)
    if name == "spool" and isinstance(value, str) and (truth := _TRUTHS.get(value.strip().lower())) is not None:
        value = truth
    try:
        return msgspec.convert(
            os.fspath(value) if name == "directory" or (name == "spool" and isinstance(value, os.PathLike)) else value,
            HINTS[name],
            strict=False,
        )
    except (msgspec.ValidationError, TypeError) as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else f"Expected a path, got `{type(value).__name__}`"
        if name in {"http_headers", "redact_key"}:
            where = name  # their values are secrets
        raise SettingsError(f"{where}: {said}. {name} is {describe(name)}. {_left_out(name)}") from None


def _left_out(name: str) -> str:
    default = getattr(Settings(), name)
    return f"Left out, it is {default!r}." if default or default == 0 else "It may be left out."


_TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False, "": False}
_ABLE = {  # of each setting that takes objects: what they are asked to do, and what is said where they cannot
    "exporters": ("export", "a URL, an object with `export`, or a function"),
    "metrics": ("record", "a name, or an object with `record` and `health`"),
    "processors": ("__call__", "a function of one record"),
}


def _several(name: str, value: Any) -> tuple[Any, ...] | None:
    """Exporters, meters or processors: one, several, and for exporters None for the defaults."""
    if value is None:
        return None if name == "exporters" else ()
    verb, expected = _ABLE[name]
    single = isinstance(value, str | type) or not hasattr(value, "__iter__") or hasattr(value, verb)
    several = (value,) if single else tuple(value)
    for one in several:
        text = name != "processors" and isinstance(one, str)
        able = callable(getattr(one, verb, one if name == "exporters" else None))
        if isinstance(one, type) or not (text or able):
            got = f"the class {one.__name__}: write {one.__name__}()" if isinstance(one, type) else f"`{type(one).__name__}`"
            raise SettingsError(f"{name}: Expected {expected}, got {got}. {name} is {describe(name)}.")
    return several
