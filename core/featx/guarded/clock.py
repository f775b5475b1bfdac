"""How long a child has worked on one step, on a machine that may be busy or suspended."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

#: A child that neither computes nor answers is ended after this many times its limit.
WAITING_FACTOR = 5.0

#: A longer gap between two looks means that the supervisor was suspended as well.
_LONGEST_GAP = 1.0


class StepClock:
    """Seconds of work since the last `restart`; see docs/reliability.md.

    A second in which the process computes counts in full, on however many cores. A second in which
    it waits or is stopped counts ``1 / WAITING_FACTOR``. Seconds in which it is ready but gets no
    core, or in which the supervisor itself was suspended, do not count.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._at = 0.0
        self._cpu = 0.0

    def restart(self) -> None:
        """Begin a new step."""
        self.seconds = 0.0

    def look(self, process: psutil.Process) -> None:
        """Count the time since the last look; raises `psutil.Error` if the process is gone."""
        now = time.monotonic()
        times = process.cpu_times()
        cpu = times.user + times.system
        if self._at:
            elapsed = now - self._at
            working = min(elapsed, cpu - self._cpu)
            idle = min(elapsed, _LONGEST_GAP) - working
            starved = sys.platform == "linux" and process.status() == "running"
            self.seconds += working
            if idle > 0 and not starved:
                self.seconds += idle / WAITING_FACTOR
        self._at, self._cpu = now, cpu
