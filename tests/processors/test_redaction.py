"""Redaction: what is found and what is not, what stands for it, and that nothing gets out where it fails."""

import collections
import importlib.util
import json
import re
import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from llm_observe._runtime.encode import encode
from llm_observe.errors import SettingsError
from llm_observe.processors import redaction
from llm_observe.processors.redaction import FAILED, WITHHELD, Redactor
from llm_observe.processors.redaction.custom import custom, unbounded
from llm_observe.processors.redaction.gate import Gate, places
from llm_observe.processors.redaction.kinds import GROUPS, SECRETS, chosen
from llm_observe.processors.redaction.scan import Scanner, built_in
from llm_observe.records import Call, Error, Input, Message, Operation, Provider, ScopeInfo, Text, ToolCall
from llm_observe.settings import resolve

KEY = "sk-proj-abcdEFGH1234567890abcd"
_SET = runpy.run_path(str(Path(__file__).with_name("redaction_set.py")))
Steps = runpy.run_path(str(Path(__file__).with_name("steps.py")))["Steps"]
ALL_KINDS = chosen(["secrets", "pii"])
NEAR, LABELLED = _SET["NEAR"], _SET["labelled"]()


def redactor(**settings):
    """A redactor by settings, with a key that is the same each time, its clock in the test's hand."""
    hands = settings.pop("now", lambda: 0)
    failed = settings.pop("failed", lambda error: None)
    spent = settings.pop("spent", lambda: 0)
    return Redactor(resolve(settings, {})[0], default_key=b"k", now=hands, spent=spent, failed=failed)


def call(*texts, **fields):
    """A call whose prompt are *texts*."""
    fields.setdefault("scope", ScopeInfo(route="/chat"))
    return Call(
        id="1", trace_id="2", span_id="3", started_at=datetime(2027, 1, 1, tzinfo=UTC), duration=1.0, name="chat", status="ok",
        operation=Operation(name="chat"), provider=Provider(name="p"),
        input=Input(messages=(Message(role="user", parts=tuple(Text(content=text) for text in texts)),)), **fields,
    )  # fmt: skip


def texts_of(record):
    """The texts of a call's prompt."""
    return [part.content for part in record.input.messages[0].parts]


def scanned(text, *names):
    """*text* without what *names* ask for."""
    return Scanner([built_in(kind) for kind in chosen(names)], b"k")(text)


# --- what is found ---------------------------------------------------------------------------------------------------


def test_precision_and_recall_on_the_labelled_set(capsys):
    """Of 900 texts with near misses: what was to be found is found, and what is none is left alone."""
    hits, misses, false = collections.Counter(), collections.Counter(), collections.Counter()
    wrong = []
    for text, kind, secret in LABELLED:
        seen = scanned(text, kind)
        if secret is None:
            false[kind] += seen != text
        else:
            (hits if secret not in seen else misses)[kind] += 1
        if (secret is None) != (seen == text) or (secret or "\0") in seen:
            wrong.append((kind, text, seen))
    with capsys.disabled():
        for kind in NEAR:
            found, lost, wrongly = hits[kind], misses[kind], false[kind]
            print(f"\n{kind:<8} recall {found / (found + lost):.3f}  precision {found / (found + wrongly):.3f}", end="")

    assert len(LABELLED) >= 500
    for kind in NEAR:
        assert misses[kind] == 0, wrong  # recall 1: docs/privacy.md says so
        assert false[kind] == 0, wrong  # precision 1


def is_found(text):
    """Whether any detector of secrets finds anything in *text*, looked for everywhere."""
    data = text.encode()
    finders = [built_in(kind) for kind in SECRETS]
    return any(list(finder.spans(data)) for finder in finders if any(literal in data for literal in finder.near))


OLD = Gate(SECRETS)


def let_in(text):
    """Whether the gate lets a record with *text* in; what it remembers of all the others changes nothing."""
    line = encode(Text(content=text))
    said = Gate(SECRETS)(line)
    assert (said, said) == (OLD(line), OLD(line))
    return said


@effort(deadline=None, max_examples=400)
@given(
    st.sampled_from(SECRETS).flatmap(lambda kind: st.from_regex(re.compile(kind.expression), fullmatch=True)),
    st.text(max_size=20),
    st.text(max_size=10),
)
def test_whatever_a_detector_finds_the_gate_lets_in(match, before, after):
    """Made of the expressions themselves: there is no text with a secret in it that is not gone through, however JSON writes it."""
    text = before.encode("utf-8", "replace").decode() + match.decode("latin-1") + after.encode("utf-8", "replace").decode()

    assert [] == [one for one in (text, json.dumps(text), json.dumps([json.dumps(text)])) if is_found(one) and not let_in(one)]


@effort(deadline=None, max_examples=200)
@given(st.sampled_from([row for row in LABELLED if row[1] == "secrets"]), st.text(max_size=60), st.text(max_size=60))
def test_what_is_looked_for_in_places_is_what_is_looked_for_everywhere(row, before, after):
    """Whatever stands around it: where the gate opens no place, nothing is found."""
    text = (before + row[0] + after).encode("utf-8", "replace").decode()

    assert is_found(text) == (scanned(text, "secrets") != text)
    assert let_in(text) or not is_found(text)


@effort(deadline=None)
@given(st.integers(0, 45_000), st.sampled_from([KEY, "Authorization: Bearer " + "a1B2c3D4" * 4, "AKIA" + "Q7XD2MZP4RTB6KLN"]))
def test_a_secret_is_found_wherever_it_stands_in_a_long_text(place, secret):
    """Also across the border of two pieces."""
    text = "wörd " * (place // 6) + secret + " word" * 9000

    assert secret.split()[-1] not in scanned(text, "secrets")


def signs_of(kind):
    """What a pump may be made of: pieces of what the expression takes, and of what it does not."""
    return st.from_regex(re.compile(kind.expression), fullmatch=True).map(lambda match: match[:24]) | st.sampled_from(
        [b"a", b"0", b"-", b"eyJ", b"://a:", b"1.", b"+1 ", b"Aa0 ", b"sk-", b"a@a.", b":0", b"password=", b"----", b" 1", b"key=", b"\n"]
    )


@effort(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(ALL_KINDS).flatmap(lambda kind: st.tuples(st.just(kind), signs_of(kind), signs_of(kind).map(lambda pump: pump[-9:])))
)
def test_the_worst_pump_stays_linear(drawn):
    """Four times the bytes are four times the steps, however a text is made: each place is tried for a bounded stretch."""
    kind, start, pump = drawn
    few, many = Steps(kind.expression), Steps(kind.expression)
    few.spans(start + (pump or b"a") * (1024 // len(pump or b"a")))
    many.spans(start + (pump or b"a") * (4096 // len(pump or b"a")))

    assert many.count <= 4.5 * few.count + 400_000


def test_what_is_not_linear_is_seen_not_to_be():
    """The counter tells a repeat without an end that something must follow."""
    few, many = Steps(b"a*b"), Steps(b"a*b")
    few.spans(b"a" * 256)
    many.spans(b"a" * 1024)

    assert many.count > 4.5 * few.count + 400_000


@given(st.sampled_from([row[0].encode() for row in LABELLED[:600:7]]))
def test_what_counts_the_steps_finds_what_python_finds(text):
    """The counter walks the same expressions."""
    kinds = [kind for kind in ALL_KINDS if not kind.near or any(literal in text for literal in kind.near)]

    assert [[match.span() for match in re.finditer(kind.expression, text)] for kind in kinds] == [
        Steps(kind.expression).spans(text) for kind in kinds
    ]


@pytest.mark.parametrize(
    "pump", [b"sk-" + b"a" * 20 + b"=", b"-----BEGIN " + b"a" * 44 + b" ", b"password: ", b"https://x:y@", b"key=" + b"a1" * 9]
)
def test_the_places_looked_at_are_not_more_than_the_text(pump):
    """Where one overlaps with the next, and each could reach to the end, the bytes in them stay a multiple of the text's."""
    text = pump * (200_000 // len(pump))

    assert sum(end - start for start, end in places(text)) <= 40 * len(text)


@pytest.mark.skipif(importlib.util.find_spec("re2") is None, reason="google-re2 is not installed")
def test_both_engines_find_the_same():
    """Our expressions mean the same to Python and to google-re2."""
    import re2

    kinds = chosen(["secrets", "pii"])
    with_re, with_re2 = Scanner([built_in(k) for k in kinds], b"k"), Scanner([built_in(k, re2) for k in kinds], b"k")

    assert [with_re(text) for text, _, _ in LABELLED] == [with_re2(text) for text, _, _ in LABELLED]


# --- what stands for it ----------------------------------------------------------------------------------------------


def test_the_same_value_has_the_same_pseudonym_and_another_key_another():
    """They can be told apart and joined, and say nothing of what they stand for."""
    text = "a@example.com b@example.com a@example.com"
    one, other, again = scanned(text, "email").split()

    assert re.fullmatch(r"\[email:[0-9a-f]{8}\]", one)
    assert one == again != other
    assert one not in texts_of(redactor(redact="email", redact_key="another")(call(text), encode)[0])[0]


def test_secrets_are_taken_out_of_every_text_of_a_record():
    """Messages, tool arguments, errors, names, routes, tags and their names; also what is only said to be secret by its name."""
    tools = (ToolCall(name=KEY, arguments={"a": [KEY], "api_key": "tiny"}), ToolCall(name="x", arguments=json.dumps({"k": KEY})))
    tags = {KEY: KEY, "deep": [{"password": "short"}]}
    record = msgspec.structs.replace(
        call(
            KEY, error=Error(type="x", message=KEY), scope=ScopeInfo(route=f"/x/{KEY}", user_id=KEY, tags=tags), system_instructions=tools
        ),
        name=f"chat {KEY}",
    )
    seen, line = redactor()(record, encode)

    assert [] == [word for word in (KEY, "short", "tiny") if word.encode() in line]
    assert line == encode(seen)


def test_what_is_named_a_secret_is_one_also_where_nothing_looks_like_it():
    """A password of four letters has no pattern; its name says it."""
    record = msgspec.structs.replace(call("hi"), scope=ScopeInfo(tags={"db": {"password": "abcd"}, "cookie": "k=v"}))

    assert [] == [word for word in (b"abcd", b"k=v") if word in redactor()(record, encode)[1]]


def test_a_record_without_secrets_is_the_same_record():
    """Nothing is copied, and nothing encoded twice."""
    record, lines = call("What is the capital of France?"), []

    seen, _ = redactor()(record, lambda one: lines.append(one) or encode(one))

    assert (True, 1) == (seen is record, len(lines))


def test_nothing_is_taken_out_where_that_is_asked_for():
    """`none` stands alone."""
    assert [KEY] == texts_of(redactor(redact="none")(call(KEY), encode)[0])


# --- rules -----------------------------------------------------------------------------------------------------------


def test_a_route_has_its_own_kinds():
    """By its template; the first that fits counts."""
    one = redactor(redact="none", redact_for={"/chat": "email", "/*": "none"})
    said = f"a@example.com {KEY}"

    assert [f"[email:{one(call(said), encode)[0].input.messages[0].parts[0].content[7:15]}] {KEY}"] == texts_of(one(call(said), encode)[0])
    assert [said] == texts_of(one(call(said, scope=ScopeInfo(route="/other")), encode)[0])


def test_a_field_has_its_own_rule():
    """Kept, dropped, replaced whole, or gone through for kinds of its own."""
    one = redactor(
        redact_fields={"scope.user_id": "pseudonym", "scope.session_id": "drop", "input.messages.0.parts.0.*": "keep", "input.*": "email"}
    )
    record = call(KEY, f"a@example.com {KEY}", scope=ScopeInfo(user_id="joe", session_id="s"))
    seen, _ = one(record, encode)

    assert re.fullmatch(r"\[user_id:[0-9a-f]{8}\]", seen.scope.user_id)
    assert "[dropped]" == seen.scope.session_id
    assert KEY == texts_of(seen)[0]
    assert "a@example.com" not in texts_of(seen)[1]


def test_patterns_of_the_users_own_are_found():
    """Under the name they have, beside our own; in texts that are not ASCII too."""
    seen = texts_of(redactor(redact_patterns={"ticket": "TICKET-[0-9]{1,9}|ü[0-9]"})(call(f"ä TICKET-42 ö ü7 {KEY}"), encode)[0])[0]

    assert re.fullmatch(r"ä \[ticket:.{8}\] ö \[ticket:.{8}\] \[openai_key:.{8}\]", seen)


@pytest.mark.parametrize("expression", ["(a+)+$", "a*b", "(a{1,64}){1,64}", r"(x)\1", "[a-z]{1,900}[a-z]{1,900}", "("])
def test_a_pattern_that_may_run_for_ever_is_refused(expression):
    """Without google-re2 a repeat needs an end, and must not stand in another one."""
    with pytest.raises(SettingsError, match="redact_patterns: mine="):
        custom("mine", expression, unsafe=False, linear=None)


def test_a_pattern_that_may_run_for_ever_is_taken_where_that_is_said():
    """`redact_unsafe`; and a bounded one needs no such word."""
    assert [(0, 3)] == list(custom("mine", "a+b", unsafe=True, linear=None).spans(b"aab"))
    assert (None, None) == (unbounded(r"(?:ab|c)[0-9]{1,20}(?=x)"), unbounded("[A-Z]{2}-(?>[0-9]{4})"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"redact": "e-mail"}, "There is no 'e-mail'"),
        ({"redact": "none,pii"}, "`none` stands alone"),
        ({"redact_for": {"/x": "y"}}, "redact_for: /x='y'"),
        ({"redact_fields": {"name": "hide"}}, "pseudonym"),
        ({"redact_patterns": {"Mine!": "x"}}, "Expected a name of small letters"),
        ({"redact_patterns": {"mine": "x?"}}, "finds the empty text"),
    ],
)
def test_a_wrong_rule_is_refused_at_start_up(settings, said):
    """It says what was expected."""
    with pytest.raises(SettingsError, match=re.escape(said)):
        redactor(**settings)


# --- where it fails --------------------------------------------------------------------------------------------------


def recursing(text, path):
    """A rule without an end."""
    return recursing(text, path)


@pytest.mark.parametrize("wrong", [lambda text, path: 1 / 0, lambda text, path: None, lambda text, path: b"x", recursing])
def test_a_rule_that_fails_withholds_the_field(wrong):
    """Raising, returning what is no text, recursing: the text is not let through, and the failure is told of once a record."""
    failures = []
    one = redactor(redact_with=lambda text, path: wrong(text, path) if "canary" in text else text, failed=failures.append)
    seen, line = one(call("canary one", "canary two", "fine"), encode)

    assert ([FAILED, FAILED, "fine"], False, 1, 2) == (texts_of(seen), b"canary" in line, len(failures), one.withheld["failed"])


def test_a_rule_that_goes_on_failing_is_not_asked_any_more_and_content_is_dropped():
    """After ten records in a row metadata alone goes out; a minute later the rule gets its chance."""
    hands, asked = [0], []

    def wrong(text, path):
        asked.append(path)
        raise ValueError(text)

    one = redactor(redact_with=wrong, now=lambda: hands[0])
    for _ in range(redaction.MOST_FAILURES):
        one(call("canary"), encode)
    before = len(asked)
    seen, line = one(call("canary"), encode)

    assert (before, (), False, "/chat") == (len(asked), seen.input.messages, b"canary" in line, seen.scope.route)
    hands[0] += redaction.PAUSE
    one(call("canary"), encode)
    assert len(asked) > before


def test_what_there_is_no_time_for_is_withheld():
    """The content that is left; facts are short, and stay."""
    hands = [0]

    def slow(text, path):
        hands[0] += 30_000_000
        return text

    one = redactor(redact_with=slow, spent=lambda: hands[0], redact_fields={"name": "keep"})
    seen, _ = one(call("one", "two", "three", scope=None), encode)

    assert (WITHHELD, "p", True) == (texts_of(seen)[-1], seen.provider.name, one.withheld["late"] > 0)


def test_what_is_prepared_once_is_no_records_time(monkeypatch):
    """The first record with a secret comes out whole although each expression takes a second to compile; the next one has them."""
    hands = [0]

    def slowly(expression):
        hands[0] += 10**9
        return re.compile(expression)

    monkeypatch.setattr(redaction, "re", SimpleNamespace(compile=slowly))
    one = redactor(spent=lambda: hands[0], redact_fields={"input.messages.*": "secrets"})
    seen, _ = one(call(f"my key: {KEY}"), encode)
    took = hands[0]
    one(call(f"my key: {KEY}"), encode)

    assert (True, {"failed": 0, "late": 0}) == (texts_of(seen)[0].startswith("my key: [openai_key:"), one.withheld)
    assert hands[0] == took > 10**9


def test_a_value_that_fails_when_asked_for_its_words_takes_the_record_with_it_and_no_more():
    """Numbers and ids stay."""

    class Wrong:
        def __repr__(self):
            return f"<{KEY}>"

    deep = here = {}
    for _ in range(100):
        here["x"] = here = {}
    here["k"] = KEY
    one = redactor()
    _, line = one(call("hi", scope=ScopeInfo(tags={"w": Wrong(), "d": deep})), encode)

    assert KEY.encode() not in line


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=20
    )
)
def test_whatever_an_application_says_a_record_comes_out(value):
    """Any value, any text, lone surrogates too; and a key in its midst does not."""
    _, line = redactor()(call("hi", scope=ScopeInfo(tags={"v": value, "k": [KEY]})), encode)

    assert KEY.encode() not in line


def test_every_group_is_made_of_kinds_that_compile():
    """Each expression is readable, also those that only few texts need."""
    assert all(built_in(kind).spans(b"") is not None for names in GROUPS for kind in chosen([names]))
