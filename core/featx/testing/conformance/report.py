"""Outcomes of checks, expected failures, and the report that collects them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from featx.errors import FeatxError, ParameterError, listed

#: ``xfail`` is a failure that was declared with a reason; ``xpass`` one that was declared but did
#: not happen, which is a failure: the declaration is out of date.
Status: TypeAlias = Literal["pass", "fail", "skip", "xfail", "xpass"]

FAILED: tuple[Status, ...] = ("fail", "xpass")

#: check -> what it makes sure of, in the order of reports
EXTRACTOR_CHECKS: Mapping[str, str] = {
    "spec": "the spec is complete and valid",
    "light-import": "listing the plugin imports nothing heavy",
    "light-resolve": "resolving parameters imports neither torch nor numba",
    "params": "parameters are documented, and survive JSON and --set",
    "resolve": "resolve gives valid, repeatable outputs for every rate and choice",
    "weights": "weights are available, or not needed",
    "open": "the extractor opens and closes",
    "outputs": "every output has the declared shape, dtype and range, is finite, and varies",
    "repeatable": "the same input gives the same numbers, also after others and after reopening",
    "batch": "a batch of one equals a batch of 32",
    "order": "the order within a batch does not matter",
    "neighbours": "long and loud neighbours do not change a result",
    "input": "input arrays are left unmodified",
    "subset": "asking for one output gives the same numbers as asking for all",
    "shortest": "the shortest track that is taken has a finite answer",
    "quiet": "noise at -140 dB has a finite answer",
    "over-range": "samples beyond 1 have a finite answer",
    "silence": "silence has a finite answer",
    "one-sample": "one sample has a finite answer",
    "sub-window": "input shorter than one frame has a finite answer",
    "dc": "a constant has a finite answer",
    "full-scale": "a full-scale square wave has a finite answer",
    "few-samples": "files of one to seven samples have a finite answer",
    "stereo": "a stereo file gives what its down-mix gives",
    "frame-count": "the number of frames follows from length, hop and first",
    "alignment": "frames and events stand where the sound is",
    "blocks": "a long track that is read in blocks gives the same numbers",
    "resources": "tracks, opening and closing leak no files, processes, threads or memory",
    "surroundings": "global state of the process does not change",
    "stdout": "nothing is printed to stdout",
    "stderr": "nothing is printed to stderr",
    "warnings": "no Python warnings are raised",
    "no-pickle": "nothing is unpickled",
    "no-network": "the network is not used",
    "no-writes": "nothing is written outside the temporary and cache folders",
    "processes": "two processes in other surroundings give the same numbers",
    "hour-long": "an hour of audio is handled in bounded memory",
}

LOSS_CHECKS: Mapping[str, str] = {
    "spec": "the spec is complete and valid",
    "light-import": "listing the plugin imports nothing heavy",
    "params": "parameters are documented, and survive JSON and --set",
    "open": "the loss can be built with default parameters",
    "scalar": "the value is a finite scalar with a gradient, in float64 and float32",
    "roles": "the declared roles are taken; missing and unknown ones are refused by name",
    "gradient": "gradients agree with finite differences",
    "repeatable": "the same input gives the same value and gradient, also after rebuilding",
    "permutation": "the order within the batch does not matter",
    "no-pair": "no valid pair gives 0 with a gradient",
    "extremes": "equal, opposite, zero, tiny and huge embeddings give finite gradients",
    "input": "input tensors are left unmodified",
    "stdout": "nothing is printed to stdout",
    "stderr": "nothing is printed to stderr",
    "warnings": "no Python warnings are raised",
}

INDEX_CHECKS: Mapping[str, str] = {
    "spec": "the spec is complete and valid",
    "light-import": "listing the plugin imports nothing heavy",
    "params": "parameters are documented and can be written as JSON and with --set",
    "open": "the index can be built",
    "search": "neighbours and distances agree with those computed by numpy in float64; for an "
    "index that is not exact, recall at 10 is at least 0.9",
    "order": "distances ascend and lie within 0..2",
    "ties": "equal distances come in the order of ids",
    "zero-vectors": "a vector of zeros has distance 1 to every other",
    "large-k": "k larger than the number of vectors returns all of them",
    "input": "vectors and queries are left unmodified",
    "repeatable": "two builds of the same vectors give the same answers",
    "save-load": "a saved index gives the same answers",
    "digest": "loading for another state of the store is refused",
    "no-pickle": "nothing is unpickled",
    "no-network": "the network is not used",
    "no-writes": "nothing is written outside the folder given to save",
    "stdout": "nothing is printed to stdout",
    "stderr": "nothing is printed to stderr",
    "warnings": "no Python warnings are raised",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one check: its id, what came out, and a sentence that says what to do."""

    id: str
    status: Status
    message: str = ""
    seconds: float = 0.0


class ConformanceError(FeatxError, AssertionError):
    """A plugin does not keep the rules; ``report`` holds every check."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.summary())
        self.report = report


@dataclass(frozen=True, kw_only=True)
class Report:
    """All checks of one extractor, loss or index.

    Parameters
    ----------
    name : str
        Full name where the plugin is installed.
    kind : {'extractor', 'loss', 'index'}
        What was checked.
    outcomes : tuple of Outcome
        In the order of the tables above.
    notes : tuple of str
        What a reader should know, such as that the weights are untrained.
    """

    name: str
    kind: str
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and something was checked at all."""
        return bool(self.outcomes) and not self.failures

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The checks that failed, expected failures that passed among them."""
        return tuple(outcome for outcome in self.outcomes if outcome.status in FAILED)

    def __getitem__(self, check: str) -> Outcome:
        for outcome in self.outcomes:
            if outcome.id == check:
                return outcome
        raise KeyError(check)

    def count(self, status: Status) -> int:
        """Return how many checks ended as ``status``."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def summary(self) -> str:
        """Return the verdict, and one line per failure."""
        verdict = "passes" if self.passed else "does not pass"
        head = (
            f"{self.kind} {self.name!r} {verdict}: {self.count('pass')} passed, "
            f"{len(self.failures)} failed, {self.count('xfail')} known to fail, "
            f"{self.count('skip')} skipped"
        )
        return "\n".join([head, *(f"  {item.id}: {item.message}" for item in self.failures)])

    def require(self) -> Report:
        """Return the report itself if it passed, else raise `ConformanceError`."""
        if not self.passed:
            raise ConformanceError(self)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as ``featx check --json`` writes them."""
        return {
            "name": self.name,
            "kind": self.kind,
            "passed": self.passed,
            "notes": list(self.notes),
            "checks": [dataclasses.asdict(outcome) for outcome in self.outcomes],
        }


def check_expected(expected: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raise `ParameterError` unless every expected failure names a check and gives a reason."""
    for name, reason in expected.items():
        if name not in known:
            raise ParameterError(f"expected must name one of {listed(known)}, got {name!r}.")
        if not reason.strip():
            raise ParameterError(f"expected[{name!r}] must give a reason, got {reason!r}.")


def judge(
    results: Iterable[Outcome], *, expected: Mapping[str, str], known: Mapping[str, str]
) -> tuple[Outcome, ...]:
    """Sort outcomes by ``known``, and turn declared failures into ``xfail`` and ``xpass``."""
    order = list(known)
    outcomes = []
    for outcome in sorted(results, key=lambda item: order.index(item.id)):
        reason = expected.get(outcome.id)
        if reason is None or outcome.status == "skip":
            outcomes.append(outcome)
        elif outcome.status == "fail":
            message = f"expected: {reason} ({outcome.message})"
            outcomes.append(dataclasses.replace(outcome, status="xfail", message=message))
        else:
            message = f"was expected to fail ({reason}), but passes. Remove the expectation."
            outcomes.append(dataclasses.replace(outcome, status="xpass", message=message))
    return tuple(_folded(outcomes))


def _folded(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Say a failure once: a wrong shape, for one, breaks nearly every check in the same words."""
    first: dict[str, str] = {}
    for outcome in outcomes:
        if outcome.status == "fail" and outcome.message in first:
            message = f"for the same reason as {first[outcome.message]!r}"
            yield dataclasses.replace(outcome, message=message)
            continue
        if outcome.status == "fail":
            first[outcome.message] = outcome.id
        yield outcome
