"""What is computed frame by frame: spectrum, bank, compression and norm of any frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import Bins, FilterBank, Samples
from featx.frontend.blocks import frame_blocks, scalar_blocks
from featx.frontend.compression import Decibel, Logarithm
from featx.frontend.filters import BandedBank, banded_bank
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import Engine, apply_bank, engine_of, fill, project_blocks
from featx.frontend.memory import thread_array
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd
    from featx.frontend.streams import Excerpt

#: Frames smaller than this are silence to ``frame_norm``, the smallest normal float32.
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What the frames of one waveform depend on besides their own samples.

    First passes over the waveform find it out; what they have computed on the way is kept here.
    """

    bank: BandedBank | None
    #: What computes spectra on vectors, where that is possible; looked up once.
    engine: Engine | None = None
    #: Factor of bands before a compression that is relative to the clip.
    scale: float = 1.0
    #: Lowest value of the bands, where the dynamic range is limited.
    floor: np.float32 | None = None
    #: Spectra of all frames, as blocks of the kernels.
    spectra: FloatArray | None = None
    #: Bands of all frames, compressed and normalised.
    bands: FloatArray | None = None


class Bands:
    """The bands of a front end, before floor, cepstrum and derivatives.

    It holds no state of a waveform, so threads may share one.
    """

    def __init__(self, fe: FrontEnd, sr: int, filter_bank: AnyArray | None) -> None:
        self.fe, self.sr = fe, sr
        #: the bank whose weights depend on the tuning of the clip
        self.tuned = fe.bank if isinstance(fe.bank, FilterBank) and fe.bank.tuned else None
        decibel = fe.compression if isinstance(fe.compression, Decibel) else Decibel()
        self.top_db = decibel.top_db
        self.relative = decibel.reference == "mean"
        #: whether the kernels that compute bands take their logarithm, too
        self.fused = isinstance(fe.compression, Logarithm) and not self.relative
        weights = None
        if filter_bank is not None:
            weights = _checked_bank(fe, filter_bank)
        elif isinstance(fe.bank, FilterBank):
            weights = banded_bank(fe.bank, sr=sr, n_fft=framing_of(fe).n_fft)
        #: rows that touch no bin; tuning changes nothing about them
        self.empty = [] if weights is None else weights.empty
        self.bank = None if self.tuned else weights
        self.width = fe.n_bands(sr) if filter_bank is None else len(filter_bank)

    def clip(self) -> Clip:
        """Return what holds for every clip before the first passes."""
        spectral = self.fe.framing is not None and not isinstance(self.fe.bank, Samples)
        return Clip(bank=self.bank, engine=engine_of(self.fe) if spectral else None)

    def rows(
        self, excerpt: Excerpt, clip: Clip, first: int, stop: int, out: FloatArray | None = None
    ) -> FloatArray:
        """Return bands of frames ``first … stop - 1``.

        They lie in ``out``, or where ``clip`` keeps them, or in memory that the thread's next call
        uses again.
        """
        if clip.bands is not None:
            return clip.bands[first:stop]
        values = self.uncompressed(excerpt, clip, first, stop, out)
        self.finish(values, clip, logarithm=not self.fused)
        return values

    def uncompressed(
        self, excerpt: Excerpt, clip: Clip, first: int, stop: int, out: FloatArray | None
    ) -> FloatArray:
        """Return what `finish` begins with: linear bands, or their logarithm if that is `fused`."""
        if out is None:
            out = thread_array("block", stop - first, self.width)
        if clip.spectra is not None and clip.bank is not None:
            size = len(clip.spectra[0]) // framing_of(self.fe).n_bins
            blocks = clip.spectra[first // size : -(-stop // size)]
            project_blocks(blocks, self.fe, clip.bank, compressed=self.fused, out=out)
        elif clip.engine is not None:
            fill(
                excerpt.y, self.fe, out, bank=clip.bank, compressed=self.fused, first=first,
                offset=excerpt.offset, total=excerpt.total, checked=excerpt.checked,
                engine=clip.engine,
            )  # fmt: skip
        else:
            self._fill_scalar(excerpt, clip.bank, first, stop, out)
        return out

    def finish(self, values: FloatArray, clip: Clip, *, logarithm: bool) -> None:
        """Apply compression and norm in place; a ``logarithm`` only where it is not taken yet."""
        compression = self.fe.compression
        if compression is not None and (logarithm or not isinstance(compression, Logarithm)):
            compression.apply(values, scale=clip.scale)
        if self.fe.frame_norm != "none":
            from featx.kernels.compression import normalise_kernel

            normalise_kernel(values, self.fe.frame_norm == "max", _TINY)

    def _fill_scalar(
        self, excerpt: Excerpt, bank: BandedBank | None, first: int, stop: int, out: FloatArray
    ) -> None:
        """Do what `fill` does without vectors."""
        where: dict[str, Any] = {
            "first": first, "stop": stop, "offset": excerpt.offset, "checked": True,
        }  # fmt: skip
        if isinstance(self.fe.bank, Samples):
            blocks = frame_blocks(excerpt.y, framing_of(self.fe), **where)
        else:
            blocks = scalar_blocks(excerpt.y, self.fe, **where)
        for at, S in blocks:
            block = out[at - first : at - first + len(S)]
            if bank is None:
                block[:] = S[:, : block.shape[1]]
            else:
                apply_bank(S, bank, out=block)
            if self.fused and self.fe.compression is not None:
                self.fe.compression.apply(block)


def _checked_bank(fe: FrontEnd, filter_bank: AnyArray) -> BandedBank:
    if not isinstance(fe.bank, Bins):
        raise ParameterError(
            f"filter_bank must be None for front end {fe.name!r}, whose bank is {fe.bank.id!r}."
        )
    dense, bins = np.asarray(filter_bank), framing_of(fe).n_bins
    if dense.ndim != 2 or dense.shape[1] != bins or len(dense) == 0:
        raise ParameterError(
            f"filter_bank must have shape (n_bands > 0, {bins}), got {dense.shape}."
        )
    return BandedBank.from_dense(dense)
