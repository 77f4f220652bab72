"""What a message of the OpenAI kind holds: a string, or parts, of Chat Completions and of Responses alike.

The two have their own names for the same things, and servers that speak both mix them: one table reads all.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from llm_observe.records import AnyPart, File, Generic, Reasoning, Refusal, Text
from llm_observe.wire.jsonio import Document, items, mapping, text
from llm_observe.wire.media import blob, linked, scrubbed, without_type

_LINKS = {"image_url": "image", "video_url": "video", "audio_url": "audio", "document_url": "document"}


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """A message's content: a string, a list of parts, or (some vendors' structured answers) an object."""
    if type(content) is str:
        return (Text(content=content),) if content else ()
    if type(content) is dict:
        return (Text(content=msgspec.json.encode(content).decode()),) if "type" not in content else part_of(content)
    parts: list[AnyPart] = []
    for item in items(content):
        if type(item) is dict:
            parts += part_of(item)
        elif type(item) is str and item:
            parts.append(Text(content=item))
    return tuple(parts)


def plain_of(content: Any) -> Any:
    """What a tool said: the string; a single text part's string; else the parts as plain data."""
    if type(content) is str:
        is_media = content[:5].lower() == "data:" and ";base64," in content[:100]
        return msgspec.to_builtins(linked("document", content)) if is_media else content
    if type(content) is not list:
        return scrubbed(content) if content is not None else ""
    parts = content_parts(content)
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].content
    return msgspec.to_builtins(list(parts))


def part_of(part: Document) -> tuple[AnyPart, ...]:
    """One part; none where it says nothing (an empty text, a thought that is not shown)."""
    kind = text(part.get("type")) or ("text" if "text" in part else "")
    reader = _READERS.get(kind)
    return reader(kind, part) if reader else (Generic(generic_type=kind, content=without_type(part)),)


def cited(parts: tuple[AnyPart, ...], citations: tuple[object, ...]) -> tuple[AnyPart, ...]:
    """The parts, the last text of them with these citations too; what nothing is said with is not cited."""
    if not citations:
        return parts
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if isinstance(part, Text):
            return (*parts[:place], msgspec.structs.replace(part, citations=(*part.citations, *citations)), *parts[place + 1 :])
    return parts


def _text(_: str, part: Document) -> tuple[AnyPart, ...]:
    content = text(part.get("text"))
    if content is None:
        return ()
    annotations = part.get("annotations")
    return (Text(content=content, citations=tuple(scrubbed(items(annotations))) if annotations else ()),)


def _link(kind: str, part: Document) -> tuple[AnyPart, ...]:
    link = part.get(kind)
    url = text(link) or text(mapping(link).get("url"))
    return (linked(_LINKS[kind], url),) if url else (Generic(generic_type=kind),)


def _image(kind: str, part: Document) -> tuple[AnyPart, ...]:
    if file_id := text(part.get("file_id")):
        return (File(modality="image", file_id=file_id),)
    link = part.get("image_url")
    url = text(link) or text(mapping(link).get("url"))
    return (linked("image", url),) if url else (Generic(generic_type=kind),)


def _audio(kind: str, part: Document) -> tuple[AnyPart, ...]:
    audio = part.get(kind)
    form = text(mapping(audio).get("format"))
    return (blob("audio", mapping(audio).get("data") or audio, f"audio/{form}" if form else None),)


def _spoken(_: str, part: Document) -> tuple[AnyPart, ...]:
    return (blob("audio", part.get("data"), transcript=text(part.get("transcript"))),)


def _file(kind: str, part: Document) -> tuple[AnyPart, ...]:
    file = mapping(part.get("file")) or part
    if file_id := text(file.get("file_id")):
        return (File(modality="document", file_id=file_id),)
    if url := text(file.get("file_url")):
        return (linked("document", url),)
    data = text(file.get("file_data"))
    if data is None:
        return (Generic(generic_type=kind),)
    is_link = data[:5].lower() == "data:" or data.startswith(("http://", "https://"))
    return (linked("document", data) if is_link else blob("document", data),)


def _reasoning(kind: str, part: Document) -> tuple[AnyPart, ...]:
    thought = _thought(part.get(kind)) or _thought(part.get("summary")) or _thought(part.get("text"))
    return (Reasoning(content=thought),) if thought else ()


def _thought(value: Any) -> str:
    """A string, or a list of text parts."""
    return value if type(value) is str else "".join(text(mapping(item).get("text")) or "" for item in items(value))


def _refusal(_: str, part: Document) -> tuple[AnyPart, ...]:
    refusal = text(part.get("refusal"))
    return (Refusal(content=refusal),) if refusal else ()


_READERS: dict[str, Callable[[str, Document], tuple[AnyPart, ...]]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), _text),
    **dict.fromkeys(_LINKS, _link),
    **dict.fromkeys(("input_image", "computer_screenshot"), _image),
    "input_audio": _audio,
    "output_audio": _spoken,
    **dict.fromkeys(("file", "input_file"), _file),
    **dict.fromkeys(("thinking", "reasoning", "reasoning_text", "summary_text"), _reasoning),
    "refusal": _refusal,
}
