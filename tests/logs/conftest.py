"""Each test begins where no call was made before."""

from collections.abc import Iterator

import pytest

from llm_observe._runtime.items import NONE, last_attempt


@pytest.fixture(autouse=True)
def _no_call_before() -> Iterator[None]:
    last_attempt.set(NONE)
    yield
    last_attempt.set(NONE)
