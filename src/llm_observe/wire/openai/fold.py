"""One choice of a Chat Completions stream, folded."""

from typing import Any

from llm_observe.records import AnyPart, Reasoning, Refusal, Text, ToolCall
from llm_observe.wire.jsonio import Document, integer, items, load_argument, mapping, text
from llm_observe.wire.openai.content import cited, content_parts
from llm_observe.wire.openai.parts import audio_of, citations_of, executed_of, images_of, output_parts, reasoning_of


class _Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "custom", "id", "name", "whole")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []
        self.whole: Any = None  # arguments that came as an object
        self.custom = False

    def add(self, fragment: Document) -> None:
        self.id = self.id or text(fragment.get("id"))
        if "custom" in fragment:
            self.custom = True
        function = mapping(fragment.get("function")) or mapping(fragment.get("custom"))
        self.name = self.name or text(function.get("name"))  # some vendors repeat it in every fragment
        arguments = function.get("arguments", function.get("input"))
        if type(arguments) is str:
            self.arguments.append(arguments)
        elif arguments is not None:
            self.whole = arguments

    def part(self) -> ToolCall:
        arguments = self.whole
        if arguments is None and self.arguments:
            raw = "".join(self.arguments)
            arguments = raw if self.custom else load_argument(raw)
        return ToolCall(id=self.id, name=self.name or "", arguments=arguments)


_USUAL = frozenset({"role", "content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "token_id"})


class Folded:
    """Everything the deltas of one choice say."""

    __slots__ = (
        *("audio", "by_id", "by_index", "calls", "citations", "executed", "legacy", "others", "reason"),
        *("reasoning", "refusal", "role", "text", "whole"),
    )

    def __init__(self) -> None:
        self.role = "assistant"
        self.reason: str | None = None
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.audio: list[Document] = []
        self.others: list[AnyPart] = []
        self.citations: list[object] = []
        self.executed: dict[int, Document] = {}
        self.calls: list[_Call] = []
        self.by_index: dict[int, _Call] = {}
        self.by_id: dict[str, _Call] = {}
        self.legacy: _Call | None = None
        self.whole: tuple[AnyPart, ...] = ()

    def add(self, choice: Document) -> bool:
        """One more chunk's word about this choice. Whether it has something of the answer in it."""
        self.reason = text(choice.get("finish_reason")) or self.reason
        delta = choice.get("delta")
        if type(delta) is not dict:
            return self._add_whole(choice)
        if not delta:
            return False  # the last one, as a rule
        content = delta.get("content")
        if type(content) is str:
            self.text.append(content)
        elif content:
            self._add_parts(content_parts(content))
        if len(delta) == 1 and content is not None:
            return bool(content)  # by far the most frequent delta
        if role := text(delta.get("role")):
            self.role = role
        if thought := reasoning_of(delta):
            self.reasoning.append(thought)
        if refusal := text(delta.get("refusal")):
            self.refusal.append(refusal)
        for fragment in items(delta.get("tool_calls")):
            if type(fragment) is dict:
                self._call(fragment).add(fragment)
        if function := mapping(delta.get("function_call")):
            self.legacy = self.legacy or _Call()
            self.legacy.add({"function": function})
        rare = not _USUAL.issuperset(delta) and self._add_rare(delta)
        return bool(content or thought or refusal or delta.get("tool_calls") or function or rare)

    def parts(self, sources: tuple[object, ...] = ()) -> tuple[AnyPart, ...]:
        """The message: thoughts, text, refusal, media, tools that the provider ran, calls. *sources* are what the answer stands on."""
        parts: list[AnyPart] = []
        if self.reasoning:
            parts.append(Reasoning(content="".join(self.reasoning)))
        if content := "".join(self.text):
            parts.append(Text(content=content, citations=(*self.citations, *sources)))
        if self.refusal:
            parts.append(Refusal(content="".join(self.refusal)))
        parts += self.others
        if self.audio:
            parts += audio_of(self._spoken())
        parts += executed_of(list(self.executed.values()))
        parts += [call.part() for call in self.calls]
        if self.legacy:
            parts.append(self.legacy.part())
        return tuple(parts) or cited(self.whole, sources)

    def _add_whole(self, choice: Document) -> bool:
        """A choice without a delta: of the legacy kind a piece of text, else a plain answer in a stream's clothes."""
        if type(piece := choice.get("text")) is str:
            self.text.append(piece)
            return bool(piece)
        if type(choice.get("message")) is dict:
            self.whole = output_parts(choice["message"])
        return bool(self.whole)

    def _add_rare(self, delta: Document) -> bool:
        """Speech, pictures, citations, tools that the provider ran."""
        audio, images, executed = mapping(delta.get("audio")), images_of(delta), items(delta.get("executed_tools"))
        if audio:
            self.audio.append(audio)
        self.others += images
        self.citations += citations_of(delta)
        for position, tool in enumerate(executed):
            index = integer(mapping(tool).get("index"))
            known = self.executed.setdefault(position if index is None else index, {})
            known.update((member, value) for member, value in mapping(tool).items() if value)
        return bool(audio or images or executed)

    def _call(self, fragment: Document) -> _Call:
        """The call a fragment belongs to: by its index, else by its id, else the last one.

        A new id is a new call whatever the index says, and a name where there is neither index nor id begins one.
        """
        index, call_id = integer(fragment.get("index")), text(fragment.get("id"))
        if index is not None:
            call = self.by_index.get(index)
        elif call_id:
            call = self.by_id.get(call_id)
        else:
            begins = text(mapping(fragment.get("function")).get("name"))
            call = None if begins or not self.calls else self.calls[-1]
        if call is not None and call_id and call.id and call.id != call_id:
            call = self.by_id.get(call_id)
        if call is None:
            call = _Call()
            self.calls.append(call)
        if index is not None:
            self.by_index[index] = call
        if call_id:
            self.by_id[call_id] = call
        return call

    def _add_parts(self, parts: tuple[AnyPart, ...]) -> None:
        for part in parts:
            if isinstance(part, Text):
                self.text.append(part.content)
            elif isinstance(part, Reasoning):
                self.reasoning.append(part.content)
            else:
                self.others.append(part)

    def _spoken(self) -> Document:
        """The pieces of speech as a plain answer has them."""
        whole = {member: "".join(text(piece.get(member)) or "" for piece in self.audio) for member in ("data", "transcript")}
        return {"id": next((piece["id"] for piece in self.audio if piece.get("id")), None), **whole}
