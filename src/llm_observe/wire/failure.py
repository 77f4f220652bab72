"""What went wrong with an exchange, in whose words; without the keys that such words quote."""

import re

import msgspec

from llm_observe.records import Error, Exchange
from llm_observe.wire.answer import UNKNOWN_ERROR, Answer
from llm_observe.wire.body import Body
from llm_observe.wire.jsonio import MALFORMED, encodable, mapping, text

_PERMANENT = frozenset(  # wire.md, 6 and 8
    {"insufficient_quota", "credit_balance_exhausted", "billing_error", "billing_not_active", "billing_hard_limit_reached"}
    | {"spend_limit_reached", "enforced_spend_limit_reached", "contract_spend_limit_reached", "insufficient_credits"}
)

MOST = 16_384  # characters of an error's words
HIDDEN = "[key]"

_KEY = re.compile(  # by their makers' own beginnings; also where the provider has put stars into the middle
    r"\b(?:sk-|pk-|rk-|sess-|gsk_|xai-|pplx-|hf_|r8_|nvapi-|AIza|AKIA|ASIA|ya29\.|eyJ)[\w*.\-]{6,300}|(?<=Bearer )[\w*.\-+/=]{8,2000}"
)
_IN_QUERY = re.compile(r"([?&](?:key|api[_-]?key|access_token|token|sig|signature|x-amz-[a-z-]+)=)[^&\s'\")>]{1,4000}", re.IGNORECASE)
_USERINFO = re.compile(r"(https?://)[^/\s@]{1,300}@")


def failure(exchange: Exchange, body: Body, answer: Answer) -> Error | None:
    """The provider's word for what went wrong; else the HTTP status; else the client's exception. None where nothing did."""
    status = exchange.status_code
    if answer.error is None and exchange.error_type is None and exchange.end != "error" and (status is None or status < 400):
        return None
    error = _said(exchange, body, answer)
    return msgspec.structs.replace(
        error, message=without_keys(error.message), permanent=True if error.permanent or _is_permanent(error, status) else None
    )


def without_keys(message: str | None) -> str | None:
    """An error's words without keys: providers quote the key that they refuse, and clients the address that they did not reach."""
    if message is None:
        return None
    message = message[:MOST]
    return _KEY.sub(f"{HIDDEN}", _IN_QUERY.sub(rf"\1{HIDDEN}", _USERINFO.sub(rf"\1{HIDDEN}@", message)))


def _is_permanent(error: Error, status: int | None) -> bool:
    """Whether the account is at its end, where the status alone says that it may be tried again."""
    if status != 429 and status != 402 and (status or 0) < 500:  # noqa: PLR1714
        return False
    return error.type in _PERMANENT or error.code in _PERMANENT


def _said(exchange: Exchange, body: Body, answer: Answer) -> Error:
    status = exchange.status_code
    if status is not None and status >= 400:
        said = answer.error or Error(type=UNKNOWN_ERROR)
        kind = str(status) if said.type == UNKNOWN_ERROR else said.type
        return msgspec.structs.replace(
            said, type=kind, message=said.message or (_plain_message(body) if body.document is MALFORMED or answer.error is None else None)
        )
    if answer.error is not None:
        return answer.error
    if exchange.error_type is not None:
        timeout = "timeout" in exchange.error_type.lower()
        return Error(type="timeout" if timeout else exchange.error_type, message=encodable(exchange.error_message))
    return Error(type=UNKNOWN_ERROR)


def _plain_message(body: Body) -> str | None:
    """What an answer without an error object says: ``{"message": ...}``, or a line of plain text. Not a page of HTML."""
    document = mapping(body.document)
    said = body.text.decode("utf-8", "replace").strip()
    return text(document.get("message")) or text(document.get("detail")) or (said if said and not said.startswith("<") else None)
