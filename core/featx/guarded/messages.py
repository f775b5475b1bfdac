"""What supervisor and child say to each other: frozen dataclasses as JSON, arrays as raw bytes.

A message is its head (JSON: the name of its class and its fields) and its body (the bytes of the
arrays in its field ``arrays``). Nothing is ever unpickled; a length, name or type that does not fit
raises `MessageError`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import select
import struct
import sys
import threading
import time
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

#: Bytes of one head, and of one body unless the channel says otherwise.
HEAD_BYTES = 16 * 2**20
BODY_BYTES = 64 * 2**20

_PREFIX = struct.Struct("<4sIQ")  # mark, bytes of the head, bytes of the body
_MARK = b"ftx1"
_JSON = json.JSONEncoder(separators=(",", ":"))
_ALIGNMENT = 16
_SMALL_BLOCK = 2**16
_PIPE_BYTES = 2**20
_F_SETPIPE_SZ = 1031


class MessageError(ValueError):
    """Bytes that are no message, or a message of an unknown kind or with wrong fields."""


class Message(Protocol):
    """A frozen dataclass of plain values; one field ``arrays`` may map names to numpy arrays.

    Plain are None, bool, int, float, text, tuples and mappings of these, dataclasses, and classes
    with ``to_json`` and ``from_json``.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Plain JSON for a child that answers with plain JSON."""

    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Plain JSON from a child; the ``last`` one ends its work on a request."""

    values: Mapping[str, Any]
    last: bool = True


def encode(message: Message) -> list[bytes | memoryview]:
    """Return the pieces of ``message`` in the order in which they are written."""
    fields = {item.name: getattr(message, item.name) for item in dataclasses.fields(message)}
    described: list[Any] = []
    pieces: list[bytes | memoryview] = []
    size = 0
    for name, values in fields.pop("arrays", {}).items():
        described.append([name, _dtype_to_json(values.dtype), list(values.shape)])
        if values.nbytes:
            padding = -size % _ALIGNMENT
            pieces += [bytes(padding), values.reshape(-1).view("u1").data]
            size += padding + values.nbytes
    head = _JSON.encode(
        {"kind": type(message).__name__, "fields": _plain(fields), "arrays": described}
    ).encode()
    if len(head) > HEAD_BYTES:
        raise MessageError(f"a message must have {HEAD_BYTES} bytes at most, got {len(head)}.")
    return [_PREFIX.pack(_MARK, len(head), size) + head, *pieces]


def _dtype_to_json(dtype: Any) -> Any:
    if dtype.hasobject:
        raise MessageError(f"an array must hold numbers or text, got {dtype}.")
    return dtype.str if dtype.names is None else [[name, dtype[name].str] for name in dtype.names]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    raise MessageError(f"a message must hold plain values, got {type(value).__name__}.")


def decode(head: bytearray, body: bytearray, kinds: Mapping[str, type[Any]]) -> Any:
    """Return the message of ``head`` and ``body``; ``kinds`` are the classes that are expected.

    Raises
    ------
    MessageError
        If it is anything else. The arrays of the message share the memory of ``body``.
    """
    try:
        plain = json.loads(head)
        kind, fields, described = plain["kind"], plain["fields"], plain["arrays"]
        cls = kinds[kind]
        values = _values(cls, fields)
        if described:
            values["arrays"] = _arrays(described, body)
        return cls(**values)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise MessageError(f"{type(error).__name__}: {str(error)[:200]}") from error


def _values(cls: Any, plain: Mapping[str, Any]) -> dict[str, Any]:
    readers = _readers(cls)
    return {name: readers[name](value) for name, value in plain.items()}


def _arrays(described: Sequence[Any], body: bytearray) -> dict[str, Any]:
    import numpy as np

    arrays = {}
    start = 0
    for name, plain, shape in described:
        dtype = np.dtype(plain if isinstance(plain, str) else [(a, b) for a, b in plain])
        count = math.prod(shape)
        if dtype.hasobject or any(type(extent) is not int or extent < 0 for extent in shape):
            raise MessageError("an array must have a plain dtype and a shape.")
        if count * dtype.itemsize:
            start += -start % _ALIGNMENT
        arrays[str(name)] = np.frombuffer(body, dtype, count, start).reshape(shape)
        start += count * dtype.itemsize
    if start != len(body):
        raise MessageError(f"the arrays must fill {len(body)} bytes, got {start}.")
    return arrays


@functools.cache
def _readers(cls: Any) -> dict[str, Callable[[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return {item.name: _reader(hints[item.name]) for item in dataclasses.fields(cls)}


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what turns plain JSON into a value of type ``hint``, or raises `MessageError`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda plain: plain
    if origin in (typing.Union, types.UnionType):
        return _union([_reader(argument) for argument in arguments])
    if origin is tuple and (len(arguments) < 2 or arguments[1] is not Ellipsis):
        parts = [_reader(argument) for argument in arguments]
        return lambda plain: tuple(
            part(item) for part, item in zip(parts, _checked(plain, list), strict=True)
        )
    if origin in (tuple, list):
        item_reader = _reader(arguments[0])
        return lambda plain: origin(map(item_reader, _checked(plain, list)))
    if origin is not None and issubclass(origin, Mapping):
        of_value = _reader(arguments[1])
        return lambda plain: {
            name: of_value(value) for name, value in _checked(plain, dict).items()
        }
    if hasattr(hint, "from_json"):
        return lambda plain: hint.from_json(_checked(plain, dict))
    if dataclasses.is_dataclass(hint):
        build: Callable[..., Any] = hint  # type: ignore[assignment]
        return lambda plain: build(**_values(hint, _checked(plain, dict)))
    return lambda plain: _checked(plain, hint)


def _union(readers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def read(plain: Any) -> Any:
        for reader in readers:
            try:
                return reader(plain)
            except MessageError:
                continue
        raise MessageError(f"no type fits {type(plain).__name__}.")

    return read


def _checked(plain: Any, kind: type) -> Any:
    allowed = (int, float) if kind is float else (kind,)
    if type(plain) not in allowed:
        raise MessageError(f"expected {kind.__name__}, got {type(plain).__name__}.")
    return plain


class Channel:
    """Messages over two pipes; a message may arrive in any number of pieces.

    The channel closes its descriptors. A body of more than ``body_bytes`` is refused.
    """

    def __init__(self, reading: int, writing: int, *, body_bytes: int = BODY_BYTES) -> None:
        self._reading, self._writing = reading, writing
        self._body_bytes = body_bytes
        self._lock = threading.Lock()
        self._buffer = bytearray()  # arrived, and not yet part of a body
        self._head: bytearray | None = None  # of the message whose body is arriving
        self._body = bytearray()
        self._missing = 0  # bytes of that body
        if sys.platform == "linux":
            _enlarge(writing)

    @property
    def inside_message(self) -> bool:
        """Whether a message has begun to arrive."""
        return bool(self._buffer) or self._head is not None

    def wait(self, kind: type[M], *, seconds: float = math.inf) -> M:
        """Return the next message, which is of this kind.

        Raises
        ------
        MessageError
            If the other side writes anything else.
        EOFError
            If it hung up, or wrote nothing for ``seconds``.
        """
        message = self.receive([kind], seconds=seconds)
        if message is None:
            raise EOFError
        return message

    def receive(self, kinds: Sequence[type[M]], *, seconds: float) -> M | None:
        """Return the next message, or None if none is complete within ``seconds``.

        Raises
        ------
        MessageError
            If the other side writes anything but one of ``kinds``.
        EOFError
            If it hung up.
        """
        deadline = time.monotonic() + seconds
        while not self._complete():
            if not readable(self._reading, max(0.0, deadline - time.monotonic())):
                return None
            block = os.read(self._reading, _PIPE_BYTES if self._missing else _SMALL_BLOCK)
            if not block:
                raise EOFError
            self._buffer += block
        head, body = self._head, self._body
        self._head, self._body = None, bytearray()
        return decode(head, body, _by_name(tuple(kinds)))  # type: ignore[arg-type, no-any-return]

    def _complete(self) -> bool:
        """Sort what has arrived into head and body; return whether both are complete.

        Memory grows with what arrives, not with what is announced.
        """
        if self._head is None:
            if len(self._buffer) < _PREFIX.size:
                return False
            mark, head_bytes, body_bytes = _PREFIX.unpack_from(self._buffer)
            if mark != _MARK:
                raise MessageError("it does not begin like a message.")
            if not 0 < head_bytes <= HEAD_BYTES or body_bytes > self._body_bytes:
                raise MessageError(f"it announces {head_bytes + body_bytes} bytes.")
            end = _PREFIX.size + head_bytes
            if len(self._buffer) < end:
                return False
            self._head, self._missing = self._buffer[_PREFIX.size : end], body_bytes
            del self._buffer[:end]
        if self._missing and self._buffer:
            piece = self._buffer[: self._missing]
            self._body += piece
            self._missing -= len(piece)
            del self._buffer[: len(piece)]
        return not self._missing

    def send(self, message: Message, *, wait: Callable[[], None] | None = None) -> None:
        """Write ``message``; ``wait`` is called while a full pipe that does not block is full.

        Raises
        ------
        BrokenPipeError
            If nobody reads any more.
        """
        with self._lock:
            for piece in encode(message):
                view = memoryview(piece)
                while view:
                    try:
                        view = view[os.write(self._writing, view) :]
                    except BlockingIOError:
                        if wait is not None:
                            wait()

    def hang_up(self) -> None:
        """Say that nothing more will come; what the other side still writes can be read."""
        writing, self._writing = self._writing, -1
        if writing >= 0:
            os.close(writing)

    def close(self) -> None:
        """Hang up and stop listening."""
        self.hang_up()
        reading, self._reading = self._reading, -1
        if reading >= 0:
            os.close(reading)


@functools.cache
def _by_name(kinds: tuple[type[Any], ...]) -> Mapping[str, type[Any]]:
    return {cls.__name__: cls for cls in kinds}


def readable(descriptor: int, seconds: float) -> bool:
    """Return whether a read would not block; waits for ``seconds`` at most."""
    if sys.platform == "win32":
        return _readable_on_windows(descriptor, seconds)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds == math.inf else seconds * 1000))


def _readable_on_windows(descriptor: int, seconds: float) -> bool:
    import _winapi
    import msvcrt

    handle = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined]
    deadline = time.monotonic() + seconds
    while True:
        try:
            available = _winapi.PeekNamedPipe(handle, 0)[0]  # type: ignore[attr-defined]
        except BrokenPipeError:
            return True
        if available or time.monotonic() >= deadline:
            return bool(available)
        time.sleep(0.005)


def _enlarge(descriptor: int) -> None:
    """Let a pipe hold a megabyte, where the system allows it: fewer turns for large arrays."""
    import contextlib
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
