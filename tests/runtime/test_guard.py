"""Never hurt the host."""

import logging

import pytest

from llm_observe._runtime.guard import Guard, described, words


class Silent(Exception):
    """An exception that cannot be asked."""

    def __str__(self):
        raise RuntimeError("not telling")


@pytest.fixture
def lines(caplog):
    """What was logged."""
    caplog.set_level(logging.WARNING, logger="llm_observe")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "llm_observe"]


def test_a_failure_is_counted_and_told(lines):
    """Where, what, and that the application goes on."""
    guard = Guard()
    guard.caught(ValueError("ours"), "decoding")

    assert (1, ["llm-observe failed in decoding (ValueError: ours); the application goes on"]) == (guard.errors, lines())


def test_a_strict_guard_raises_what_it_caught():
    """In tests our bugs are loud."""
    guard = Guard(strict=True)
    with pytest.raises(ValueError, match="ours"):
        guard.caught(ValueError("ours"), "decoding")

    assert 1 == guard.errors


def test_one_kind_is_told_once_a_minute(lines):
    """A failure a request must not become a line a request; all are counted."""
    now = [0.0]
    guard = Guard(clock=lambda: now[0])
    for second in (0, 1, 59, 60, 61):
        now[0] = float(second)
        guard.caught(ValueError(str(second)), "decoding")

    assert (5, ["(ValueError: 0)", "(ValueError: 60)"]) == (
        guard.errors,
        [line[len("llm-observe failed in decoding ") : -len("; the application goes on")] for line in lines()],
    )


def test_kinds_are_told_each_by_itself(lines):
    """Another place, or another error, is another kind."""
    guard = Guard()
    guard.caught(ValueError(), "decoding")
    guard.caught(KeyError(), "decoding")
    guard.caught(ValueError(), "encoding")

    assert 3 == len(lines())


def test_words_that_may_hold_content_are_left_out(lines):
    """A processor's error may quote the prompt."""
    Guard().caught(ValueError("my secret"), "the processor x", quoted=False)

    assert ["llm-observe failed in the processor x (ValueError); the application goes on"] == lines()


def test_a_text_with_percent_signs_is_logged_as_it_is(lines):
    """It is no format."""
    Guard().say("kind", "100 %s sure %d")

    assert ["100 %s sure %d"] == lines()


def test_an_error_that_cannot_be_asked_is_known_by_its_type(lines):
    """Somebody else's `__str__` must not raise in our guard."""
    Guard().caught(Silent(), "decoding")

    assert ["llm-observe failed in decoding (Silent); the application goes on"] == lines()
    assert (None, "Silent", "ValueError: x") == (words(Silent()), described(Silent()), described(ValueError("x")))


def test_long_words_are_cut():
    """An error may carry a whole response."""
    assert 4096 == len(words(ValueError("x" * 10_000)))


def test_a_filter_of_the_applications_that_fails_fails_alone(lines):
    """Logging is somebody else's code too."""

    def broken(record):
        raise RuntimeError("no")

    logging.getLogger("llm_observe").addFilter(broken)
    try:
        Guard().caught(ValueError(), "decoding")
    finally:
        logging.getLogger("llm_observe").removeFilter(broken)

    assert [] == lines()
