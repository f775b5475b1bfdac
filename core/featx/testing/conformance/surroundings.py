"""What a process shares among its extractors, and whether one of them has changed it."""

from __future__ import annotations

import locale
import logging
import os
import random
import signal
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Modules whose functions every extractor calls.
_SHARED_MODULES = (
    "builtins",
    "math",
    "os",
    "random",
    "time",
    "numpy",
    "numpy.fft",
    "numpy.linalg",
    "numpy.random",
    "scipy.fft",
    "scipy.signal",
    "torch.nn.functional",
)


class Surroundings:
    """The state of this process that extractors share, as it was when this was made."""

    def __init__(self) -> None:
        self._state = _state()
        self._functions = {name: _functions(name) for name in _SHARED_MODULES}

    def changes(self) -> list[str]:
        """Return what is different now, in words."""
        now = _state()
        found = [name for name, value in self._state.items() if now.get(name, value) != value]
        for module, functions in self._functions.items():
            current = _functions(module)
            found += [
                f"{module}.{name}"
                for name, value in functions.items()
                if current.get(name, value) is not value
            ]
        return found


def _functions(module: str) -> Mapping[str, Any]:
    """Return what a module holds that is loaded; one that comes in later is new and not changed."""
    names = vars(sys.modules.get(module, object)) if module in sys.modules else {}
    return {name: value for name, value in names.items() if callable(value)}


def _state() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    tiny = np.array([1e-38, 1e-3], dtype=np.float32)
    state: dict[str, Any] = {
        "the random state of numpy (read or reseeded)": _numpy_random_state(),
        "the random state of random (read or reseeded)": random.getstate(),
        "the working folder": os.getcwd(),  # noqa: PTH109
        "numpy.seterr": np.geterr(),
        "numpy.set_printoptions": repr(np.get_printoptions()),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the umask": mask,
        "sys.setrecursionlimit": sys.getrecursionlimit(),
        "the handlers of the root logger": list(logging.root.handlers),
        "the treatment of denormal numbers": bool(tiny[0] * tiny[1]),
        "signal handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        # libraries may add variables of their own when they are imported
        **{f"the variable {name}": value for name, value in os.environ.items()},
        **{
            f"the variable {name}": os.environ.get(name)
            for name in ("LANG", "TZ", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES")
        },
    }
    return {**state, **_torch_state()}


def _numpy_random_state() -> tuple[bytes, int]:
    state: Any = np.random.get_state(legacy=False)["state"]
    return state["key"].tobytes(), int(state["pos"])


def _torch_state() -> dict[str, Any]:
    torch: Any = sys.modules.get("torch")
    if torch is None:  # as torch has them when it comes in
        threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        known = {"torch.set_num_threads": threads} if threads else {}
        return {"torch.set_default_dtype": "torch.float32", "torch.set_grad_enabled": True, **known}
    return {
        "torch.set_default_dtype": str(torch.get_default_dtype()),
        "torch.set_grad_enabled": torch.is_grad_enabled(),
        "torch.set_num_threads": torch.get_num_threads(),
    }


def torch_random_state() -> bytes:
    """Return torch's global random state; empty where torch is not loaded."""
    torch: Any = sys.modules.get("torch")
    return b"" if torch is None else bytes(torch.random.get_rng_state().numpy().tobytes())


def move_torch_random_state() -> None:
    """Give torch's global generator, where torch is loaded, a state that no seed in use gives."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.random.manual_seed(0x5EED_FEA7)
