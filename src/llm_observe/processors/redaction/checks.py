"""What an expression cannot say: sums that must come out, and what only looks the part.

Each takes what was found and says how many bytes of it are meant; 0 is a near miss.
"""

import binascii
import ipaddress
import re

_PLACEHOLDER = re.compile(
    rb"(?i)x{4,}|\*{3,}|\.{3}|your|example|placeholder|changeme|dummy|insert|replace|redacted|process\.env|os\.environ|getenv|settings\.|config\."
)
_WORDS = frozenset(
    {b"string", b"required", b"optional", b"none", b"null", b"true", b"false", b"undefined", b"integer", b"number", b"object"}
)
_FILES = frozenset({b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"js", b"ts", b"css", b"py", b"json", b"html", b"tgz", b"gz", b"zip"})
_IBAN_LENGTH = {
    "AD": 24,
    "AE": 23,
    "AL": 28,
    "AT": 20,
    "AZ": 28,
    "BA": 20,
    "BE": 16,
    "BG": 22,
    "BH": 22,
    "BR": 29,
    "CH": 21,
    "CR": 22,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "DO": 28,
    "EE": 20,
    "EG": 29,
    "ES": 24,
    "FI": 18,
    "FO": 18,
    "FR": 27,
    "GB": 22,
    "GE": 22,
    "GI": 23,
    "GL": 18,
    "GR": 27,
    "GT": 28,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IQ": 23,
    "IS": 26,
    "IT": 27,
    "JO": 30,
    "KW": 30,
    "KZ": 20,
    "LB": 28,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "MC": 27,
    "MD": 24,
    "ME": 22,
    "MK": 19,
    "MR": 27,
    "MT": 31,
    "MU": 30,
    "NL": 18,
    "NO": 15,
    "PK": 24,
    "PL": 28,
    "PS": 29,
    "PT": 25,
    "QA": 29,
    "RO": 24,
    "RS": 22,
    "SA": 24,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "TN": 24,
    "TR": 26,
    "UA": 29,
    "VA": 22,
    "VG": 24,
    "XK": 20,
}
_DNI = b"TRWAGMYFPDXBNJZSQVHLCKE"
_LETTERS, _DIGITS, _LOWER = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9]"), re.compile(rb"[a-z]")


def key(found: bytes) -> int:
    """A key as machines make them: letters and digits, many different ones, and no stand-in for one."""
    return value(found.rstrip(b".")) and len(found.rstrip(b"."))


def azure(found: bytes) -> int:
    """A key of Azure's: forty characters or more before what it is known by."""
    return key(found) if found.find(b"JQQJ9") >= 40 else 0


def value(found: bytes) -> int:
    """What a name announces: as :func:`key`, or long enough to be one without a digit."""
    few = len(set(found)) < min(8, len(found) - 4)
    if few or (not _LETTERS.search(found) and len(found) < 20):
        return 0
    if not _DIGITS.search(found) and (len(found) < 24 or not _mixed(found)):
        return 0
    return 0 if len(found) < 64 and _PLACEHOLDER.search(found) else len(found)


def _mixed(found: bytes) -> bool:
    """Whether upper and lower case alternate as chance has it, and not as in a name of many words."""
    changes = sum(found[n : n + 1].islower() != found[n + 1 : n + 2].islower() for n in range(len(found) - 1))
    return changes * 4 > len(found) and b"_" not in found and b"-" not in found


def password(found: bytes) -> int:
    """What is no plain word and no stand-in."""
    bare = found.rstrip(b".:!?")
    if bare.lower() in _WORDS or _PLACEHOLDER.search(bare) or bare.startswith((b"$", b"%(", b"[")):
        return 0
    return len(found) if _DIGITS.search(bare) or re.search(rb"[^A-Za-z0-9._\-/]", bare) else 0


def basic(found: bytes) -> int:
    """Base64 of a name and a password."""
    try:
        said = binascii.a2b_base64(found + b"=" * (-len(found) % 4))
    except binascii.Error:
        return 0
    return len(found) if b":" in said and said.isascii() else 0


def email(found: bytes) -> int:
    """``local@domain.tld``: no version of a package, no file name, no host that one logs in to by key."""
    local, _, domain = found.rpartition(b"@")
    domain = domain.rstrip(b"-")
    last = domain.rpartition(b".")[2]
    if not local.strip(b".-_%+") or local == b"git" or len(last) < 2 or last.lower() in _FILES or _DIGITS.search(last):
        return 0
    return len(local) + 1 + len(domain)


def international(found: bytes) -> int:
    """A plus, and as many digits as a number may have: eight to fifteen."""
    digits = len(_DIGITS.findall(found))
    return len(found) if 8 <= digits <= 15 else 0


def national(found: bytes) -> int:
    """A nought, and nine to twelve digits. Dates have eight."""
    return len(found) if 9 <= len(_DIGITS.findall(found)) <= 12 else 0


def card(found: bytes) -> int:
    """Thirteen to nineteen digits by Luhn's sum, of a range that is given out."""
    digits = [int(chr(one)) for one in found if chr(one).isdigit()]
    first = "".join(map(str, digits[:2]))
    if len(set(digits)) < 2 or not (first[0] in "456" or first in {"34", "36", "37", "38", "35", "30"} or "22" <= first <= "27"):
        return 0
    total = sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits)))
    return len(found) if total % 10 == 0 else 0


def address(found: bytes) -> int:
    """An address of IPv4 or IPv6 that is somebody's: not the machine's own, not "any"."""
    text = found.decode("ascii", "replace")
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return 0
    if parsed.is_loopback or parsed.is_unspecified or (parsed.version == 6 and (len(text) < 6 or not _DIGITS.search(found))):
        return 0
    return len(found)


def ssn(found: bytes) -> int:
    """A number that the Social Security Administration gives out."""
    area, group, serial = found.split(b"-")
    return 0 if area in {b"000", b"666"} or area >= b"900" or group == b"00" or serial == b"0000" else len(found)


def nino(found: bytes) -> int:
    """A prefix that is in use."""
    return 0 if found[:2] in {b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"} else len(found)


def iban(found: bytes) -> int:
    """As many letters and digits as its country has, and its check digits. What comes after them is not meant."""
    most, meant = _IBAN_LENGTH.get(found[:2].decode()), 0
    taken = bytearray()
    for place, one in enumerate(found, 1):
        if one != 32:
            taken.append(one)
        if len(taken) == most:
            meant = place
            break
    if not meant:
        return 0
    turned = "".join(str(int(chr(one), 36)) for one in taken[4:] + taken[:4])
    return meant if int(turned) % 97 == 1 else 0


def nir(found: bytes) -> int:
    """The French number, by its key."""
    digits = found.replace(b" ", b"").replace(b"2A", b"19").replace(b"2B", b"18")
    return len(found) if digits.isdigit() and 97 - int(digits[:13]) % 97 == int(digits[13:]) else 0


def dni(found: bytes) -> int:
    """The Spanish number, by its letter."""
    bare = found.replace(b"-", b"")
    number = int({b"X": b"0", b"Y": b"1", b"Z": b"2"}.get(bare[:1], bare[:1]) + bare[1:8])
    return len(found) if _DNI[number % 23] == bare[8] else 0
