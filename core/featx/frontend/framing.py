"""How a waveform is cut into frames: sizes, window, padding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from featx.errors import ParameterError
from featx.frontend.description import Part, check_choice, check_integer, check_number


@dataclass(frozen=True, kw_only=True)
class Framing(Part, id="frames"):
    """Frames of a waveform, of which a spectrum can be taken.

    Parameters
    ----------
    n_fft, win_length : int > 0
        Sizes in samples; ``win_length`` None is ``n_fft``.
    hop_length : int or Fraction > 0
        Samples between two frames; frame t starts from sample ``floor(t * hop_length)``.
    window : {'hann', 'hamming', 'povey', 'rectangular'}
        Periodic unless ``periodic`` is False.
    center : bool
        Frame t is centred on sample ``t * hop_length``; ``n_fft // 2`` samples are padded. False
        starts frame t there, and keeps complete frames only.
    pad_mode : {'reflect', 'constant'}
        Constant is zero. Signals too short to reflect are padded with zeros.
    end_frame : bool
        Centred frames only. True also gives the frame centred on the sample just past the end
        (``1 + N // hop``, even ``n_fft``), False stops inside (``ceil(N / hop)``).
    fft_padding : {'window', 'end'}
        For ``win_length < n_fft``. ``window`` frames ``n_fft`` samples under a window padded with
        zeros on both sides; ``end`` frames ``win_length`` samples and appends zeros.
    remove_dc : bool
        Subtract the mean of every frame.
    preemphasis : float >= 0
        a in ``y[n] - a y[n - 1]``, within every frame, the first sample against itself; 0 is none.
    """

    n_fft: int = 2048
    win_length: int | None = None
    hop_length: int | Fraction = 512
    window: str = "hann"
    periodic: bool = True
    center: bool = True
    pad_mode: str = "reflect"
    end_frame: bool = True
    fft_padding: str = "window"
    remove_dc: bool = False
    preemphasis: float = 0.0

    def __post_init__(self) -> None:
        check_integer("n_fft", self.n_fft)
        if self.win_length is not None:
            check_integer("win_length", self.win_length)
        hop: Any = self.hop_length
        if not isinstance(hop, int | Fraction) or isinstance(hop, bool) or hop <= 0:
            raise ParameterError(f"hop_length must be an integer or Fraction > 0, got {hop!r}.")
        if self.window_length > self.n_fft:
            raise ParameterError(
                f"win_length must be an integer <= n_fft = {self.n_fft}, got {self.win_length}."
            )
        check_choice("window", self.window, ("hann", "hamming", "povey", "rectangular"))
        check_choice("pad_mode", self.pad_mode, ("reflect", "constant"))
        check_choice("fft_padding", self.fft_padding, ("window", "end"))
        check_number("preemphasis", self.preemphasis, zero=True)

    @property
    def window_length(self) -> int:
        """Samples of the window."""
        return self.n_fft if self.win_length is None else self.win_length

    @property
    def frame_samples(self) -> int:
        """Samples that one frame holds before the spectrum is taken."""
        return self.window_length if self.fft_padding == "end" else self.n_fft

    @property
    def left_samples(self) -> int:
        """Samples of frame 0 that lie before the first sample of the signal."""
        return self.frame_samples // 2 if self.center else 0

    @property
    def n_bins(self) -> int:
        """Bins of the one-sided spectrum."""
        return self.n_fft // 2 + 1

    @property
    def conditioned(self) -> bool:
        """Whether something is done to a frame before its window."""
        return self.remove_dc or self.preemphasis > 0.0

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of ``n_samples``."""
        if n_samples == 0:
            return 0
        hop, length = self.hop_length, self.frame_samples  # hop is an integer or a fraction
        if not self.center:
            return 0 if n_samples < length else 1 + (n_samples - length) // hop
        if length % 2 or not self.end_frame:
            return -(-n_samples // hop)
        return 1 + n_samples // hop
