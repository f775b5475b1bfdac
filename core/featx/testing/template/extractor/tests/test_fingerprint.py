"""Numbers that change ask for another version: stores then know that older results are stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from featx.testing import fingerprint

FILE = Path(__file__).with_name("fingerprint.json")


def test_numbers_change_only_with_the_version() -> None:
    kept, now = json.loads(FILE.read_text(encoding="utf-8")), fingerprint("example-name")
    remedy = f"Write it anew: python {Path(__file__).name}"
    assert now["version"] == kept["version"], f"{FILE.name} is of another version. {remedy}"
    for what, numbers in now["numbers"].items():
        assert numbers == pytest.approx(kept["numbers"][what], rel=1e-3, abs=1e-3), (
            f"{what} has changed: bump version in the ExtractorSpec. {remedy}"
        )


if __name__ == "__main__":
    FILE.write_text(json.dumps(fingerprint("example-name"), indent=1) + "\n", encoding="utf-8")
