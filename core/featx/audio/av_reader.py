"""M4A, AAC, WMA and the sound of videos through PyAV, the extra ``featx[av]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio.containers.sniff import AV_FALLBACKS, AV_FORMATS
from featx.audio.files import SourceFile, View
from featx.audio.limits import Note
from featx.errors import AudioError

if TYPE_CHECKING:
    from featx.types import FloatArray

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
#: seconds without sound between two frames that are a gap; timestamps are rounded to less
_GAP_S = 0.1
_SILENCE = 1 << 16
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
    """One audio stream of anything FFmpeg demuxes, decoded on one thread.

    Of several streams it is the one flagged as default, or else the first. Sound keeps the file's
    clock: silence stands where the stream begins late or has a gap.
    """

    def __init__(self, source: SourceFile, container: str, start: int, *, codec: str) -> None:
        self._av = _import_av(f"{container} ({codec})" if codec else container)
        self.container = container
        self._source = source
        self._pending: FloatArray = np.empty((0, 1), dtype=np.float32)
        self._done = 0
        self._input: Any = None
        self.notes: list[Note] = []
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
        stream = self._choose(self._input.streams.audio)
        context = stream.codec_context
        if context is None:
            raise AudioError("unsupported", f"{self.container} with a codec FFmpeg does not know")
        context.thread_count = 1
        self.subtype = str(context.name)
        self.sr = int(context.sample_rate or 0)
        self.channels = int(context.channels or 0)
        self.frames, self.tolerance = self._declared(stream)
        self._packets = self._decode(stream)

    def _choose(self, streams: Any) -> Any:
        """Return the stream flagged as default, the first one where none is, and note others."""
        default = self._av.stream.Disposition.default
        flagged = [each for each in streams if each.disposition & default]
        chosen = flagged[0] if len(flagged) == 1 else streams[0]
        if len(streams) > 1:
            which = "the default one" if len(flagged) == 1 else "the first"
            text = f"{len(streams)} audio streams, {which} is read"
            self.notes.append(Note(code="other-streams", text=text))
        return chosen

    def _declared(self, stream: Any) -> tuple[int | None, int | None]:
        """Return the declared frames and a tolerance; None where the format only estimates."""
        if self.container == "MP4" and stream.duration and stream.time_base:
            late = max(stream.start_time or 0, 0) if self.container == "MP4" else 0
            seconds = float((stream.duration + late) * stream.time_base)
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
        """Yield (n, channels) float32 blocks, with silence where the clock has no sound."""
        # in these the clock starts at 0, in others wherever the first timestamp happens to be
        absolute = self.container in ("MP4", "MATROSKA")
        origin = 0.0 if absolute else (self._input.start_time or 0) / self._av.time_base
        done = 0
        try:
            for frame in self._input.decode(stream):
                block = self._to_float(frame)
                if frame.time is not None:
                    missing = round((frame.time - origin) * self.sr) - done
                    if missing > _GAP_S * self.sr:
                        self._note_gap(done, missing)
                        done += missing
                        yield from self._silence(missing)
                done += len(block)
                yield block
        except self._av.EOFError:
            pass
        except (self._av.FFmpegError, ValueError) as error:
            raise AudioError("decode-error", f"{self.container}: {_words(error)}") from None
        if self.container == "AVI" and stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)  # unreliable: no more than a note
            if seconds - done / self.sr > _TOLERANCE_S:
                text = f"{seconds:.3f} s declared, {done / self.sr:.3f} s found"
                self.notes.append(Note(code="damaged-frames", text=text))

    def _note_gap(self, done: int, missing: int) -> None:
        seconds = missing / self.sr
        if done == 0:
            text = f"the sound begins {seconds:.3f} s after the start of the file"
            self.notes.append(Note(code="starts-late", text=text))
        else:
            at = done / self.sr
            text = f"{seconds:.3f} s are missing at {at:.3f} s and were filled with silence"
            self.notes.append(Note(code="damaged-frames", text=text))

    def _silence(self, count: int) -> Iterator[FloatArray]:
        for first in range(0, count, _SILENCE):
            yield np.zeros((min(_SILENCE, count - first), self.channels), dtype=np.float32)

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
