"""A child process seen from outside: started, listened to, watched, ended."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.guarded.clock import StepClock
from featx.guarded.messages import BODY_BYTES, Channel, Message, MessageError

_TICK = 0.1
_TAIL = 8192
_GRACE = 2.0
_DRAIN_SECONDS = 0.5
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\S+)', re.MULTILINE)

#: Whether a process can be seen to be dead without being reaped (not on macOS before Python 3.13).
_CAN_LOOK = hasattr(os, "waitid")

_MAIN = "from featx.guarded.child import main; main({program!r}, {pid})"


class ChildDiedError(Exception):
    """The child is gone: ``cause`` is crash, timeout or memory, the message says how."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


class Child:
    """One fresh interpreter that runs a function and answers with messages.

    It shares nothing with this process but three pipes, does not import the caller's main module
    nor anything from the working folder, ends when this process ends, and leads a process group of
    its own: whatever it starts ends with it, and Ctrl-C on the terminal does not reach it. What it
    prints is dropped but for the last lines; with ``FEATX_DEBUG=1`` it appears on stderr.

    Parameters
    ----------
    program : str
        ``package.module:function``, called in the child with a `Channel`.
    answers : sequence of classes
        The messages that it may send.
    memory : int >= 0
        Bytes of resident memory; 0 for no limit.
    environment : mapping, optional
        Variables that differ from those of this process.
    folder : path, optional
        Working folder of the child.
    body_bytes : int > 0
        Bytes of arrays that one message may hold.
    python : path, optional
        Interpreter of an environment that has this version of featx. It finds modules in its own
        packages and in the folders of ``PYTHONPATH``.
    """

    def __init__(
        self,
        program: str,
        *,
        answers: Sequence[type[Any]],
        memory: int = 0,
        environment: Mapping[str, str] | None = None,
        folder: str | os.PathLike[str] | None = None,
        body_bytes: int = BODY_BYTES,
        python: str | os.PathLike[str] | None = None,
    ) -> None:
        self._answers = answers
        self._memory = memory
        self._tail = b""
        self._clock = StepClock()
        self._looked = 0.0
        code = _MAIN.format(program=program, pid=os.getpid())
        if python is None:
            code = f"import sys; sys.path[:] = {import_path()!r}; {code}"
        self._process = subprocess.Popen(
            [python or sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=folder,
            env=_environment(environment or {}),
            process_group=None if sys.platform == "win32" else 0,
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._writing = os.dup(stdin.fileno())
        self._channel = Channel(os.dup(stdout.fileno()), self._writing, body_bytes=body_bytes)
        stdin.close()
        stdout.close()
        if sys.platform != "win32":
            os.set_blocking(self._writing, False)
        self._drain = threading.Thread(target=self._listen, args=(stderr,), daemon=True)
        self._drain.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: Message, *, seconds: float) -> None:
        """Send work to an idle child; a dead one is noticed by `receive`.

        Raises
        ------
        ChildDiedError
            If the child does not read it within ``seconds``; it is dead then.
        """
        with contextlib.suppress(BrokenPipeError):
            self._channel.send(message, wait=lambda: self._wait_for_room(seconds))

    def receive(self, *, seconds: float) -> Any:
        """Return the next message.

        Raises
        ------
        ChildDiedError
            If the child dies, works for ``seconds`` without an answer (see `StepClock`), takes more
            memory than it may, or sends what is no message. It is dead in every case.
        """
        while True:
            try:
                message = self._channel.receive(self._answers, seconds=_TICK)
            except MessageError as error:
                self.kill()
                reason = f"the process sent what cannot be read: {error}"
                raise ChildDiedError("crash", reason) from error
            except (EOFError, OSError) as error:
                raise self._death() from error
            self._watch()
            if message is not None:
                self._clock.restart()
                return message
            if self._ended():
                raise self._death()
            self._check_clock(seconds)

    def hang_up(self) -> None:
        """Let an idle child end."""
        self._channel.hang_up()

    def strike(self) -> None:
        """Kill the child from another thread; the one that listens to it cleans up."""
        if sys.platform == "win32":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Hang up on an idle child, and kill it if its end takes long."""
        self.hang_up()
        self._wait_for_end()
        self.kill()

    def kill(self) -> None:
        """End the child and everything in its process group, at once."""
        if self._process.returncode is None:
            self.strike()
            self._process.wait()
        self._channel.close()
        self._drain.join(_DRAIN_SECONDS)

    def _listen(self, stream: Any) -> None:
        echo = os.environ.get("FEATX_DEBUG") == "1"
        with stream:
            while block := stream.read(65536):
                self._tail = (self._tail + block)[-_TAIL:]
                if echo:
                    sys.stderr.write(block.decode(errors="backslashreplace"))

    def _watch(self) -> None:
        """Look at time and memory, ten times a second."""
        import psutil

        now = time.monotonic()
        if now - self._looked < _TICK:
            return
        self._looked = now
        try:
            process = psutil.Process(self._process.pid)
            self._clock.look(process)
            rss = process.memory_info().rss if self._memory else 0
        except psutil.Error:
            return
        if rss > self._memory:
            self.kill()
            raise ChildDiedError(
                "memory", f"{rss / 2**20:.0f} MiB, the limit is {self._memory / 2**20:.0f}"
            )

    def _check_clock(self, seconds: float) -> None:
        if self._clock.seconds <= seconds:
            return
        self.kill()
        if self._channel.inside_message:
            raise ChildDiedError("crash", "the process stopped in the middle of a message")
        raise ChildDiedError("timeout", f"no answer within {seconds:g} s")

    def _wait_for_room(self, seconds: float) -> None:
        """Wait until the child reads on."""
        poll = select.poll()
        poll.register(self._writing, select.POLLOUT)
        if not poll.poll(_TICK * 1000):
            self._watch()
            self._check_clock(seconds)

    def _ended(self) -> bool:
        """Return whether the child has exited, without reaping it: its group is still to kill."""
        if not _CAN_LOOK or self._process.returncode is not None:
            return self._process.poll() is not None
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, flags) is not None
        except ChildProcessError:
            return True

    def _wait_for_end(self) -> bool:
        deadline = time.monotonic() + _GRACE
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.002)
        return self._ended()

    def _death(self) -> ChildDiedError:
        """Make sure that the child is dead and return in words how it died."""
        ended = self._wait_for_end()
        self.kill()
        code = self._process.returncode
        if not ended:
            return ChildDiedError("crash", "the process closed the connection to its supervisor")
        output = self._tail.decode("utf-8", "replace")
        if code >= 0:
            last = output.strip().rpartition("\n")[2][:200]
            detail = f": {last}" if last else ""
            return ChildDiedError(
                "crash", f"the process ended itself with exit code {code}{detail}"
            )
        if -code == signal.SIGKILL:
            return ChildDiedError(
                "crash", "the process was killed from outside (SIGKILL), perhaps for lack of memory"
            )
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        place = _place(output.partition("Current thread")[2] or output)
        return ChildDiedError("crash", f"the process died by {name}{place}")


def import_path() -> list[str]:
    """Return where children look for modules: as this process, but never in the working folder.

    The folder of featx itself comes last if it is the working folder.
    """
    here = _working_folder()
    entries = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100
    path = [entry for entry in entries if os.path.realpath(entry) != here]
    home = str(Path(__file__).parents[2])
    return path if home in path else [*path, home]


def _working_folder() -> str:
    try:
        return os.path.realpath(os.getcwd())  # noqa: PTH109
    except FileNotFoundError:  # removed under our feet
        return ""


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a child, without the working folder in PYTHONPATH."""
    variables = {**os.environ, **changes}
    if "PYTHONPATH" in variables:
        here = _working_folder()
        entries = variables["PYTHONPATH"].split(os.pathsep)
        variables["PYTHONPATH"] = os.pathsep.join(
            entry for entry in entries if entry and os.path.realpath(entry) != here
        )
    return variables


def _place(trace: str) -> str:
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
