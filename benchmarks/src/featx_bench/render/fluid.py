"""The synthesiser: fluidsynth as a program, and General MIDI sound fonts from the system."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import FeatxError, ParameterError, listed

if TYPE_CHECKING:
    from featx.types import FloatArray

__all__ = [
    "SYNTH_RATE",
    "SynthError",
    "find_fluidsynth",
    "find_soundfont",
    "fluidsynth_version",
    "play",
]

#: fluidsynth plays samples without a low-pass filter: at this rate nothing folds back.
SYNTH_RATE = 44100

#: Where Debian and others put sound fonts.
_FOLDERS = tuple(
    Path(name)
    for name in (
        "/usr/share/sounds/sf2",
        "/usr/share/sounds/sf3",
        "/usr/share/soundfonts",
        "/usr/local/share/soundfonts",
    )
)
_PACKAGES = "apt install fluidsynth fluid-soundfont-gm timgm6mb-soundfont"

#: Loudness is set afterwards, in floating point; this keeps fluidsynth's own scale.
_GAIN = 0.5
_SECONDS_TO_WAIT = 600


class SynthError(FeatxError):
    """fluidsynth did not render what it was given."""


def find_fluidsynth() -> str:
    """Return the path of the program.

    Raises
    ------
    ParameterError
        If it is not installed.
    """
    path = shutil.which("fluidsynth")
    if path is None:
        raise ParameterError(
            "rendering needs the program fluidsynth, which is not on the PATH. "
            f"On Debian: {_PACKAGES}"
        )
    return path


@functools.cache
def fluidsynth_version(program: str) -> str:
    """Return its version, such as ``2.3.1``."""
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    match = re.search(r"version\s+(\d+(?:\.\d+)+)", done.stdout)
    if match is None:
        raise SynthError(f"{program} --version must print a version, got {done.stdout[:200]!r}.")
    return match[1]


def find_soundfont(name: str) -> Path:
    """Return a sound font by path, or by file name in the system's folders.

    Raises
    ------
    ParameterError
        If there is none.
    """
    file = Path(name)
    for path in (file, *(folder / name for folder in _FOLDERS)):
        if path.is_file():
            return path.resolve()
    known = sorted({path.name for folder in _FOLDERS for path in folder.glob("*.sf[23]")})
    raise ParameterError(
        f"soundfont must be a file or one of those installed ({listed(known)}), got {name!r}. "
        f"On Debian: {_PACKAGES}"
    )


def play(
    midi: Path, *, soundfont: Path, room: float, damp: float, program: str | None = None
) -> FloatArray:
    """Render a MIDI file.

    Parameters
    ----------
    midi : path
        The file.
    soundfont : path
        An SF2 file.
    room, damp : float, 0..1
        Size and damping of the reverb.

    Returns
    -------
    float32 array, shape (n_samples, 2)
        At `SYNTH_RATE`, neither clipped nor dithered.

    Raises
    ------
    SynthError
        If fluidsynth fails, complains about the sound font or the file, or gives no sound.
    """
    settings = {
        "synth.cpu-cores": 1,
        "synth.dynamic-sample-loading": 1,
        "synth.polyphony": 512,
        "synth.reverb.room-size": f"{room:.4f}",
        "synth.reverb.damp": f"{damp:.4f}",
        "synth.reverb.width": "0.5",
        "synth.reverb.level": "0.7",
    }
    command = [
        program or find_fluidsynth(),
        "-n",
        "-i",
        "-q",
        "-r",
        str(SYNTH_RATE),
        "-g",
        str(_GAIN),
    ]
    for name, value in settings.items():
        command += ["-o", f"{name}={value}"]
    command += ["-O", "float", "-E", "little", "-T", "raw", "-F", "-", str(soundfont), str(midi)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS_TO_WAIT)
    message = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0 or "error" in message.lower():
        raise SynthError(
            f"fluidsynth must render {midi.name}, but failed: {done.returncode}, {message}"
        )
    if len(done.stdout) == 0 or len(done.stdout) % 8:
        raise SynthError(f"fluidsynth must give stereo, got {len(done.stdout)} bytes: {message}")
    y: FloatArray = np.frombuffer(done.stdout, "<f4").reshape(-1, 2)
    if not np.isfinite(y).all() or not y.any():
        raise SynthError(f"fluidsynth must give sound, got silence or NaN: {message}")
    return y
