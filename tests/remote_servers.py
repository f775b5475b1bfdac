"""Servers on loopback that fail now and then: files over HTTP, and S3 by moto behind a proxy."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import http.server
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Status, headers and body of an answer.
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(kw_only=True)
class FaultyServer:
    """Answers by ``answer(method, path, headers, body)``, except where it fails.

    ``errors``, ``resets`` and ``cuts`` are shares of requests that get status 500, a reset
    connection, and half of the body. ``statuses`` are answers to all requests whose path ends in
    the key. ``requests`` counts methods, ``paths`` has every (method, path).
    """

    answer: Callable[[str, str, Mapping[str, str], bytes], Answer]
    errors: float = 0.0
    resets: float = 0.0
    cuts: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    paths: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    stopped: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def fault(self, method: str, path: str) -> tuple[str, int]:
        """Return what goes wrong with this request: its kind and a status, or ``""`` and 0."""
        self.requests[method] += 1
        self.paths.append((method, path))
        for end, status in self.statuses.items():
            if path.partition("?")[0].endswith(end):
                return "status", status
        draw = self.rng.random()
        for kind in ("errors", "resets", "cuts"):
            draw -= getattr(self, kind)
            if draw < 0:
                self.faults[kind] += 1
                return kind, 500
        return "", 0

    @contextlib.contextmanager
    def running(self) -> Iterator[FaultyServer]:
        """Serve on a free port of loopback until the block ends."""
        server = _Server(("127.0.0.1", 0), _Handler)
        server.owner = self
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.stopped = True
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: FaultyServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that end early."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *arguments: object) -> None:  # type: ignore[override]
        """Say nothing."""

    def _serve(self) -> None:
        owner = self.server.owner
        if owner.stopped:  # connections that were kept open
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, status = owner.fault(self.command, self.path)
        if kind == "resets":
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)  # closed with RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            return
        headers: Mapping[str, str] = {}
        data = b""
        if kind != "status" and kind != "errors":
            status, headers, data = owner.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        length = headers.get("Content-Length", str(len(data)))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        if length:
            self.send_header("Content-Length", length)
        else:  # the end of the connection is the end of the body
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            if kind == "cuts":
                self.close_connection = True
                data = data[: len(data) // 2]
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve


def file_server(files: Mapping[str, bytes], *, lengths: bool = True, **faults: Any) -> FaultyServer:
    """Return a server of these files by path, with ETag and time; without lengths if not wanted."""
    began = email.utils.formatdate(time.time() - 3600, usegmt=True)

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        data = files.get(path.partition("?")[0])
        if data is None:
            return 404, {}, b""
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        known = {"ETag": f'"{tag}"', "Last-Modified": began}
        known["Content-Length"] = str(len(data)) if lengths else ""
        return 200, known, data

    return FaultyServer(answer=answer, **faults)


def proxy(host: str, port: int, **faults: Any) -> FaultyServer:
    """Return a server that passes requests on to another one."""
    local = threading.local()

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if not hasattr(local, "upstream"):
            local.upstream = http.client.HTTPConnection(host, port, timeout=30)
        passed = {name: value for name, value in headers.items() if name.lower() != "connection"}
        local.upstream.request(method, path, body=body or None, headers=passed)
        response = local.upstream.getresponse()
        data = response.read()
        return response.status, dict(response.getheaders()), data

    return FaultyServer(answer=answer, **faults)
