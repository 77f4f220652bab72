"""Settings: where they come from, and what is said of wrong ones."""

import pathlib

import msgspec
import pytest

from llm_observe.errors import ObserveError, SettingsError
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.settings import NAMES, Settings, checked, describe, resolve


def said(keywords=None, env=None):
    """What the error says."""
    with pytest.raises(SettingsError) as caught:
        resolve(keywords or {}, env or {})
    return str(caught.value)


# --- where from ------------------------------------------------------------------------------------------------------


def test_without_anything_there_are_defaults():
    """All of them in sight."""
    settings, sources = resolve({}, {})

    assert (Settings(), set(NAMES), {"default"}) == (settings, set(sources), set(sources.values()))


def test_the_environment_comes_before_the_defaults():
    """By name and prefix."""
    settings, sources = resolve({}, {"LLM_OBSERVE_QUEUE_RECORDS": "5", "PATH": "/bin"})

    assert (5, "environment LLM_OBSERVE_QUEUE_RECORDS", "default") == (settings.queue_records, sources["queue_records"], sources["content"])


def test_keywords_come_before_the_environment():
    """What is in the code counts."""
    settings, sources = resolve({"content": "none"}, {"LLM_OBSERVE_CONTENT": "metadata"})

    assert ("none", "keyword") == (settings.content, sources["content"])


def test_the_environment_is_the_processs_own_where_none_is_given(monkeypatch):
    """Read when it is needed, and not at import."""
    monkeypatch.setenv("LLM_OBSERVE_SERVICE", "shop")

    assert "shop" == resolve({})[0].service


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_an_unset_one(text):
    """`LLM_OBSERVE_EXPORTERS=${EXPORTERS:-}` must not switch recording off."""
    settings, sources = resolve({}, {"LLM_OBSERVE_EXPORTERS": text, "LLM_OBSERVE_QUEUE_RECORDS": text})

    assert (None, 10_000, "default") == (settings.exporters, settings.queue_records, sources["exporters"])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("enabled", "false", False),
        ("enabled", "1", True),
        ("strict", "TRUE", True),
        ("service", "shop", "shop"),
        ("exporters", "stdout, file:./x ,", ("stdout", "file:./x")),
        ("http_headers", "a=1, authorization = Bearer x=y", {"a": "1", "authorization": "Bearer x=y"}),
        (
            "endpoints",
            "gw.example/ask=openai.chat mine, other.example=ignore",
            {"gw.example/ask": "openai.chat mine", "other.example": "ignore"},
        ),
        ("content_for", "/admin/* = none, POST /chat=metadata", {"/admin/*": "none", "POST /chat": "metadata"}),
        ("sample_rate", "0.1", 0.1),
        ("sample_rules", "route:/health=0,model:gpt-x*=0.5", {"route:/health": 0.0, "model:gpt-x*": 0.5}),
        ("queue_bytes", "65536", 65536),
        ("batch_age", "0.5", 0.5),
        ("retry_window", "0", 0.0),
        ("directory", "/var/log/llm", "/var/log/llm"),
        ("spool", "true", True),
        ("spool", " ON ", True),
        ("spool", "0", False),
        ("spool", "/var/spool/llm", "/var/spool/llm"),
        ("request_id_header", "X-Trace", "X-Trace"),
    ],
)
def test_a_text_of_the_environment_becomes_what_it_is_to_be(name, text, value):
    """Numbers, truths, lists, headers."""
    assert value == getattr(resolve({}, {f"LLM_OBSERVE_{name.upper()}": text})[0], name)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, None), ("stdout", ("stdout",)), (print, (print,)), ([print, "file"], (print, "file")), ((), ()), (iter(["file"]), ("file",))],
)
def test_exporters_may_be_one_or_several(given, kept):
    """None stands for the defaults."""
    assert kept == resolve({"exporters": given}, {})[0].exporters


@pytest.mark.parametrize(
    ("given", "kept"), [(True, True), (False, False), ("no", False), ("", False), ("./here", "./here"), (pathlib.Path("/x"), "/x")]
)
def test_a_spool_is_wanted_or_not_or_has_a_place(given, kept):
    """True for the place that is ours; a text that means yes or no is no directory."""
    assert kept == resolve({"spool": given}, {})[0].spool


def test_a_spool_of_something_else_is_refused():
    """Naming it."""
    assert "spool=5" in said({"spool": 5})


def test_an_exporter_object_is_one():
    """Also where it happens to be iterable."""

    class Iterable(MemoryExporter):
        def __iter__(self):
            return iter(())

    exporter = Iterable()

    assert (exporter,) == resolve({"exporters": exporter}, {})[0].exporters


@pytest.mark.parametrize(("given", "kept"), [(None, ()), (print, (print,)), ([print, repr], (print, repr))])
def test_processors_may_be_one_or_several(given, kept):
    """In the order of the list."""
    assert kept == resolve({"processors": given}, {})[0].processors


def test_a_directory_may_be_a_path(tmp_path):
    """As people have it at hand."""
    assert str(tmp_path) == resolve({"directory": pathlib.Path(tmp_path)}, {})[0].directory


def test_a_settings_object_with_keywords_is_both():
    """The keywords count."""
    settings, sources = checked(Settings(service="shop", content="none"), {"content": "metadata"})

    assert ("shop", "metadata", "Settings object", "keyword") == (
        settings.service,
        settings.content,
        sources["service"],
        sources["content"],
    )


def test_a_settings_object_does_not_change():
    """It is frozen, and so are those made of it."""
    with pytest.raises(AttributeError):
        Settings().content = "none"


# --- wrong ones ------------------------------------------------------------------------------------------------------


def test_a_settings_error_is_a_value_error_of_ours():
    """Both kinds of `except` catch it."""
    assert issubclass(SettingsError, ValueError)
    assert issubclass(SettingsError, ObserveError)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (
            {"LLM_OBSERVE_QUE_RECORDS": "5"},
            "LLM_OBSERVE_QUE_RECORDS: there is no setting of that name. Did you mean LLM_OBSERVE_QUEUE_RECORDS?",
        ),
        ({"LLM_OBSERVE_EXPORTER": "x"}, "LLM_OBSERVE_EXPORTER: there is no setting of that name. Did you mean LLM_OBSERVE_EXPORTERS?"),
        (
            {"LLM_OBSERVE_PROCESSORS": "x"},
            "LLM_OBSERVE_PROCESSORS: processors can only be set in Python. Remove the variable and pass processors= in your code.",
        ),
    ],
)
def test_a_wrong_name_in_the_environment_is_told(env, line):
    """With the nearest right one."""
    assert line == said(env=env)


def test_a_wrong_keyword_is_told():
    """With the nearest right one; its value, which may be a key, is not."""
    assert "http_header=: there is no setting of that name. Did you mean http_headers?" == said({"http_header": "canary"})


def test_a_name_like_no_other_gets_them_all():
    """Where nothing is near."""
    line = said({"zzz": 1})

    assert all(name in line for name in NAMES)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("enabled", "perhaps", "Expected `bool`"),
        ("service", 5, "Expected `str | null`"),
        ("content", "everything", "Invalid enum value 'everything'"),
        ("content_for", {"/chat": "some"}, "Invalid enum value 'some'"),
        ("sample_rate", 1.5, "Expected `float` <= 1.0"),
        ("sample_rate", float("nan"), "Expected `float` >= 0.0"),
        ("sample_rules", {"kind:step": -1}, "Expected `float` >= 0.0"),
        ("keep_slower_than", -1, "Expected `float` >= 0.0"),
        ("keep_costlier_than", "dear", "Expected `float`, got `str`"),
        ("directory", "", "Expected `str` of length >= 1"),
        ("directory", 5, "Expected a path, got `int`"),
        ("file_max_bytes", 1, "Expected `int` >= 4096"),
        ("file_total_bytes", "many", "Expected `int`, got `str`"),
        ("http_headers", {"a": 1}, "Expected `str`, got `int`"),
        ("queue_records", 0, "Expected `int` >= 1"),
        ("queue_records", 1.5, "Expected `int`"),
        ("queue_bytes", 1, "Expected `int` >= 65536"),
        ("body_bytes", 1, "Expected `int` >= 1024"),
        ("text_bytes", 8, "Expected `int` >= 64"),
        ("endpoints", {"gw.example": 1}, "Expected `str`, got `int`"),
        ("batch_records", -1, "Expected `int` >= 1"),
        ("batch_bytes", None, "Expected `int`, got `null`"),
        ("batch_age", -0.1, "Expected `float` >= 0.0"),
        ("batch_age", float("nan"), "Expected `float` >= 0.0"),
        ("retry_window", float("inf"), "Expected `float` <= 86400.0"),
        ("drain_timeout", "inf", "Expected `float` <= 86400.0"),
        ("request_id_header", "x: y", "Expected `str` matching regex"),
        ("follow_threads", 2, "Expected `bool`"),
        ("strict", "yes", "Expected `bool`"),
    ],
)
def test_a_wrong_value_gives_one_clear_line(name, value, expected):
    """Which setting, what was expected, what it is for, and what to do."""
    line = said({name: value})

    assert (True, True, True, False) == (line.startswith(name), expected in line, describe(name) in line, "\n" in line)
    assert line.endswith(("may be left out.", repr(getattr(Settings(), name)) + "."))


def test_a_wrong_value_in_the_environment_names_the_variable():
    """That is where it must be put right."""
    assert (
        "LLM_OBSERVE_QUEUE_RECORDS='lots': Expected `int`, got `str`. queue_records is records that may wait for the sink; more are dropped,"
        " and counted. Left out, it is 10000."
    ) == said(env={"LLM_OBSERVE_QUEUE_RECORDS": "lots"})


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("exporters", 5, "exporters: Expected a URL, an object with `export`, or a function, got `int`."),
        ("exporters", [None], "exporters: Expected a URL, an object with `export`, or a function, got `NoneType`."),
        ("exporters", MemoryExporter, "got the class MemoryExporter: write MemoryExporter()."),
        ("exporters", [MemoryExporter], "got the class MemoryExporter: write MemoryExporter()."),
        ("processors", ["redact"], "processors: Expected a function of one record, got `str`."),
        ("sampler", 0.5, "sampler: Expected a function of one record, got `float`."),
        ("sampler", MemoryExporter, "sampler: Expected a function of one record, got the class MemoryExporter."),
        ("content_callback", "none", "content_callback: Expected a function of one record, got `str`."),
        ("processors", "redact", "processors: Expected a function of one record, got `str`."),
    ],
)
def test_what_can_neither_export_nor_process_is_refused(name, value, line):
    """At start-up, and not a batch at a time."""
    assert line in said({name: value})


@pytest.mark.parametrize(
    ("keywords", "env"),
    [
        ({"http_headers": {"authorization": ["canary"]}}, {}),
        ({"http_headers": "canary"}, {}),
        ({"http_headers": ["canary"]}, {}),
        ({}, {"LLM_OBSERVE_HTTP_HEADERS": "canary"}),
        ({}, {"LLM_OBSERVE_HTTP_HEADERS": "authorization=Bearer can,canary"}),
    ],
)
def test_what_is_secret_is_in_no_message(keywords, env):
    """Not even half of a value that has a comma in it."""
    assert "canary" not in said(keywords, env)


def test_a_header_that_is_none_is_told_by_its_place():
    """Name it by its text we must not."""
    assert (
        "LLM_OBSERVE_HTTP_HEADERS: expected `name=value,name=value`, and part 2 has no `=`. A value with a comma in it can only be set in Python."
    ) == said(env={"LLM_OBSERVE_HTTP_HEADERS": "a=1,b"})


def test_settings_may_be_printed():
    """Without the values of headers."""
    text = repr(Settings(http_headers={"authorization": "canary"}, service="shop"))

    assert ("authorization" in text, "canary" in text, "service='shop'" in text) == (True, False, True)


def test_every_setting_says_what_it_is_for():
    """In a line of its own."""
    assert [] == [name for name in NAMES if not describe(name) or "\n" in describe(name)]


def test_every_default_fits_its_own_setting():
    """What is in sight is what is checked."""
    settings = Settings()

    assert settings == checked(settings, {})[0]
    assert settings == msgspec.convert(msgspec.structs.asdict(settings), Settings)
