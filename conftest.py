"""Every Python example in README and docs runs: in a folder of its own, with a provider on this machine behind the SDKs' variables."""

import os
import sys
import tempfile
from contextlib import ExitStack, chdir
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import hypothesis
import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# A machine that does other things too is slow now and then: that is no failure of a property.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def begin(namespace: dict[str, Any]) -> None:
    """Lay the place in which a page's examples run, one after the other and in one namespace."""
    import llm_observe
    from llm_observe.testing.provider import FakeProvider

    with ExitStack() as stack:
        stack.enter_context(chdir(stack.enter_context(tempfile.TemporaryDirectory())))
        provider = stack.enter_context(FakeProvider())
        variables = {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": provider.openai_base_url,
            "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_BASE_URL": provider.anthropic_base_url,
        }
        stack.enter_context(mock.patch.dict(os.environ, variables))
        for name in [name for name in os.environ if name.startswith("LLM_OBSERVE_")]:
            del os.environ[name]
        module = ModuleType("app")  # Flask looks for the folder of the module that makes it
        module.__file__ = str(Path("app.py").resolve())
        sys.modules[module.__name__] = module
        stack.callback(sys.modules.pop, module.__name__)
        stack.callback(llm_observe.shutdown)
        namespace["__name__"] = module.__name__
        namespace["DOCS"] = Path(__file__).parent / "docs"
        namespace["__place__"] = stack.pop_all()


def end(namespace: dict[str, Any]) -> None:
    """Clear it away."""
    namespace["__place__"].close()


def frames(item: SybilItem, failure: pytest.ExceptionInfo[BaseException]) -> Any:
    """Sybil's own choice of frames to show, which fails itself when the failure came from around the example."""
    try:
        return chosen(item, failure)
    except IndexError:
        return failure.traceback


chosen = SybilItem._traceback_filter  # noqa: SLF001 - there is no other way in
SybilItem._traceback_filter = frames  # noqa: SLF001 - as above

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()], patterns=["README.md", "docs/*.md"], setup=begin, teardown=end
).pytest()
