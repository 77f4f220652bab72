"""What an exception says, without what no record may hold."""

import re

from llm_observe._runtime.guard import words

# Clients quote the address they failed at, query and all, and the header they could not send: an API key with a line break behind it.
_QUERY = re.compile(r"\?[^\s'\"<>)\]]+")
_USER = re.compile(r"//[^\s/@]*@")
_HEADER = re.compile(r"(header (?:value|part)).*", re.DOTALL | re.IGNORECASE)


def harmless(error: BaseException) -> str | None:
    """What *error* says: addresses without query and user, headers without their values. None where asking it fails."""
    said = words(error)
    if not said:
        return said
    if "?" in said:
        said = _QUERY.sub("", said)
    if "@" in said:
        said = _USER.sub("//", said)
    return _HEADER.sub(r"\1 left out", said) if "eader " in said else said
