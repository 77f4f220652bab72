"""What all tests share: a world without the machine's own settings."""

import os

import pytest

from llm_observe.settings import PREFIX


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `LLM_OBSERVE_*` of whoever runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
