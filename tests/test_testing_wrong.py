"""What the kit finds: extractors that are wrong in one way each, by the check that names them."""

from __future__ import annotations

import importlib
import logging
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.errors import ExtractionError
from featx.testing import Outcome, examine_extractor
from featx.testing.conformance.extractors import _Battery
from featx.testing.conformance.host import Session
from featx.testing.conformance.recording import CheckFailed, Recorder
from featx.testing.conformance.runner import _Runner, find_target
from featx.testing.conformance.surroundings import Surroundings

SUBJECTS = Path(__file__).parent / "subjects"


@pytest.fixture(scope="module")
def wrong():
    sys.path.insert(0, str(SUBJECTS))
    yield importlib.import_module("wrong_extractors")
    sys.path.remove(str(SUBJECTS))


@pytest.fixture
def shared_state(wrong, monkeypatch, tmp_path):
    """Undo what a subject does to this process."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", os.environ["HOME"])
    monkeypatch.setattr(np.fft, "rfft", np.fft.rfft)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    states = np.random.get_state(), random.getstate(), np.geterr()
    alarm = signal.getsignal(signal.SIGALRM)
    yield
    if torch:
        torch.set_num_threads(threads)
    if wrong.LeavesAProcess.process is not None:
        wrong.LeavesAProcess.process.kill()
        wrong.LeavesAProcess.process.wait()
        wrong.LeavesAProcess.process = None
    np.random.set_state(states[0])
    random.setstate(states[1])
    np.seterr(**states[2])
    signal.signal(signal.SIGALRM, alarm)


def run_check(spec, check: str) -> None:
    """Run one check of the battery in this process."""
    surroundings = Surroundings()
    session = Session(find_target("extractor", spec, params={}))
    battery = _Battery(session, Recorder(lambda _: None), surroundings)
    with session.opened() as extractor:
        checks = {**battery.checks(extractor, long=False), **battery.checks_of_instances()}
        checks[check]()


def compare_processes(spec, folder: Path) -> Outcome:
    """Run the check of two processes alone, in processes with fixed hash seeds."""
    target = find_target("extractor", spec, params={})
    runner = _Runner(target, folder, long=False, timeout=60.0)
    (outcome,) = runner.child("processes", ["processes"])
    return outcome


#: subject -> (check that finds it, what it says)
FOUND = {
    "CountAtRoundLengths": ("frame-count", "samples more must give"),
    "CountAtEveryFourthHop": ("frame-count", "samples more must give"),
    "CountOfPowersOfTwo": ("frame-count", "samples more must give"),
    "CountInLongTracks": ("frame-count", "samples more must give"),
    "HopOffByOne": ("frame-count", "samples more must give"),
    "HopOffByOneFilledUp": ("alignment", "must keep step with the sound"),
    "HalfAWindowLate": ("alignment", "ms too late"),
    "HalfAWindowEarly": ("alignment", "ms too early"),
    "Backwards": ("alignment", "frames must"),
    "EventsInMinutes": ("alignment", "they move by 0.116"),
    "EventsInMilliseconds": ("outputs", "time must lie within"),
    "EventsInFrames": ("outputs", "time must lie within"),
    "EventsAsShares": ("alignment", "Is time in seconds"),
    "EventsAtTwiceTheRate": ("alignment", "they move by 3"),
    "EventsBeforeTheStart": ("outputs", "time must lie within"),
    "EventBeyondTheEnd": ("outputs", "clip the last one"),
    "Constant": ("outputs", "must depend on the sound"),
    "Masked": ("silence", "clip must be finite"),
    "LogOfQuietNoise": ("quiet", "clip must be finite"),
    "OverflowsInInt16": ("over-range", "samples beyond 1"),
    "NeedsMoreThanItSays": ("shortest", "too short"),
    "RunningMaximum": ("repeatable", "earlier tracks must not change"),
    "CacheByLength": ("repeatable", "must give the same numbers"),
    "ReusesItsBuffer": ("repeatable", "Return new arrays"),
    "SharedByInstances": ("repeatable", "closing an instance"),
    "DrawsFromNumpy": ("surroundings", "random state of numpy"),
    "SeedsNumpy": ("surroundings", "random state of numpy"),
    "SeedsRandom": ("surroundings", "random state of random"),
    "SeedsTorch": ("surroundings", "random state of torch"),
    "ChangesFolder": ("surroundings", "the working folder"),
    "ThreadsOfTorch": ("surroundings", "torch.set_num_threads"),
    "SilencesNumpy": ("surroundings", "numpy.seterr"),
    "PatchesNumpy": ("surroundings", "numpy.fft.rfft"),
    "TakesASignal": ("surroundings", "signal handlers"),
    "SetsUpLogging": ("surroundings", "root logger"),
    "SetsAVariable": ("surroundings", "the variable HOME"),
    "StreamsReadsAll": ("blocks", "must read a long track by blocks"),
    "StreamsWithoutState": ("blocks", "in blocks of 1 samples or 1 frames what extract gives"),
    "StreamsMeanOfMeans": ("blocks", "clip differs"),
    "StreamsForgetsTheEnd": ("blocks", "what extract gives"),
    "StreamsWithoutStream": ("blocks", "declares streaming without stream"),
    "LeaksPerTrack": ("resources", "memory must not grow with every track"),
    "LeavesTemporaryFiles": ("resources", "temporary files must be removed"),
    "LeavesAProcess": ("resources", "no process must be left"),
}

#: found by two processes in different surroundings
FOUND_BY_PROCESSES = {
    "FirstTrackDecides": "clip differs",
    "ReadsTheWorkingFolder": "clip differs",
    "ReadsHome": "differs",
    "ReadsTheHashSeed": "clip differs",
    "ReadsTheTimeZone": "clip differs",
    "Uninitialised": "clip differs",
}


#: what the declared spec of a subject must be for its fault to show
CHANGES = {"NeedsMoreThanItSays": {"min_duration": 0.5}, "DrawsFromNumpy": {"tolerance": 1e-6}}


@pytest.mark.parametrize(("subject", "check", "message"), [(k, *v) for k, v in FOUND.items()])
def test_wrong_extractor_is_found(wrong, shared_state, subject, check, message):
    if "Torch" in subject:
        pytest.importorskip("torch")
    spec = wrong.spec(getattr(wrong, subject), **CHANGES.get(subject, {}))
    with pytest.raises((CheckFailed, ExtractionError), match=message):
        run_check(spec, check)


def test_extractor_that_streams_well_passes(wrong):
    run_check(wrong.spec(wrong.Streams), "blocks")


@pytest.mark.parametrize(("subject", "message"), FOUND_BY_PROCESSES.items())
def test_what_depends_on_its_surroundings_is_found(wrong, tmp_path, subject, message):
    outcome = compare_processes(wrong.spec(getattr(wrong, subject)), tmp_path)
    assert outcome.status == "fail"
    assert message in outcome.message


def test_resolve_that_depends_on_its_surroundings_is_found(wrong, tmp_path):
    spec = wrong.spec(resolve="wrong_extractors:resolve_by_home")
    assert "resolve gives them other outputs" in compare_processes(spec, tmp_path).message


def test_output_of_c_is_found_and_crashes_are_still_explained(wrong):
    report = examine_extractor(wrong.spec(wrong.WritesToStderrFromC))
    assert {item.id for item in report.failures} == {"stderr"}
    assert "model loaded" in report["stderr"].message


@pytest.mark.parametrize("resolve", ["resolve_uncentred", "resolve_centred"])
def test_frames_are_judged_by_what_the_spec_says(wrong, resolve):
    spec = wrong.spec(wrong.BeginsAtZero, resolve=f"wrong_extractors:{resolve}")
    if resolve == "resolve_uncentred":
        run_check(spec, "alignment")
        run_check(spec, "frame-count")
    else:
        with pytest.raises(CheckFailed, match="ms too early"):
            run_check(spec, "alignment")
