"""Fixtures for pytest, there wherever llm-observe is installed. Nothing is loaded until a test asks for one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llm_observe.testing import Recorded
    from llm_observe.testing.provider import FakeProvider


@pytest.fixture
def llm_records() -> "Iterator[Recorded]":
    """What the app under test records, in memory; see :class:`llm_observe.testing.Recorded`."""
    from llm_observe.testing import recording

    with recording() as recorded:
        yield recorded


@pytest.fixture
def llm_provider() -> "Iterator[FakeProvider]":
    """A provider on 127.0.0.1 that speaks OpenAI chat and Anthropic messages; see :class:`llm_observe.testing.provider.FakeProvider`."""
    from llm_observe.testing.provider import FakeProvider

    with FakeProvider() as provider:
        yield provider
