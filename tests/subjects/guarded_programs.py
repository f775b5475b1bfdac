"""What children may do to their supervisor; each function is a program of `featx.guarded.Child`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import time
from dataclasses import dataclass

import numpy as np

from featx.guarded import Answer, Channel, Request


@dataclass(frozen=True, kw_only=True)
class Numbers:
    name: str
    size: int | None
    pair: tuple[int, float]
    arrays: dict


@dataclass(frozen=True, kw_only=True)
class Unexpected:
    value: int = 0


def raw(channel: Channel, data: bytes) -> None:
    os.write(channel._writing, data)


def echo(channel: Channel) -> None:
    while True:
        channel.send(Answer(values=channel.wait(Request).values))


def numbers(channel: Channel) -> None:
    arrays = {
        "matrix": np.arange(12, dtype="<i4").reshape(3, 4),
        "empty": np.zeros((0, 5), np.float32),
        "large": np.arange(3_000_000, dtype=np.float64),
        "flags": np.array([True, False]),
        "labels": np.array([(0.5, "C:maj"), (1.5, "ä")], [("time", "<f8"), ("chord", "<U5")]),
    }
    channel.send(Numbers(name="\udcff ä", size=None, pair=(1, 0.1), arrays=arrays))


def where(channel: Channel) -> None:
    import json
    import multiprocessing

    files = [json.__file__, multiprocessing.__file__, np.__file__]
    channel.send(Answer(values={"path": sys.path, "files": files}))


def group(channel: Channel) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    channel.send(Answer(values={"pids": [os.getpid(), child]}))
    channel.wait(Request)


def garbage(channel: Channel) -> None:
    raw(channel, b"hello, is there anybody out there?")
    time.sleep(1000)


def half(channel: Channel) -> None:
    raw(channel, struct.pack("<4sIQ", b"ftx1", 100, 0) + b'{"kind"')
    time.sleep(1000)


def huge_body(channel: Channel) -> None:
    raw(channel, struct.pack("<4sIQ", b"ftx1", 2, 2**40) + b"{}")
    time.sleep(1000)


def huge_head(channel: Channel) -> None:
    raw(channel, struct.pack("<4sIQ", b"ftx1", 2**32 - 1, 0) + b"{}")
    time.sleep(1000)


def unknown(channel: Channel) -> None:
    channel.send(Unexpected())
    time.sleep(1000)


def wrong_field(channel: Channel) -> None:
    channel.send(Answer(values=[1, 2]))  # type: ignore[arg-type]
    time.sleep(1000)


def one_array(channel: Channel, description: bytes) -> None:
    fields = b'{"name":"","size":0,"pair":[0,0.0]}'
    head = b'{"kind":"Numbers","fields":' + fields + b',"arrays":[' + description + b"]}"
    raw(channel, struct.pack("<4sIQ", b"ftx1", len(head), 8) + head + bytes(8))
    time.sleep(1000)


def lying_array(channel: Channel) -> None:
    head = (
        b'{"kind":"Numbers","fields":{"name":"","size":0,"pair":[0,0]},"arrays":[["x","<f8",[9]]]}'
    )
    raw(channel, struct.pack("<4sIQ", b"ftx1", len(head), 8) + head + bytes(8))
    time.sleep(1000)


def object_array(channel: Channel) -> None:
    head = (
        b'{"kind":"Numbers","fields":{"name":"","size":0,"pair":[0,0]},"arrays":[["x","|O",[1]]]}'
    )
    raw(channel, struct.pack("<4sIQ", b"ftx1", len(head), 8) + head + bytes(8))
    time.sleep(1000)


def flood(channel: Channel) -> None:
    for _ in range(300):
        sys.stderr.write("x" * 100_000 + "\n")
        sys.stdout.write("y" * 100_000 + "\n")
    channel.send(Answer(values={"done": True}))


def orphan(channel: Channel) -> None:
    """Leaves a process behind that holds every descriptor and has left the group."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
    os._exit(3)


def sleep(channel: Channel) -> None:
    time.sleep(1000)


def spin(channel: Channel) -> None:
    while True:
        pass


def hog(channel: Channel) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(2**20)) * 16)


def segfault(channel: Channel) -> None:
    ctypes.string_at(0)


def leave(channel: Channel) -> None:
    print("that is all")
    sys.stdout.flush()
    os._exit(5)


def fail(channel: Channel) -> None:
    raise RuntimeError("no such luck")


def deaf(channel: Channel) -> None:
    time.sleep(1000)


def work(channel: Channel) -> None:
    """Computes for a second of processor time, then answers."""
    channel.send(Answer(values={"ready": True}))
    until = time.process_time() + 1.0
    while time.process_time() < until:
        pass
    channel.send(Answer(values={"done": True}))


def decode_files(channel: Channel) -> None:
    """Decodes every file that it is sent, and answers ``ok`` or the failure code."""
    from featx.audio import decode
    from featx.errors import AudioError

    with contextlib.suppress(EOFError):
        while True:
            code = "ok"
            try:
                decode(channel.wait(Request).values["path"], rates=[None, 16000])
            except AudioError as error:
                code = error.code
            channel.send(Answer(values={"code": code}))
