"""Extractors inside a process: opened with weights and device, called, and checked by the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations.tables import as_table, check_times
from featx.engine.planning.resolving import resolve_checked
from featx.engine.tasks import OUTPUT_BYTES, Outputs, PreparedExtractor
from featx.engine.work.tracks import HostTrack, Recording
from featx.errors import (
    AudioError,
    ExtractionError,
    FeatxError,
    ParameterError,
    PluginError,
    WeightsError,
    is_exhaustion,
    listed,
)
from featx.frontend import ConstantQ, preset
from featx.interfaces import Context, Extractor, Resolved
from featx.registry import import_object
from featx.weights import file_sha256, load_weights

if TYPE_CHECKING:
    from featx.types import AnyArray, FeatureSpec


class OpenExtractor:
    """One extractor, opened; what the host does around every call.

    If the factory is no `Extractor`, or opening it raises, that is a `PluginError`; if the weights
    are not those of the recipe (any more), a `WeightsError`.
    """

    def __init__(self, prepared: PreparedExtractor, *, threads: int, seed: int) -> None:
        self.prepared = prepared
        self._resolved: dict[int | None, Resolved] = {None: prepared.resolved}
        tensors, config = _read_weights(prepared)
        context = Context(
            params=prepared.params,
            resolved=prepared.resolved,
            features=prepared.features,
            weights=tensors,
            config=config,
            device=prepared.device,
            threads=threads,
            seed=seed,
            name=prepared.spec.name,
        )
        factory = import_object(prepared.spec.factory)
        try:
            extractor = factory()
            if not isinstance(extractor, Extractor):
                raise PluginError(
                    f"{prepared.spec.factory} must be a featx.Extractor, got "
                    f"{type(extractor).__name__}."
                )
            extractor.open(context)
        except FeatxError:
            raise
        except Exception as error:
            raise PluginError(
                f"extractor {prepared.name!r} must open, but raised {type(error).__name__}: {error}"
            ) from error
        self.extractor = extractor

    def close(self) -> None:
        """Let the extractor release what it took."""
        self.extractor.close()

    def resolved(self, native_sr: int) -> Resolved:
        """Return the resolution for files of this rate."""
        if self.prepared.resolved.sr is not None:
            return self.prepared.resolved
        if native_sr not in self._resolved:
            resolved = resolve_checked(self.prepared.spec, self.prepared.params, native_sr)
            for name in self.prepared.features:
                resolved.output(name)
            self._resolved[native_sr] = resolved
        return self._resolved[native_sr]

    def rates(self) -> set[int | None]:
        """Return the rates in Hz that tracks are needed at; None is the file's own."""
        own = self.prepared.resolved.sr
        front_ends = (preset(item).sr for item in self.prepared.resolved.front_ends)
        return {own, *(sr for sr in front_ends if sr is not None)}

    @property
    def streaming(self) -> bool:
        """Whether long recordings may come in blocks; a constant-Q transform needs all of them."""
        banks = (preset(item).bank for item in self.prepared.resolved.front_ends)
        return self.extractor.streaming and not any(isinstance(item, ConstantQ) for item in banks)

    def too_short(self, recording: Recording) -> str:
        """Return why this is shorter than the extractor takes, or ``""``.

        Waveforms of a few samples may have none left at a lower rate.
        """
        shortest = self.prepared.spec.min_duration
        duration = recording.duration
        if duration < shortest:
            return f"{duration:.3f} s, the extractor needs {shortest:g} s"
        empty = [sr for sr in self.rates() if sr is not None and not len(recording.blocks(sr))]
        return f"{duration:g} s, which is not one sample at {min(empty)} Hz" if empty else ""

    def extract(self, recording: Recording) -> Outputs:
        """Run the extractor on one track, in blocks if it is not held; check what it returns.

        Raises `ExtractionError` with the codes ``extractor-error``, ``memory`` or ``bad-output``,
        or a code of `AudioError` where the file cannot be decoded again.
        """
        try:
            resolved = self.resolved(recording.native_sr)
            track = HostTrack(recording, resolved=resolved)
            if recording.holds(self.rates()):
                results = self.extractor.extract([track])
            else:
                results = [self.extractor.stream(track)]
        except AudioError as error:
            raise ExtractionError(error.code, error.reason) from error
        except MemoryError as error:
            raise ExtractionError("memory", _described(error)) from error
        except (Exception, SystemExit) as error:
            if is_exhaustion(error):
                raise  # ends this process; another one extracts from the track
            code = "memory" if _out_of_memory(error) else "extractor-error"
            raise ExtractionError(code, _described(error)) from error
        specs = tuple(resolved.output(name) for name in self.prepared.features)
        values = check_outputs(results, specs, recording.duration)
        return Outputs(values=values, specs=specs, sr=track.sr)


def check_outputs(
    results: object, specs: Sequence[FeatureSpec], duration: float
) -> dict[str, AnyArray]:
    """Return the arrays that ``specs`` describe out of what ``extract`` gave for one track.

    Events become what `featx.annotations.tables.as_table` returns. They must be in order and lie
    within ``duration``, in seconds. Raises `ExtractionError`: ``bad-output``, naming the first rule
    that is broken.
    """
    if not isinstance(results, Sequence) or len(results) != 1:
        length = (
            f"{len(results)} items" if isinstance(results, Sequence) else type(results).__name__
        )
        raise _bad(f"extract must return a list of one Features for one track, got {length}")
    features = results[0]
    if not isinstance(features, Mapping):
        raise _bad(f"extract must return Features, got {type(features).__name__}")
    checked = {}
    for spec in specs:
        if spec.name not in features:
            raise _bad(f"{spec.name} is missing, got {sorted(map(str, features))}")
        if spec.kind == "events":
            checked[spec.name] = _check_events(spec, features[spec.name], duration)
        else:
            checked[spec.name] = _check_array(spec, features[spec.name])
        _check_size(sum(values.nbytes for values in checked.values()), specs)
    return checked


def _check_size(n_bytes: int, specs: Sequence[FeatureSpec]) -> None:
    if n_bytes > OUTPUT_BYTES:
        names = listed(spec.name for spec in specs)
        raise _bad(
            f"the outputs for one track ({names}) must have at most {OUTPUT_BYTES // 2**10} KiB, "
            f"got {n_bytes // 2**10}; choose fewer with --features, or a larger hop"
        )


def _check_events(spec: FeatureSpec, values: Any, duration: float) -> AnyArray:
    try:
        table = as_table(spec, values)
        check_times(spec, table, duration)
    except ParameterError as error:
        raise _bad(str(error).rstrip(".")) from error
    return table


def _check_array(spec: FeatureSpec, values: Any) -> AnyArray:
    if not isinstance(values, np.ndarray):
        raise _bad(f"{spec.name} must be a numpy array, got {type(values).__name__}")
    values = np.asarray(values)  # a masked array hides what is not finite
    shape = (spec.dim,) if spec.kind == "clip" else (len(values) if values.ndim else 0, spec.dim)
    if values.shape != shape:
        rule = {"clip": "({dim},)", "frames": "(T, {dim})"}[spec.kind]
        raise _bad(f"{spec.name} must have shape {rule.format(dim=spec.dim)}, got {values.shape}")
    if values.dtype != np.dtype(spec.dtype):
        raise _bad(f"{spec.name} must have dtype {spec.dtype}, got {values.dtype}")
    _check_size(values.nbytes, [spec])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise _bad(f"{spec.name} must be finite, got {count} NaN or infinite of {values.size}")
    return np.ascontiguousarray(values)


def _bad(reason: str) -> ExtractionError:
    return ExtractionError("bad-output", reason)


def _described(error: BaseException) -> str:
    """Return class and message of an error, and the line of the plugin that it comes from."""
    trace = error.__traceback__
    where = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith("<"):
            where = f" ({code.co_filename.rpartition('/')[2]}, line {trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = str(error)
    except Exception as inner:  # a hostile __str__
        text = f"its message raises {type(inner).__name__}"
    return f"{type(error).__name__}: {text[:500]}{where}"


def _out_of_memory(error: BaseException) -> bool:
    """Return whether this is how torch says that memory ran out, on a device or on the CPU."""
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )


def _read_weights(
    prepared: PreparedExtractor,
) -> tuple[Mapping[str, AnyArray] | None, Mapping[str, Any]]:
    if not prepared.weights:
        return None, {}
    actual = file_sha256(prepared.weights)
    if actual != prepared.recipe.weights:
        raise WeightsError(
            f"{prepared.weights} must have SHA-256 {prepared.recipe.weights}, got {actual}. It "
            f"has changed since the run started; run again."
        )
    return load_weights(prepared.weights)
