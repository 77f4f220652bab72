"""Media and opaque data, without the bytes.

A record tells that a picture was sent, how large it was and which (its hash), not the picture. What only the provider can
read (signatures, encrypted thoughts) is left out.
"""

import binascii
import hashlib
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from llm_observe.records import Blob, Uri
from llm_observe.wire.jsonio import Document

_STEP = 64 * 1024  # characters a turn, a multiple of 4: never hold the interpreter for a whole video
_URLSAFE = str.maketrans("-_", "+/")
_OPAQUE = frozenset(
    {"b64_json", "blob", "bytes", "data", "encrypted_content", "encrypted_index", "encrypted_stdout", "file_data", "obfuscation"}
    | {"signature", "thoughtSignature", "thought_signature"}
)
_SECRET = frozenset(  # members that hold keys, in provider's structures (wire.md, 9)
    {"authorization", "authorization_token", "headers", "domain_secrets", "api_key", "access_token", "client_secret"}
    | {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "vertex_credentials"}
)


def blob(modality: str, data: Any, mime_type: str | None = None, transcript: str | None = None) -> Blob:
    """Inline base64, measured and hashed. Broken base64 is measured only."""
    if type(data) is not str or not data:
        return Blob(modality=modality, mime_type=mime_type, transcript=transcript)
    size, sha256 = _measured(data)
    return Blob(modality=modality, mime_type=mime_type, size=size, sha256=sha256, transcript=transcript)


def linked(modality: str, url: str, mime_type: str | None = None) -> Blob | Uri:
    """Media at an address. A data URL is the media itself."""
    if url[:5].lower() != "data:":
        return Uri(modality=modality, uri=without_query(url), mime_type=mime_type)
    head, _, data = url[5:].partition(",")
    named, *options = head.split(";")
    mime_type = named.lower() or mime_type
    modality = modality_of(mime_type) if mime_type else modality
    if any(option.strip().lower() == "base64" for option in options):
        return blob(modality, data, mime_type)
    raw = unquote_to_bytes(data)
    return Blob(modality=modality, mime_type=mime_type, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def modality_of(mime_type: str) -> str:
    """``image``, ``audio``, ``video``, or else ``document``."""
    kind = mime_type.partition("/")[0]
    return kind if kind in {"image", "audio", "video"} else "document"


def without_query(url: str) -> str:
    """The address without what may be a secret: query, fragment, user and password."""
    url = url.partition("#")[0].partition("?")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def scrubbed(value: Any) -> Any:
    """A provider's structure without its opaque members and data URLs. For parts we have no type for; never for tool arguments."""
    if type(value) is dict:
        return {
            key: scrubbed(member) for key, member in value.items() if key not in _SECRET and not (key in _OPAQUE and type(member) is str)
        }
    if type(value) is list:
        return [scrubbed(member) for member in value]
    if type(value) is str and value[:5].lower() == "data:":
        return value.partition(",")[0]
    return value


def without_type(block: Document) -> Document | None:
    """The members of a block beside its type, scrubbed."""
    members: Document = scrubbed({key: member for key, member in block.items() if key != "type"})
    return members or None


def _measured(data: str) -> tuple[int, str | None]:
    guess = len(data) * 3 // 4 - data[-2:].count("=")
    digest, size = hashlib.sha256(), 0
    if "-" in data or "_" in data:
        data = data.translate(_URLSAFE)
    if "\n" in data or "\r" in data or " " in data:
        data = "".join(data.split())
    try:
        for start in range(0, len(data), _STEP):
            piece = data[start : start + _STEP]
            raw = binascii.a2b_base64(piece + "=" * (-len(piece) % 4), strict_mode=True)
            digest.update(raw)
            size += len(raw)
    except (binascii.Error, ValueError):
        return guess, None
    return size, digest.hexdigest()
