"""Malformed files: every one has an answer with a code, in a child, within a time limit."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import malformed
import pytest

from featx.guarded import Answer, Child, ChildDiedError, Request

N_FILES = 90
SEED = 11
TIMEOUT_S = 20.0
PROGRAM = "guarded_programs:decode_files"
#: what 8 kB that declare 2^36 - 1 frames may cost on top of an importing process
BOMB_SECONDS = 1.0
BOMB_MEGABYTES = 200

_BOMB_SCRIPT = """
import resource, sys, time
from featx.audio import decode
from featx.errors import AudioError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, start = peak(), time.perf_counter()
try:
    decode(sys.argv[1], rates=[None, 22050])
except AudioError as error:
    print(error.code, time.perf_counter() - start, peak() - before)
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("malformed") / "corpus"
    return folder, malformed.write_corpus(folder, n=N_FILES, seed=SEED)


@pytest.fixture(scope="module")
def answers(cases):
    """The answers of children that read the whole corpus: a code, or what one died of."""
    folder, found = cases
    answers = {}
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.syspath_prepend(str(Path(__file__).parent / "subjects"))
        child = None
        for case in found:
            child = child or stack.enter_context(Child(PROGRAM, answers=[Answer]))
            try:
                request = Request(values={"path": str(folder / case.name)})
                child.send(request, seconds=TIMEOUT_S)
                answers[case.name] = child.receive(seconds=TIMEOUT_S).values["code"]
            except ChildDiedError as error:
                answers[case.name], child = f"{error.cause}: {error.reason}", None
    return answers


@pytest.mark.parametrize("number", range(N_FILES))
def test_malformed_file_has_an_allowed_answer(cases, answers, number):
    case = cases[1][number]
    assert answers[case.name] in case.allowed, case.name


def test_corpus_repeats_with_its_seed(tmp_path):
    for name in ("a", "b"):
        malformed.write_corpus(tmp_path / name, n=50, seed=3, odd_paths=False)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    again = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    sizes = [{name: len(data) for name, data in corpus.items()} for corpus in (first, again)]
    assert sizes[0] == sizes[1]
    steady = ("-wav-", "-flac-", "-mp3-", "-aiff-", "-au-", "-caf-")  # others stamp time or serials
    compared = [name for name in first if any(key in name for key in steady)]
    assert len(compared) > 5
    assert [name for name in compared if first[name] != again[name]] == []


def test_bomb_costs_next_to_nothing(tmp_path):
    path = tmp_path / "bomb.flac"
    path.write_bytes(malformed.bomb())
    assert path.stat().st_size == 8192
    command = [sys.executable, "-c", _BOMB_SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    code, seconds, peak = done.stdout.split()
    peak_bytes = int(peak) * (1 if sys.platform == "darwin" else 1024)
    assert code == "lying-header"
    assert float(seconds) < BOMB_SECONDS
    assert peak_bytes < BOMB_MEGABYTES * 2**20
