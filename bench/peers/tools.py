"""The tools that take turns, each set up as its documentation says: content captured, batches exported in the background.

Nothing is imported before a tool is set up, in a process of its own and in its own virtual environment.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.controls import by_hand, floor


@dataclass
class Handle:
    """A tool at work: how to *flush* it, what it *stored* on this machine since it was last asked, what a call must stand in, and how
    it is put into a web app (framework's name, app)."""

    flush: Callable[[], object] = lambda: None
    stored: Callable[[], Iterable[bytes]] | None = None
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    web: Callable[[str, Any], object] = lambda *_: None


SLOWED = "BENCH_SLOWED"
"""The variable that says how many times slower than usual the process is: background threads are to find as much at once as they do at full speed."""

Setup = Callable[[str, Path], Handle]
"""Sets a tool up, to export to the address given or to write into the directory given."""


@dataclass(frozen=True)
class Tool:
    """One that takes part: its packages, what an application must import for it, and how to set it up."""

    name: str
    setup: Setup
    packages: tuple[str, ...] = ()
    imports: str = "pass"
    kind: str = "peer"  # or "control", or "ours"
    exports: str = "sink"  # or "disk", or "nothing"
    needs: str = field(default="", kw_only=True)  # what to know about its set-up


def set_up_bare(sink: str, home: Path) -> Handle:
    return Handle()


def set_up_floor(sink: str, home: Path) -> Handle:
    floor()
    return Handle()


def set_up_naive(sink: str, home: Path) -> Handle:
    return Handle(stored=by_hand(home / "calls.sqlite"))


def observed(**settings: Any) -> Handle:
    import llm_observe
    from llm_observe._runtime import pace, sink

    if SLOWED in os.environ:
        times = float(os.environ[SLOWED])
        sink.NAP *= times
        pace.SLICE *= times
        settings["batch_age"] = times
    llm_observe.configure(**settings)

    def web(framework: str, app: Any) -> None:
        if framework == "fastapi":
            from llm_observe.fastapi import LLMObserveMiddleware

            app.add_middleware(LLMObserveMiddleware)
        else:
            from llm_observe.flask import LLMObserve

            LLMObserve(app)

    return Handle(flush=lambda: llm_observe.flush(60), web=web)


def set_up_llm_observe(sink: str, home: Path) -> Handle:
    at: dict[Path, int] = {}

    def stored() -> Iterable[bytes]:
        for path in sorted(home.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(at.get(path, 0))
                yield from file
                at[path] = file.tell()

    handle = observed(directory=str(home))
    handle.stored = stored
    return handle


def set_up_llm_observe_otlp(sink: str, home: Path) -> Handle:
    return observed(exporters=[f"otlp+{sink}"])


def traced(sink: str) -> tuple[Any, Handle]:
    """OpenTelemetry's SDK with its batch processor, as each instrumentation of it asks for."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{sink}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider, Handle(flush=provider.force_flush)


def set_up_openllmetry(sink: str, home: Path) -> Handle:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    _, handle = traced(sink)
    OpenAIInstrumentor().instrument()
    return handle


def set_up_openinference(sink: str, home: Path) -> Handle:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider, handle = traced(sink)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return handle


def set_up_otel_genai(sink: str, home: Path) -> Handle:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    _, handle = traced(sink)
    OpenAIInstrumentor().instrument()
    return handle


def set_up_langfuse(sink: str, home: Path) -> Handle:
    from langfuse import Langfuse
    from langfuse.openai import openai  # noqa: F401 - importing it is how it is switched on

    client = Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", base_url=sink)
    return Handle(flush=client.flush)


def set_up_logfire(sink: str, home: Path) -> Handle:
    import logfire

    advanced = logfire.AdvancedOptions(base_url=sink)
    logfire.configure(token="pylf_v1_us_1", service_name="bench", console=False, data_dir=home, advanced=advanced)
    logfire.instrument_openai()

    def web(framework: str, app: Any) -> None:
        (logfire.instrument_fastapi if framework == "fastapi" else logfire.instrument_flask)(app)

    return Handle(flush=logfire.force_flush, web=web)


def set_up_sentry(sink: str, home: Path) -> Handle:
    import sentry_sdk

    sentry_sdk.init(dsn=f"{sink.replace('://', '://1@')}/1", traces_sample_rate=1.0, send_default_pii=True, transport_queue_size=10_000)
    return Handle(
        flush=lambda: sentry_sdk.flush(timeout=60), around=lambda: sentry_sdk.start_transaction(op="function", name="call", sampled=True)
    )


OTEL = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("bare", set_up_bare, kind="control", exports="nothing"),
        Tool("floor", set_up_floor, kind="control", exports="nothing", needs="keeps references and instants, exports nothing"),
        Tool("naive", set_up_naive, kind="control", exports="disk", needs="SQLite, a commit in the request"),
        Tool(
            "llm-observe",
            set_up_llm_observe,
            ("llm-observe[fastapi,flask]",),
            "import llm_observe",
            "ours",
            "disk",
            needs="defaults: to files",
        ),
        Tool(
            "llm-observe-otlp", set_up_llm_observe_otlp, ("llm-observe[fastapi,flask,otel]",), "import llm_observe", "ours", needs="to OTLP"
        ),
        Tool(
            "openllmetry",
            set_up_openllmetry,
            ("opentelemetry-instrumentation-openai", *OTEL),
            "from opentelemetry.instrumentation.openai import OpenAIInstrumentor",
        ),
        Tool(
            "openinference",
            set_up_openinference,
            ("openinference-instrumentation-openai", *OTEL),
            "from openinference.instrumentation.openai import OpenAIInstrumentor",
            needs="with OpenTelemetry's batch processor in place of the simple one that its page shows",
        ),
        Tool("langfuse", set_up_langfuse, ("langfuse",), "from langfuse.openai import openai"),
        Tool("logfire", set_up_logfire, ("logfire[fastapi,flask]",), "import logfire", needs="with its own web instrumentation"),
        Tool(
            "sentry",
            set_up_sentry,
            ("sentry-sdk",),
            "import sentry_sdk",
            needs="outside a web request a transaction is begun for each call: without one it sends nothing; its queue has as much room as ours: with its 100 it drops what 32 requests at a time leave",
        ),
        Tool(
            "otel-genai",
            set_up_otel_genai,
            ("opentelemetry-instrumentation-genai-openai", *OTEL),
            "from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor",
            needs="content in spans",
        ),
    )
}
BASE = ("openai[aiohttp]>=3,<4", "fastapi", "uvicorn", "flask", "gunicorn")
"""What every tool's environment has."""
