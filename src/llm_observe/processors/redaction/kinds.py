"""The kinds of text that are known: secrets of providers and clouds, and what tells of a person.

The expressions are over bytes and mean the same to Python and to google-re2: no look-around, no back-reference. A repeat has a bound, or
nothing that must come after it, so that each is linear however it is fed. A secret has a run of sixteen characters, or a literal that the
:mod:`gate <llm_observe.processors.redaction.gate>` looks for: what it does not let in is never found.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from llm_observe.processors.redaction import checks

_LOCAL = bytes(code for code in range(33, 256) if chr(code) not in "\"'()<>[]{},;:@\\`|/=&?!*#$^~\x7f")  # of an e-mail address
_DIGITS = tuple(b"%d" % digit for digit in range(10))
_ALNUM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Kind(NamedTuple):
    """One kind of text. ``near`` are literals of which one stands in each, or right before it.

    ``check`` says how many bytes of what the expression found are meant: 0 is a near miss. Where the expression has a group, the
    group is what is taken out; ``left`` are the bytes before a match that belong to it.
    """

    name: str
    expression: bytes
    near: tuple[bytes, ...]
    check: Callable[[bytes], int] = len
    left: bytes = b""


_START = rb"(?:\b|\\[nrt])"  # a line may begin within JSON within a text
_KEYED = rb"[A-Za-z0-9_\-]"
ANYWHERE: set[bytes] = set()
"""How keys begin that are known wherever they stand."""
AT_A_START: set[bytes] = set()
"""How keys begin before which there must be no letter and no digit."""


def _prefixed(name: str, *prefixes: bytes, more: bytes = _KEYED, least: int = 20, anywhere: bool = False, padded: bool = False) -> Kind:
    """A key by its maker's own beginnings."""
    (ANYWHERE if anywhere else AT_A_START).update(prefixes)
    either = b"|".join(re.escape(prefix) for prefix in prefixes)
    body = rb"((?:" + either + rb")" + more + rb"{%d,}" % least + (rb"={0,2})" if padded else rb")")
    return Kind(name, body if anywhere else _START + body, prefixes, checks.key)


SECRETS: tuple[Kind, ...] = (
    Kind(
        "private_key",
        rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?:(?:\\[nr]|\s){1,4}[A-Za-z\-]{2,20}: [A-Za-z0-9 .,:;()/+=_\-]{0,100}){0,4}"
        rb"[\s\\nr]{0,8}[A-Za-z0-9+/]{40,}[A-Za-z0-9+/=\s\\]*(?:-{1,5}END [A-Z0-9 ]{0,60}-{0,5})?",
        (b"PRIVATE KEY",),
    ),
    _prefixed("anthropic_key", b"sk-ant-", least=16, anywhere=True),
    _prefixed("openai_key", b"sk-proj-", b"sk-svcacct-", b"sk-admin-", least=16, anywhere=True),
    _prefixed("api_key", b"sk-or-v1-", anywhere=True),
    _prefixed("openai_key", b"sk-", b"sess-"),
    _prefixed("google_key", b"AIza", least=30, anywhere=True),
    _prefixed("google_key", b"ya29.", b"GOCSPX-", b"AQ.", more=rb"[A-Za-z0-9_.\-]", least=24),
    _prefixed("aws_key", b"AKIA", b"ASIA", more=rb"[A-Z0-9]", least=16),
    _prefixed("aws_key", b"ABSK", b"bedrock-api-key-", more=rb"[A-Za-z0-9+/]", least=40, padded=True),
    Kind("azure_key", rb"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{30,}={0,2})", (b"AccountKey=", b"AccessKey="), checks.key),
    Kind("azure_key", rb"JQQJ9[A-Za-z0-9]{10,}", (b"JQQJ9",), checks.azure, _ALNUM),
    _prefixed("groq_key", b"gsk_", least=24, anywhere=True),
    _prefixed("huggingface_token", b"hf_", b"api_org_", more=rb"[A-Za-z0-9]", least=24),
    _prefixed("api_key", b"r8_", b"pplx-", b"xai-", b"nvapi-", b"csk-", b"fw_", b"tgp_v1_", b"pcsk_", b"tvly-", b"lsv2_", b"pa-", least=24),
    _prefixed("github_token", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", least=30, anywhere=True),
    _prefixed("gitlab_token", b"glpat-", least=16, anywhere=True),
    _prefixed("slack_token", b"xoxb-", b"xoxp-", b"xoxa-", b"xoxe-", b"xoxs-", b"xoxr-", b"xapp-", least=16, anywhere=True),
    Kind("webhook", rb"hooks\.slack\.com/[a-z]{4,12}/([A-Za-z0-9/_\-]{16,})", (b"hooks.slack",), checks.key),
    Kind("webhook", rb"discord(?:app)?\.com/api/webhooks/([A-Za-z0-9/_\-]{16,})", (b"/webhooks/",), checks.key),
    _prefixed(
        "stripe_key",
        b"sk_live_",
        b"sk_test_",
        b"rk_live_",
        b"rk_test_",
        b"whsec_",
        more=rb"[A-Za-z0-9+/]",
        least=16,
        anywhere=True,
        padded=True,
    ),
    _prefixed("api_key", b"SG.", more=rb"[A-Za-z0-9_.\-]", least=40),
    _prefixed("api_key", b"npm_", b"pypi-", b"dckr_pat_", b"dop_v1_", b"shpat_", b"dapi", b"AGE-SECRET-KEY-", least=24),
    Kind("jwt", rb"eyJ[A-Za-z0-9_\-]{8,400}\.eyJ[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?", (b"eyJ",)),
    Kind("bearer_token", rb"(?i:bearer)\s{1,4}([A-Za-z0-9_\-.~+/]{16,}[A-Za-z0-9_\-.~+/=]*)", (b"earer", b"EARER"), checks.key),
    Kind("basic_auth", rb"(?i:basic)\s{1,4}([A-Za-z0-9+/]{16,}={0,2})", (b"asic", b"ASIC"), checks.basic),
    Kind("url_password", rb"://[^\s/:@\"'<>\\]{0,100}:([^\s/@\"'<>\\]{1,200})@", (b"@",)),
    Kind("url_password", rb"://([A-Za-z0-9_\-.]{16,200})@", (b"@",), checks.key),
    Kind(
        "url_key",
        rb"[?&;](?i:key|api[_\-]?key|apikey|(?:access_|auth_|id_|refresh_)?token|sig|signature|secret|client_secret|password"
        rb"|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential))=([A-Za-z0-9_\-.~+/%]{16,}[A-Za-z0-9_\-.~+/%=]*)",
        (b"?", b"&"),
        checks.value,
    ),
    Kind(
        "password",
        rb"[Pp]ass(?:wd|word)[\"'`\\]{0,4}\s{0,3}(?:=>|:=|[:=])\s{0,3}[\"'`\\]{0,4}([^\s\"'`\\,;<>{}()\[\]&]{5,200})",
        (b"assw",),
        checks.password,
    ),
    Kind("password", rb"PASSW(?:OR)?D=[\"']?([A-Za-z0-9_\-./+=~%]{9,200})", (b"PASSW",), checks.password),
    Kind(
        "secret",
        rb"(?i:(?:api|access|secret|auth|client|private|signing|encryption|session|refresh|webhook|account|subscription|service|master)"
        rb"[_\-. ]?(?:access[_\-. ]?)?(?:key|token|secret)(?:[_\-. ]?id)?|\bsecret|\btoken)"
        rb"[\"'`\\]{0,4}\s{0,3}(?:=>|:=|[:=])\s{0,3}[\"'`\\]{0,4}([A-Za-z0-9_\-.+/~]{16,}[A-Za-z0-9_\-.+/~=]*)",
        (b"key", b"oken", b"ecret", b"Key", b"KEY", b"OKEN", b"ECRET"),
        checks.value,
    ),
)

EMAIL = (Kind("email", rb"@[A-Za-z0-9\x80-\xff\-]{1,63}(?:\.[A-Za-z0-9\x80-\xff\-]{1,63}){1,8}", (b"@",), checks.email, _LOCAL),)
PHONE = (
    Kind("phone", rb"\+[1-9][0-9]{0,3}(?:[ .\-/]{0,2}\(?[0-9]{1,5}\)?){2,6}", (b"+",), checks.international),
    Kind("phone", rb"(?:\b1[\-. ])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[\-. ])[2-9][0-9]{2}[\-. ][0-9]{4}\b", _DIGITS),
    Kind("phone", rb"\b0[1-9][0-9]{1,4}[ /\-][0-9]{2,8}(?:[ \-][0-9]{2,6}){0,3}\b", _DIGITS, checks.national),
)
CARD = (Kind("card", rb"\b[2-6][0-9]{3}(?:[ \-]?[0-9]){9,15}\b", _DIGITS, checks.card),)
IP = (
    Kind("ip", rb"\b[0-9]{1,3}(?:\.[0-9]{1,5}){3,8}\b", _DIGITS, checks.address),
    Kind("ip", rb"[0-9A-Fa-f]{0,4}(?:::?[0-9A-Fa-f]{1,4}){2,8}", (b":",), checks.address),
)
SSN = (Kind("ssn", rb"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", (b"-",), checks.ssn),)
NINO = (Kind("nino", rb"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b", _DIGITS, checks.nino),)
IBAN = (Kind("iban", rb"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}){3,9}", _DIGITS, checks.iban),)
NIR = (Kind("nir", rb"\b[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b", _DIGITS, checks.nir),)
DNI = (Kind("dni", rb"\b[0-9XYZ][0-9]{7}-?[A-Z]\b", _DIGITS, checks.dni),)

NAMED: dict[str, tuple[Kind, ...]] = {
    "email": EMAIL,
    "phone": PHONE,
    "card": CARD,
    "ip": IP,
    "ssn": SSN,
    "nino": NINO,
    "iban": IBAN,
    "nir": NIR,
    "dni": DNI,
}
"""What can be asked for by name."""

GROUPS: dict[str, tuple[Kind, ...]] = {
    "none": (),
    "secrets": SECRETS,
    **NAMED,
    "national_id": (*SSN, *NINO, *NIR, *DNI),
    # Long and checked ones first: where two find the same text, the first one names it.
    "pii": (*EMAIL, *IBAN, *CARD, *NIR, *SSN, *NINO, *DNI, *IP, *PHONE),
}
"""What can be asked for, alone or together."""


def chosen(names: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds that *names* ask for, each once.

    :raises KeyError: for a name that is none.
    """
    found: dict[Kind, None] = {}
    for name in names:
        found.update(dict.fromkeys(GROUPS[name]))
    return tuple(found)
