"""The response of urllib3, on which requests and botocore are built, watched: whatever way it is read in passes here.

``iter_content`` and ``content`` of requests, ``EventStream`` and ``StreamingBody`` of botocore all read the raw response, and so do
applications: ``shutil.copyfileobj(response.raw, file)``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self

from llm_observe.capture._watched import Watched

_WATCHED = {
    "read": "_read",
    "read1": "_read1",
    "readinto": "_readinto",
    "readline": "_line",
    "readlines": "_lines",
    "stream": "_stream",
    "read_chunked": "_stream",
    "json": "_json",
    "close": "_close",
    "release_conn": "_close",
    "drain_conn": "_close",
}
"""What is looked up on a raw response, and the method of ours through which it is called."""


class Raw(Watched):
    """A raw response, watched. What adapters of other make lack is lacking here too."""

    OWN = frozenset({*_WATCHED, "data"})

    def __getattr__(self, attribute: str) -> Any:
        value = super().__getattr__(attribute)
        if attribute == "data":
            return self._whole(value)
        through = _WATCHED.get(attribute)
        return value if through is None else partial(getattr(self, through), value)

    def __iter__(self) -> Iterator[bytes]:
        return self._iterate(self._inner.__iter__, decoded=True)

    def __next__(self) -> bytes:
        return self._line(self._inner.__next__)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._close(self._inner.__exit__, kind, error, traceback)

    def _read(self, read: Callable[..., bytes], *args: Any, **options: Any) -> bytes:
        """Read some, or all."""
        data: bytes = self._call(read, *args, **options)
        amount = args[0] if args else options.get("amt")
        decode = args[1] if len(args) > 1 else options.get("decode_content")
        self._got(data, decoded=decode, last=amount is None or amount < 0 or (amount > 0 and self._is_spent(data)))
        return data

    def _read1(self, read: Callable[..., bytes], *args: Any, **options: Any) -> bytes:
        """Read what is there."""
        data: bytes = self._call(read, *args, **options)
        amount = args[0] if args else options.get("amt")
        self._got(data, decoded=args[1] if len(args) > 1 else options.get("decode_content"), last=amount != 0 and self._is_spent(data))
        return data

    def _readinto(self, read: Callable[..., int], buffer: Any) -> int:
        """Read into *buffer*, which is the application's: here alone a piece is copied."""
        count: int = self._call(read, buffer)
        data = bytes(memoryview(buffer).cast("B")[:count])
        self._got(data, last=len(buffer) > 0 and self._is_spent(data))
        return count

    def _line(self, read: Callable[..., bytes], *args: Any) -> bytes:
        """Read a line."""
        try:
            data: bytes = self._call(read, *args)
        except StopIteration:
            self._tap.end("eof")
            raise
        self._got(data, last=0 not in args and self._is_spent(data))
        return data

    def _lines(self, read: Callable[..., list[bytes]], *args: Any) -> list[bytes]:
        """Read the lines that there are."""
        lines: list[bytes] = self._call(read, *args)
        self._got(b"".join(lines), last=not args)
        return lines

    def _whole(self, data: Any) -> Any:
        """``data``, which is read once and then kept there."""
        if "data" not in self.__dict__ and isinstance(data, bytes):
            self.__dict__["data"] = data
            self._got(data, last=True)
        return data

    def _json(self, json: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Read ``data``, and load it."""
        _ = self.data
        return json(*args, **options)

    def _iterate(self, pieces: Callable[..., Iterator[bytes]], *args: Any, decoded: bool | None = None, **options: Any) -> Iterator[bytes]:
        """Iterate over pieces. To leave that is the end where urllib3 closes the connection then, else the rest may be read in another way."""
        inner: Any = pieces(*args, **options)
        tap, first = self._tap, True
        try:
            for data in inner:
                if first:
                    self._begun(decoded)
                    first = False
                try:
                    tap.chunk(data)
                except Exception as error:
                    tap.failed(error)
                yield data
        except GeneratorExit:
            if hasattr(inner, "close"):
                inner.close()
            if getattr(self._inner, "closed", False):
                tap.end("closed")
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        tap.end("eof")

    def _stream(self, pieces: Callable[..., Iterator[bytes]], *args: Any, **options: Any) -> Iterator[bytes]:
        decode = args[1] if len(args) > 1 else options.get("decode_content")
        return self._iterate(pieces, *args, decoded=decode, **options)

    def _close(self, close: Callable[..., Any], *args: Any) -> Any:
        """Close it, or give its connection back: what came until now is what there is."""
        try:
            return close(*args)
        finally:
            self._tap.end("closed")

    def _call(self, read: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return read(*args, **options)
        except StopIteration:
            raise
        except BaseException as error:  # urllib3 has closed the connection
            self._tap.fail(error)
            raise

    def _is_spent(self, data: bytes) -> bool:
        """Whether an empty read says that nothing is left. urllib3 1 may give nothing because it has not unpacked enough yet."""
        return not data and (getattr(self._inner, "closed", True) or not hasattr(self._inner, "stream"))

    def _got(self, data: bytes, *, decoded: bool | None = None, last: bool = False) -> None:
        """A piece has been read; *decoded*: whether its reader wanted it unpacked, where that was said."""
        tap = self._tap
        if data:
            self._begun(decoded)
            try:
                tap.chunk(data)
            except Exception as error:
                tap.failed(error)
        if last:
            tap.end("eof")

    def _begun(self, decoded: bool | None) -> None:
        """The first piece has been read, and urllib3 has looked whether it can unpack it."""
        exchange = self._tap.exchange
        if not exchange.chunks:
            wanted = getattr(self._inner, "decode_content", False) if decoded is None else decoded
            exchange.content_decoded = bool(wanted) and getattr(self._inner, "_decoder", self) is not None
