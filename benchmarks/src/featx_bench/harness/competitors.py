"""Competitors: extractors with parameters and weights, one feature or several fused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featx.engine.planning.preparing import prepare_extractors
from featx.errors import FeatxError, ParameterError, listed
from featx_bench.harness.protocols import Protocol

if TYPE_CHECKING:
    from featx.engine.tasks import PreparedExtractor
    from featx.registry import Registry

__all__ = ["Competitor", "Entry", "NotApplicableError", "default_competitors", "parse_competitor"]

#: Features that are fused by default, where all of them are installed.
FUSIONS = ("mfcc+melspectrogram+spectral+chroma", "artist-siamese+mfcc")


class NotApplicableError(FeatxError):
    """A competitor has no output that a task could measure."""


@dataclass(frozen=True, kw_only=True)
class Competitor:
    """One extractor as it is asked for.

    Parameters
    ----------
    text : str
        ``EXTRACTOR[.FEATURE][:KEY=VALUE...]``; the key ``weights`` is a path, all others are
        parameters.
    """

    text: str
    extractor: str
    feature: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""

    def prepare(self, registry: Registry, features: Sequence[str] = ()) -> PreparedExtractor:
        """Return the extractor with its parameters and weights; nothing is opened.

        Raises
        ------
        FeatxError
            If it is not installed, its parameters are wrong, or its weights are missing.
        """
        (prepared,) = prepare_extractors(
            registry,
            [self.extractor],
            params=dict(self.params),
            features=[f"{self.extractor}.{name}" for name in features] or None,
            weights=self.weights or None,
        )
        return prepared

    def outputs(self, protocol: Protocol, prepared: PreparedExtractor) -> tuple[str, ...]:
        """Return the outputs that a protocol measures.

        Raises
        ------
        NotApplicableError
            If there is none.
        """
        kinds = {spec.name: spec.kind for spec in prepared.resolved.outputs}
        if protocol.clip is not None:
            return (self._clip_feature(kinds),)
        chosen = [name for name in protocol.outputs if name in kinds][:1]
        if self.feature or not chosen:
            raise NotApplicableError(
                f"{self.text} must have one of {listed(protocol.outputs)}, got {listed(kinds)}."
            )
        return (*chosen, *(name for name in protocol.optional if name in kinds))

    def _clip_feature(self, kinds: Mapping[str, str]) -> str:
        clips = [name for name, kind in kinds.items() if kind == "clip"]
        if self.feature and self.feature not in clips:
            raise NotApplicableError(
                f"{self.text} must name a clip feature, got {self.feature!r}; there are: "
                f"{listed(clips) if clips else 'none'}."
            )
        if not clips:
            raise NotApplicableError(f"{self.text} must have a clip feature, but it has none.")
        return self.feature or ("embedding" if "embedding" in clips else clips[0])


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the table: one competitor, or several whose clip features are fused."""

    text: str
    members: tuple[Competitor, ...]

    @property
    def slug(self) -> str:
        """A file name that no other entry has."""
        plain = re.sub(r"[^A-Za-z0-9.+=-]+", "_", self.text)[:60]
        return f"{plain}-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"


def parse_competitor(text: str) -> Entry:
    """Read ``EXTRACTOR[.FEATURE][:KEY=VALUE...]``, or several of them joined by ``+``.

    Examples
    --------
    >>> parse_competitor("beats:model=tcn").members[0].params
    {'model': 'tcn'}
    >>> [member.feature for member in parse_competitor("mfcc.summary+samplecnn").members]
    ['summary', '']
    """
    members = tuple(_member(part) for part in text.split("+"))
    return Entry(text=text, members=members)


def _member(text: str) -> Competitor:
    name, *settings = text.split(":")
    # a full name, DISTRIBUTION:NAME, holds a colon as well
    if settings and settings[0] and "=" not in settings[0]:
        name = f"{name}:{settings.pop(0)}"
    pairs = [setting.partition("=") for setting in settings]
    wrong = [key for key, sign, _ in pairs if not sign or not key]
    if wrong or not name:
        raise ParameterError(
            f"a competitor must be EXTRACTOR[.FEATURE][:KEY=VALUE...], got {text!r}."
        )
    params = {key: value for key, _, value in pairs}
    weights = params.pop("weights", "")
    extractor, _, feature = name.partition(".")
    return Competitor(
        text=text, extractor=extractor, feature=feature, params=params, weights=weights
    )


def default_competitors(registry: Registry) -> list[Entry]:
    """Return all installed extractors as they come, and the fusions of `FUSIONS`."""
    names = [registry.shortest_name(name) for name in registry.extractors]
    fused = [
        text for text in FUSIONS if all(part.partition(".")[0] in names for part in text.split("+"))
    ]
    return [parse_competitor(text) for text in (*names, *fused)]


def identity(prepared: PreparedExtractor, outputs: Sequence[str]) -> str:
    """Return a hash of everything that changes the numbers of ``outputs``."""
    plain: dict[str, Any] = {"recipe": prepared.recipe.id, "outputs": list(outputs)}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
