"""M4A, AAC, WMA and the sound of videos through PyAV, the extra ``featx[av]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio.containers.sniff import AV_FALLBACKS, AV_FORMATS
from featx.audio.files import SourceFile, View
from featx.errors import AudioError

if TYPE_CHECKING:
    from featx.types import FloatArray

__all__ = ["AvReader"]

#: FFmpeg sample format -> (factor to [-1, 1], offset before it)
_SCALES = {
    "u8": (1 / 128, -128.0),
    "s16": (1 / 32768, 0.0),
    "s32": (1 / 2147483648, 0.0),
    "s64": (1 / 2**63, 0.0),
    "flt": (1.0, 0.0),
    "dbl": (1.0, 0.0),
}


#: seconds by which containers round or pad
_TOLERANCE_S = 0.25
_DEMUXERS = AV_FORMATS | AV_FALLBACKS


def _import_av(what: str) -> Any:
    try:
        import av
    except ImportError:
        raise AudioError(
            "unsupported", f"{what} needs another decoder: pip install 'featx[av]'"
        ) from None
    return av


def _words(error: Exception) -> str:
    """FFmpeg's own words, without the error number that libav makes up."""
    return str(getattr(error, "strerror", None) or error)


class AvReader:
    """One audio stream (the first) of anything FFmpeg demuxes, decoded on one thread."""

    def __init__(self, source: SourceFile, container: str, start: int, *, codec: str) -> None:
        self._av = _import_av(f"{container} ({codec})" if codec else container)
        self.container = container
        self._source = source
        self._pending: FloatArray = np.empty((0, 1), dtype=np.float32)
        self._done = 0
        self._input: Any = None
        try:
            self._open(start)
        except BaseException:
            self.close()
            raise

    def _open(self, start: int) -> None:
        view = View(self._source, start=start if self.container == "AAC" else 0)
        try:
            self._input = self._av.open(
                view, mode="r", format=_DEMUXERS[self.container], metadata_errors="replace"
            )
        except (self._av.FFmpegError, ValueError) as error:
            raise AudioError("lying-header", f"{self.container}: {_words(error)}") from None
        if not self._input.streams.audio:
            raise AudioError("not-audio", f"{self.container} without an audio stream")
        stream = self._input.streams.audio[0]
        context = stream.codec_context
        if context is None:
            raise AudioError("unsupported", f"{self.container} with a codec FFmpeg does not know")
        context.thread_count = 1
        self.subtype = str(context.name)
        self.sr = int(context.sample_rate or 0)
        self.channels = int(context.channels or 0)
        self.frames, self.tolerance = self._declared(stream)
        self._packets = self._decode(stream)

    def _declared(self, stream: Any) -> tuple[int | None, int | None]:
        """Return the declared frames and a tolerance; None where the format only estimates."""
        if self.container == "MP4" and stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif (
            self.container == "MATROSKA"
            and self._input.duration
            and len(self._input.streams) == 1  # otherwise the length of the longest
        ):
            seconds = self._input.duration / self._av.time_base
        else:
            return None, None
        return round(seconds * self.sr), round(_TOLERANCE_S * self.sr)

    def _decode(self, stream: Any) -> Iterator[FloatArray]:
        """Yield (n, channels) float32 blocks."""
        try:
            for frame in self._input.decode(stream):
                yield self._to_float(frame)
        except self._av.EOFError:
            return
        except (self._av.FFmpegError, ValueError) as error:
            raise AudioError("decode-error", f"{self.container}: {_words(error)}") from None

    def _to_float(self, frame: Any) -> FloatArray:
        name = frame.format.name
        scale, shift = _SCALES[name.removesuffix("p")]
        data = frame.to_ndarray()
        if frame.sample_rate != self.sr or frame.layout.nb_channels != self.channels:
            raise AudioError(
                "lying-header",
                f"{self.channels} channels at {self.sr} Hz declared, "
                f"{frame.layout.nb_channels} at {frame.sample_rate} found",
            )
        # (channels, n) when planar, (1, n * channels) when packed
        block = data.T if frame.format.is_planar else data.reshape(-1, self.channels)
        out: FloatArray = block.astype(np.float32)
        if shift:
            out += np.float32(shift)
        if scale != 1.0:
            out *= np.float32(scale)
        return out

    def read(self, out: FloatArray) -> int:
        """Fill ``out`` from the start; return the frames written, 0 at the end."""
        filled = 0
        while filled < len(out):
            if not len(self._pending):
                following = next(self._packets, None)
                if following is None:
                    break
                self._pending = following
                continue
            take = min(len(out) - filled, len(self._pending))
            out[filled : filled + take] = self._pending[:take]
            self._pending = self._pending[take:]
            filled += take
        self._done += filled
        return filled

    def seek(self, frame: int) -> None:
        """Decode and drop everything before ``frame``: exact for every codec."""
        while self._done < frame:
            dropped = np.empty((min(frame - self._done, 1 << 16), self.channels), dtype=np.float32)
            if self.read(dropped) == 0:
                return

    def close(self) -> None:
        """Release FFmpeg's handles; the source stays open."""
        if self._input is not None:
            self._input.close()
