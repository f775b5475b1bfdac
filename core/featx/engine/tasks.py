"""The plain values that travel: what to do with a shard of tracks, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featx.audio import Limits
from featx.interfaces import ExtractorSpec, Resolved
from featx.registry.records import LocalModule
from featx.store.records import Recipe
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: The step of a track that comes before every extractor; extractors count from 0.
DECODE = -1


@dataclass(frozen=True, kw_only=True)
class PreparedExtractor:
    """One extractor of a run, with everything that opening it needs.

    It travels as plain values (`to_json`), also where it is pickled for an executor. ``number`` is
    its position in `RunSettings.extractors`, ``name`` what the user called it. ``params`` are an
    instance of ``spec.params``; ``resolved`` holds for an unknown native rate. ``features`` are the
    outputs this run asks for, ``weights`` the path of a safetensors file, empty for none.
    ``module`` is None for an extractor from an installed plugin.
    """

    number: int
    name: str
    full_name: str
    spec: ExtractorSpec
    params: Any
    resolved: Resolved
    features: tuple[str, ...]
    recipe: Recipe
    weights: str = ""
    device: str = "cpu"
    module: LocalModule | None = None

    @property
    def distribution(self) -> str:
        """The distribution that it comes from; its own name where no package installs it."""
        return self.full_name.partition(":")[0]

    @property
    def output_specs(self) -> tuple[FeatureSpec, ...]:
        """The specs of ``features``, for files of the resolved rate."""
        return tuple(self.resolved.output(name) for name in self.features)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `from_json` reads them back, also in another process."""
        from featx.registry.specs import spec_to_json

        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        del plain["resolved"]  # follows from spec and params
        plain["spec"] = spec_to_json(self.spec, module=self.module)
        plain["params"] = dataclasses.asdict(self.params)
        plain["features"] = list(self.features)
        plain["recipe"] = self.recipe.to_json()
        if self.module is not None:
            plain["module"] = dataclasses.asdict(self.module)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> PreparedExtractor:
        """Read what `to_json` wrote; this imports the extractor's parameters and resolves them.

        Raises
        ------
        PluginError, ParameterError
            If they cannot be imported or resolved here.
        """
        from featx.engine.planning.resolving import resolve_checked
        from featx.params import parse_params
        from featx.registry.specs import spec_from_json

        values = dict(plain)
        if values["module"] is not None:
            from featx.registry.local import load_module

            values["module"] = LocalModule(**values["module"])
            load_module(values["module"], values["spec"]["factory"].partition(":")[2])
        spec: ExtractorSpec = spec_from_json("extractor", values["spec"])
        params: Any = parse_params(spec.params, values["params"])
        values |= {
            "spec": spec,
            "params": params,
            "resolved": resolve_checked(spec, params, None),
            "features": tuple(values["features"]),
            "recipe": Recipe.from_json(values["recipe"]),
        }
        return cls(**values)

    def __reduce__(self) -> tuple[Any, ...]:
        return PreparedExtractor.from_json, (self.to_json(),)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What all shards of one run have in common.

    ``token`` names the run; runners keep their child process as long as it stays the same.
    ``timeout`` holds for decoding one track and for each extractor on it, ``open_timeout`` for
    opening all extractors, both in seconds. ``memory`` is in bytes of RSS per worker. A worker
    stops after its current track once ``stop_file``, which lies in the store, exists. Results are
    committed at the end of a shard and whenever ``commit_seconds`` or ``commit_bytes`` have
    gathered. ``isolate`` gives each distribution a child of its own. Without extractors the files
    are examined, for a scan, and ``fingerprint`` asks for hashes of their samples.
    """

    token: str
    store: str
    extractors: tuple[PreparedExtractor, ...]
    limits: Limits
    quality: str
    downmix: str
    level: float | None
    threads: int
    timeout: float
    open_timeout: float
    memory: int
    seed: int = 0
    fingerprint: bool = False
    isolate: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stop_file: str = ""
    commit_seconds: float = 60.0
    commit_bytes: int = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class TrackTask:
    """One track to compute: ``missing`` holds (number of the extractor, its missing features).

    ``size`` and ``mtime_ns`` are those of the plan, -1 where the file could not be examined.
    ``labels`` come from manifests. ``known`` is the worst status that the track has already under
    the extractors that lack no feature of it.
    """

    track_id: str
    path: str
    size: int
    mtime_ns: int
    missing: tuple[tuple[int, tuple[str, ...]], ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    known: str = "ok"


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """A shard of tracks; any executor may run it with `run_shard`."""

    number: int
    settings: RunSettings
    tracks: tuple[TrackTask, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One track that one extractor has no result for."""

    track_id: str
    path: str
    extractor: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShardSummary:
    """What came of a shard: files by their worst status, units by (extractor, status), failures.

    ``stopped`` tracks were not begun because the run was interrupted, ``unreachable`` ones (by
    reason) not because their file could not be fetched. ``noted`` counts files with a
    note by its code. ``audio`` and ``busy`` are seconds.
    """

    number: int
    ok: int
    failed: int
    skipped: int
    stopped: int
    units: Mapping[str, Mapping[str, int]]
    failures: tuple[Failure, ...]
    noted: Mapping[str, int]
    audio: float
    busy: float
    peak_rss: int
    unreachable: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FileProperties:
    """What decoding reports about a track."""

    content: str
    size: int
    mtime_ns: int
    duration: float | None = None
    sr: int | None = None
    channels: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


#: Bytes of all outputs of one extractor for one track: six hours of 64 columns at 100 Hz are half
#: of it. They pass through the memory of the supervising process, which nothing else bounds.
OUTPUT_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What one extractor gave for one track: arrays, their specs, the rate they count in.

    ``seconds`` is how long they took, None where that says nothing about other tracks.
    """

    values: Mapping[str, AnyArray]
    specs: tuple[FeatureSpec, ...]
    sr: int
    seconds: float | None = None
