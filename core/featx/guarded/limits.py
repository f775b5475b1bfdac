"""What keeps a child process from outliving its parent, or from taking the whole machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 1.0

#: Every variable by which a numerical library learns how many threads it may start.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def die_with_parent(parent: int) -> None:
    """End this process as soon as process ``parent`` is gone.

    On Linux the kernel sends SIGKILL, whatever this process is doing. Everywhere a thread looks
    once a second; it needs the interpreter lock, so it helps against all but native code that
    never returns.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name="featx-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def limit_data(more: int) -> None:
    """Let this process take ``more`` bytes of data beyond what it has now.

    An allocation beyond that fails (`MemoryError`) before a single page is touched. The limit is
    on RLIMIT_DATA; RLIMIT_AS would count the address space that torch and numba only reserve.
    Nothing happens where the system does not say how much data there is.
    """
    if sys.platform != "linux":
        return
    import resource

    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            limit = int(line.split()[1]) * 1024 + more
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            if hard == resource.RLIM_INFINITY or limit < hard:
                resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
            return


def available_cores() -> int:
    """Return the number of cores this process may use, by affinity and control group."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def physical_memory() -> int:
    """Return the bytes of memory this process may hope for: the machine's or its group's."""
    import psutil

    total = int(psutil.virtual_memory().total)
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return total


def thread_settings(threads: int) -> dict[str, str]:
    """Return the environment that holds numerical libraries to ``threads`` threads.

    Threads of OpenMP that wait for each other sleep, unless the user has chosen otherwise. They
    would keep a core busy that another worker, or a thread with work, needs.
    """
    waiting = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    return dict.fromkeys(_THREAD_VARIABLES, str(threads)) | waiting
