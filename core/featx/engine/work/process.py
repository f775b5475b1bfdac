"""The child process seen from outside: started, listened to, watched, ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from featx import errors
from featx.engine.tasks import RunSettings
from featx.errors import FeatxError, PluginError
from featx.guarded.limits import thread_settings

__all__ = ["ChildDiedError", "ChildProcess"]

_TICK = 0.1
_TAIL = 8192
_GRACE = 2.0
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\S+)', re.MULTILINE)

#: Whether a process can be seen to be dead without being reaped (not on macOS before Python 3.13).
_CAN_LOOK = hasattr(os, "waitid")

_MAIN = (
    "import sys; sys.path[:] = {path!r}; "
    "from featx.engine.work.child import main; main({fd}, {pid})"
)


class ChildDiedError(Exception):
    """The child is gone: ``cause`` is crash, timeout or memory, the message says how."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


class ChildProcess:
    """One fresh interpreter that runs `featx.engine.work.child.main`.

    It shares nothing with this process but a socket and a pipe for what it writes to stdout and
    stderr, does not import the caller's main module, and leads a process group of its own: whatever
    a plugin starts ends with it, and Ctrl-C on the terminal does not reach it.

    Parameters
    ----------
    setup : RunSettings
        Sent to the child, which opens the extractors.

    Raises
    ------
    FeatxError
        If an extractor cannot be opened.
    ChildDiedError
        If the child dies meanwhile.
    """

    def __init__(self, setup: RunSettings) -> None:
        message = pickle.dumps(setup)
        self._setup = setup
        self.tracks_done = 0
        self._tail = b""
        self._start()
        try:
            self._connection.send_bytes(message)
            self._open()
        except BrokenPipeError as error:
            raise self._died() from error
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: tuple[Any, ...]) -> None:
        """Send work to an idle child; a dead one is noticed by `receive`."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(message)

    def receive(self, *, seconds: float) -> tuple[Any, ...]:
        """Return the next message.

        Raises
        ------
        ChildDiedError
            If the child dies, says nothing for ``seconds``, or takes more memory than it may. It
            is dead in every case.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                there = self._connection.poll(_TICK)
                self._watch_memory()
                if there:
                    return self._read()
            except (EOFError, OSError) as error:
                raise self._died() from error
            if self._ended():
                raise self._died()
            if time.monotonic() > deadline:
                self.kill()
                raise ChildDiedError("timeout", f"no answer within {seconds:g} s")

    def hang_up(self) -> None:
        """Let an idle child close its extractors and end."""
        self._connection.close()

    def strike(self) -> None:
        """Kill the child from another thread; the one that listens to it cleans up."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Hang up on an idle child, and kill it if its end takes long."""
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.kill()

    def kill(self) -> None:
        """End the child and everything in its process group, at once."""
        if self._process.returncode is None or not _CAN_LOOK:
            self.strike()
            self._process.wait()
        self._connection.close()
        self._drain.join(_GRACE)

    # -------------------------------------------------------------------------- inside
    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe()
        code = _MAIN.format(path=sys.path, fd=theirs.fileno(), pid=os.getpid())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **thread_settings(self._setup.threads)},
                process_group=0,
            )
        except BaseException:
            os.close(reader)
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(writer)
        self._connection = Connection(ours.detach())
        self._drain = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self._drain.start()
        self._looked = 0.0

    def _open(self) -> None:
        answer = self.receive(seconds=self._setup.open_timeout)
        if answer[0] == "broken":
            _, name, message = answer
            self.kill()
            kind = getattr(errors, name)
            raise kind(message) if issubclass(kind, FeatxError) else PluginError(message)

    def _listen(self, reader: int) -> None:
        echo = os.environ.get("FEATX_DEBUG") == "1"
        with open(reader, "rb", buffering=0) as stream:
            while block := stream.read(65536):
                self._tail = (self._tail + block)[-_TAIL:]
                if echo:
                    sys.stderr.write(block.decode(errors="backslashreplace"))

    def _read(self) -> tuple[Any, ...]:
        data = self._connection.recv_bytes()
        try:
            message: tuple[Any, ...] = pickle.loads(data)  # noqa: S301  (from our own child)
        except Exception as error:  # a plugin wrote to a socket that is not its own
            self.kill()
            raise ChildDiedError(
                "crash", f"the process sent what cannot be read ({type(error).__name__})"
            ) from error
        return message

    def _watch_memory(self) -> None:
        import psutil

        now = time.monotonic()
        if not self._setup.memory or now - self._looked < _TICK:
            return
        self._looked = now
        try:
            rss = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return
        if rss > self._setup.memory:
            self.kill()
            raise ChildDiedError(
                "memory", f"{rss / 2**20:.0f} MiB, the limit is {self._setup.memory / 2**20:.0f}"
            )

    def _ended(self) -> bool:
        """Return whether the child has exited, without reaping it: its group is still to kill."""
        if not _CAN_LOOK:
            return self._process.poll() is not None
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, flags) is not None
        except ChildProcessError:
            return True

    def _died(self) -> ChildDiedError:
        """Make sure that the child is dead and return in words how it died."""
        deadline = time.monotonic() + _GRACE
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.005)
        exited = self._ended()
        self.kill()
        code = self._process.returncode
        if not exited:
            return ChildDiedError("crash", "the process hung up on its supervisor")
        words = self._tail.decode("utf-8", "replace")
        if code >= 0:
            last = words.strip().rpartition("\n")[2][:200]
            told = f": {last}" if last else ""
            return ChildDiedError("crash", f"the process ended itself with exit code {code}{told}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        if -code == signal.SIGKILL:
            return ChildDiedError(
                "crash", "the process was killed from outside, perhaps for lack of memory"
            )
        where = _where(words.partition("Current thread")[2] or words)
        return ChildDiedError("crash", f"the process died by {name}{where}")


def _where(trace: str) -> str:
    """Return the place in a trace of faulthandler, the first one outside the standard library."""
    standard = os.path.dirname(os.__file__)  # noqa: PTH120
    frames = list(_FRAME.finditer(trace))
    own = [
        frame
        for frame in frames
        if not frame["file"].startswith(standard) or "site-packages" in frame["file"]
    ]
    for frame in own or frames:
        return f" in {frame['name']} ({os.path.basename(frame['file'])}, line {frame['line']})"  # noqa: PTH119
    return ""
