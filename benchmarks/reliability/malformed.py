"""Write a corpus of malformed audio files and what may come of each.

    python benchmarks/reliability/malformed.py OUT --n 300 --seed 0 [--check]

OUT/corpus holds the files, OUT/expected.json ``{name: {"mutation": ..., "allowed": [codes]}}``
(``ok`` or failure codes). ``--check`` decodes every one in a child process with limits and prints
a table of the answers; the exit status is 1 when one crashes, hangs or gives another answer.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_S = 20.0
_HERE = Path(__file__).resolve()


def _mutator():
    """The mutator lives with the tests, which use a small corpus of the same kind."""
    path = _HERE.parents[2] / "tests" / "malformed.py"
    spec = importlib.util.spec_from_file_location("malformed", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["malformed"] = module
    spec.loader.exec_module(module)
    return module


def _answer(path: str) -> tuple[str, str, float, int]:
    """Decode in this (child) process; return code, reason, seconds and the peak of memory in kB."""
    from featx.audio import decode
    from featx.errors import AudioError

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        decode(path, rates=[None, 22050])
        code, reason = "ok", ""
    except AudioError as error:
        code, reason = error.code, error.reason
    seconds = time.perf_counter() - start
    return code, reason, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def serve(channel) -> None:
    """Answer for one file after the other; the program of the child."""
    from featx.guarded import Answer, Request

    while True:
        request = channel.wait(Request)
        channel.send(Answer(values={"answer": _answer(request.values["path"])}))


def _answers(paths: list[Path]) -> Iterator[tuple[str, str, float, int]]:
    """Yield what children say of each path."""
    from featx.guarded import Answer, Child, ChildDiedError, Request

    child = None
    for path in paths:
        child = child or Child(f"{_HERE.stem}:serve", answers=[Answer])
        try:
            child.send(Request(values={"path": str(path)}), seconds=TIMEOUT_S)
            yield tuple(child.receive(seconds=TIMEOUT_S).values["answer"])
        except ChildDiedError as error:
            child = None
            yield error.cause.upper(), error.reason, 0.0, 0
    if child is not None:
        child.kill()


def check(corpus: Path, expected: dict[str, dict]) -> int:
    """Decode every file in children; print a table; return the number of wrong answers."""
    table: collections.Counter[str] = collections.Counter()
    wrong, slowest, largest = [], (0.0, ""), (0, "")
    answers = _answers([corpus / name for name in expected])
    for name, (code, reason, seconds, memory) in zip(expected, answers, strict=True):
        table[code] += 1
        slowest, largest = max(slowest, (seconds, name)), max(largest, (memory, name))
        if code not in expected[name]["allowed"]:
            wrong.append(f"{name}: {code} ({reason}), allowed {expected[name]['allowed']}")
    for code, count in table.most_common():
        print(f"{code:20} {count:5}")
    print(f"{'files':20} {len(expected):5}")
    print(
        f"slowest {slowest[0]:.2f} s ({slowest[1]}), memory +{largest[0] // 1024} MB ({largest[1]})"
    )
    for line in wrong:
        print("WRONG", line)
    return len(wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    corpus = arguments.out / "corpus"
    cases = _mutator().write_corpus(corpus, n=arguments.n, seed=arguments.seed)
    expected = {
        case.name: {"mutation": case.mutation, "allowed": list(case.allowed)} for case in cases
    }
    (arguments.out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{len(cases)} files in {corpus}")
    return 1 if arguments.check and check(corpus, expected) else 0


if __name__ == "__main__":
    sys.exit(main())
