"""The demo makes music, features, neighbours and a picture, and does nothing twice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_FILE = Path(__file__).parents[1] / "docs" / "demo.py"
_SPEC = importlib.util.spec_from_file_location("featx_demo", _FILE)
demo = importlib.util.module_from_spec(_SPEC)
sys.modules["featx_demo"] = demo
_SPEC.loader.exec_module(demo)

pytestmark = pytest.mark.xdist_group("demo")

SMALL = {"n_tracks": 4, "seed": 7, "duration": 6.0, "artists": ["Mira Voss", "Kite Parade"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COLLECTION", SMALL)
        patch.setattr(demo, "WANTED", {name: demo.WANTED[name] for name in ("mfcc", "chroma")})
        yield tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        demo.main(folder)
    return out.getvalue()


def test_demo_ends_with_tables_and_a_picture(first, folder):
    assert "Synthesised 4 pieces by 2 virtual artists" in first
    assert "nearest by mfcc.summary" in first
    assert "4 in = 4 ok + 0 failed + 0 skipped" in first
    assert (folder / "picture.png").stat().st_size > 50_000


def test_second_demo_computes_nothing(first, folder, capsys):
    before = (folder / "picture.png").read_bytes()
    demo.main(folder)
    told = capsys.readouterr().out
    assert "Found, made earlier" in told
    assert "nothing was computed" in told
    assert (folder / "picture.png").read_bytes() == before


def test_nearest_other_is_found_after_standardising():
    values = np.array([[0, 1000], [0.1, 0], [5, 1000], [5.1, 0]], dtype=np.float32)
    nudged = values + np.array([0.01, 1], dtype=np.float32)
    values = np.concatenate([values, nudged])
    nearest = demo.nearest_others(values, [f"t{n}" for n in range(8)])
    assert [nearest[f"t{n}"] for n in range(4)] == ["t4", "t5", "t6", "t7"]


def test_missing_extractors_are_named(monkeypatch):
    monkeypatch.setattr(demo, "WANTED", {"no-such-extractor": ("x",)})
    with pytest.raises(demo.FeatxError, match="no-such-extractor"):
        demo.installed()
