"""Competitors: extractors with parameters and weights, one feature or several fused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.engine.planning.selecting import UNTRAINED
from featx.environments import Environment, list_environments, split_by_environment
from featx.errors import FeatxError, ParameterError, PluginError, listed, meant
from featx.guarded import Answer, Child, ChildDiedError, Request
from featx_bench.harness.member import describe
from featx_bench.harness.protocols import Protocol

if TYPE_CHECKING:
    from featx.registry import Registry

__all__ = [
    "Competitor",
    "Entry",
    "Member",
    "NotApplicableError",
    "default_competitors",
    "in_environment",
    "parse_competitor",
]

#: Features that are fused by default, where all of them are installed.
FUSIONS = ("mfcc+melspectrogram+spectral+chroma", "artist-siamese+mfcc")


#: Seconds of work in which an environment has to describe an extractor.
_ANSWER_SECONDS = 60.0
#: Name of the copy of member.py that environments import.
_COPY = "featx_bench_member"


class NotApplicableError(FeatxError):
    """A competitor has no output that a task could measure."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """An extractor that is ready to be run.

    Parameters
    ----------
    job : mapping
        ``extractor``, ``params`` and ``weights`` as they were asked for.
    name, full_name : str
    outputs : mapping of name to kind
    features : list of str
        Outputs that are stored by default.
    recipe : mapping
        What changes the numbers.
    recipe_id : str
    licence, weights_licence : str
    environment : Environment, optional
        Where it is installed, if not here.
    """

    job: Mapping[str, Any]
    name: str
    full_name: str
    outputs: Mapping[str, str]
    features: Sequence[str]
    recipe: Mapping[str, Any]
    recipe_id: str
    licence: str
    weights_licence: str
    environment: Environment | None = None

    @property
    def short_name(self) -> str:
        """Name without the distribution."""
        return self.full_name.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Competitor:
    """One extractor as it is asked for.

    Parameters
    ----------
    text : str
        ``[ENVIRONMENT/]EXTRACTOR[.FEATURE][:KEY=VALUE...]``; the key ``weights`` is a path, all
        others are parameters.
    """

    text: str
    extractor: str
    environment: str = ""
    feature: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""

    def prepare(self, registry: Registry) -> Member:
        """Return the extractor with its parameters and weights; nothing is opened.

        Raises
        ------
        FeatxError
            If it is not installed, its parameters are wrong, or its weights are missing.
        """
        plain = {
            "extractor": self.extractor,
            "params": dict(self.params),
            "weights": self.weights,
        }
        environment = self._find_environment(registry)
        if environment is None:
            return Member(job=plain, **describe(plain, registry))
        answer = ask_environment(environment, plain)
        if "error" in answer:
            raise FeatxError(f"environment {environment.name!r}: {answer['error']}")
        return Member(job=plain, environment=environment, **answer)

    def check_installed(self, registry: Registry) -> None:
        """Check that the extractor is installed here or in its environment.

        Raises
        ------
        FeatxError
            If it is not; the message proposes a near name.
        """
        environment = self._find_environment(registry)
        if environment is None:
            registry.extractor(self.extractor)
            return
        full = environment.extractors
        names = [*(name.rpartition(":")[2] for name in full), *full]
        if self.extractor not in names:
            raise PluginError(
                f"extractor {self.extractor!r} is not in the environment {environment.name!r}."
                f"{meant(self.extractor, names)} It has {listed(names[: len(full)])}."
            )

    def _find_environment(self, registry: Registry) -> Environment | None:
        """Return the environment that has the extractor; None if it is installed here."""
        if not self.environment:
            _, elsewhere = split_by_environment([self.extractor], registry.extractors)
            return next(iter(elsewhere), None)
        environments = {item.name: item for item in list_environments()}
        if self.environment not in environments:
            raise ParameterError(
                f"environment must be one of {listed(environments) or 'none'}, got "
                f"{self.environment!r}. Create it: featx env create {self.environment} PACKAGE"
            )
        return environments[self.environment]

    def outputs(self, protocol: Protocol, member: Member) -> tuple[str, ...]:
        """Return the outputs that a protocol measures.

        Raises
        ------
        NotApplicableError
            If there is none.
        """
        kinds = member.outputs
        if protocol.clip is not None:
            return (self._clip_feature(kinds),)
        fitting = [name for name, kind in kinds.items() if kind in protocol.kinds]
        chosen = [name for name in protocol.outputs if name in fitting][:1]
        if self.feature or not chosen:
            raise NotApplicableError(
                f"{self.text} must have one of {listed(protocol.outputs)} "
                f"({' or '.join(protocol.kinds)}), got {listed(kinds)}."
            )
        return (*chosen, *(name for name in protocol.optional if name in fitting))

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
    """Read ``[ENVIRONMENT/]EXTRACTOR[.FEATURE][:KEY=VALUE...]``, or several joined by ``+``.

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
    environment, slash, rest = text.partition("/")
    if not slash or ":" in environment:  # the slash of a path to weights
        environment, rest = "", text
    name, *settings = rest.split(":")
    # a full name, DISTRIBUTION:NAME, holds a colon as well
    if settings and settings[0] and "=" not in settings[0]:
        name = f"{name}:{settings.pop(0)}"
    pairs = [setting.partition("=") for setting in settings]
    wrong = [key for key, sign, _ in pairs if not sign or not key]
    if wrong or not name:
        raise ParameterError(
            f"a competitor must be [ENVIRONMENT/]EXTRACTOR[.FEATURE][:KEY=VALUE...], got {text!r}."
        )
    params = {key: value for key, _, value in pairs}
    weights = params.pop("weights", "")
    if weights and weights != UNTRAINED:  # an environment may run in another folder
        weights = str(Path(weights).absolute())
    extractor, _, feature = name.partition(".")
    return Competitor(
        text=text,
        environment=environment,
        extractor=extractor,
        feature=feature,
        params=params,
        weights=weights,
    )


def default_competitors(registry: Registry) -> list[Entry]:
    """Return all extractors as they come, those of environments, and the fusions of `FUSIONS`."""
    names = [registry.shortest_name(name) for name in registry.extractors]
    names += [
        f"{environment.name}/{full_name.partition(':')[2]}"
        for environment in list_environments()
        for full_name in environment.extractors
        if full_name not in registry.extractors
    ]
    fused = [
        text for text in FUSIONS if all(part.partition(".")[0] in names for part in text.split("+"))
    ]
    return [parse_competitor(text) for text in (*names, *fused)]


def identity(member: Member, outputs: Sequence[str]) -> str:
    """Return a hash of everything that changes the numbers of ``outputs``."""
    plain: dict[str, Any] = {"recipe": member.recipe_id, "outputs": list(outputs)}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def ask_environment(environment: Environment, member: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `featx_bench.harness.member.describe` says in an environment, or ``error``."""
    with in_environment("answer", environment) as child:
        try:
            child.send(Request(values=member), seconds=_ANSWER_SECONDS)
            values: dict[str, Any] = child.receive(seconds=_ANSWER_SECONDS).values
        except ChildDiedError as error:
            return {"error": f"{error.cause}: {error.reason}"}
    return values


@contextmanager
def in_environment(
    program: str,
    environment: Environment | None,
    *,
    memory: int = 0,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    """Start a function of `featx_bench.harness.member` in an environment, or in this one."""
    if environment is None:
        place = f"featx_bench.harness.member:{program}"
        with Child(place, answers=[Answer], memory=memory, environment=variables) as child:
            yield child
        return
    with tempfile.TemporaryDirectory(prefix="featx-bench-") as folder:
        # featx-bench and what it needs are not installed there
        shutil.copy(Path(__file__).with_name("member.py"), Path(folder) / f"{_COPY}.py")
        with Child(
            f"{_COPY}:{program}",
            answers=[Answer],
            memory=memory,
            environment={**(variables or {}), "PYTHONPATH": folder},
            python=environment.python,
        ) as child:
            yield child
