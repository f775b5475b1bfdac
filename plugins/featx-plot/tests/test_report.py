"""`featx report`: one page about a store."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import featx
from featx import Column, FeatureSpec
from featx.cli import main
from featx.errors import FAILURE_CODES, SKIP_CODES
from featx.store import Recipe, StoreWriter, TrackRecord, Unit
from featx.testing import tone
from featx_plot.charts import bands, histogram
from featx_plot.report import REMEDIES, outliers

HOSTILE = "</td><script>window.hacked=1</script>\x00.wav"
N = 40


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(N, 3)).astype(np.float32)
    vectors[7, 1] = 80.0
    tracks = [
        TrackRecord(
            track_id=f"{number}.wav",
            path=str(folder / f"a b/{number}.wav"),
            content=f"{number:064x}",
            size=1,
            mtime_ns=1,
            duration=60.0,
            tags={"title": HOSTILE if number == 7 else f"song {number}"},
        )
        for number in range(N)
    ]
    spec = FeatureSpec(
        name="summary",
        kind="clip",
        dim=3,
        columns=tuple(Column(name) for name in ("low", "<b>middle", "high")),
        description="x",
    )
    recipe = Recipe(extractor="featx-test:one", version="3", params={"k": "<i>"})
    bad = TrackRecord(track_id="bad<u>.wav", path="/bad", content="", size=1, mtime_ns=1)
    unit = Unit(
        track_id="bad<u>.wav", recipe=recipe.id, status="failed", code="truncated", reason="<s>end"
    )
    with StoreWriter(folder / "store", provenance={}) as writer:
        writer.write_shard(
            recipe, (spec,), tracks, [{"summary": vector} for vector in vectors], [8000] * N
        )
        writer.record(bad, [unit], recipes=[recipe])
    return folder / "store"


def report(store: Path, output: Path) -> str:
    words = ["report", str(store), "-o", str(output), "--title", "<T>"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return output.read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_every_failure_has_a_remedy() -> None:
    assert REMEDIES.keys() == FAILURE_CODES.keys() | SKIP_CODES.keys()


@pytest.mark.parametrize("code", REMEDIES)
def test_remedies_name_options_that_exist(code: str) -> None:
    import click

    context = click.Context(main)
    known = set()
    for name in ("run", "prune", "check"):
        command = main.get_command(context, name)
        assert command is not None
        known |= {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", REMEDIES[code])) <= known


def test_the_page_holds_text_only_as_text(store: Path, tmp_path: Path) -> None:
    text = report(store, tmp_path / "a.html")
    tags = Tags(text).found
    assert not {tag for tag, _ in tags} & {"script", "i", "u", "s", "img"}
    assert "script-src 'none'" in text
    assert "&lt;/td&gt;&lt;script&gt;window.hacked=1&lt;/script&gt;\\x00" in text
    assert not any("style" in attributes for _, attributes in tags)


def test_failures_come_with_their_remedy(store: Path, tmp_path: Path) -> None:
    text = report(store, tmp_path / "a.html")
    failures = text[text.index('id="failures"') : text.index('id="cost"')]
    for words in ("truncated", REMEDIES["truncated"], "bad&lt;u&gt;.wav", "&lt;s&gt;end"):
        assert words in failures


def test_what_stands_out_can_be_heard(store: Path, tmp_path: Path) -> None:
    text = report(store, tmp_path / "a.html")
    part = text[text.index('id="outliers"') :]
    assert part.index("&lt;b&gt;middle is 80") < part.index("<audio")
    sources = [attributes["src"] for tag, attributes in Tags(part).found if tag == "audio"]
    assert sources[0] is not None
    assert sources[0].endswith("a%20b/7.wav")
    assert not sources[0].startswith("/")


def test_a_real_run_says_what_it_cost(tmp_path: Path) -> None:
    for number in range(4):
        y = tone(300 + 100 * number, duration=3.0, sr=8000)
        soundfile.write(tmp_path / f"{number}.wav", y, 8000)
    (tmp_path / "empty.wav").touch()
    featx.run(
        [tmp_path / f"{n}.wav" for n in range(4)] + [tmp_path / "empty.wav"],
        tmp_path / "store",
        extractors="mfcc",
        features=["mfcc.summary", "mfcc.frames"],
        jobs=1,
    )
    text = report(tmp_path / "store", tmp_path / "a.html")
    costs = text[text.index('id="cost"') : text.index('id="distributions"')]
    assert re.search(r"mfcc</th>.*? s per track, [\d.e+]+ × real time", costs)
    size = int(re.search(r"([\d,]+) bytes per track", costs)[1].replace(",", ""))
    assert 65 * 4 + 13 * 4 * 100 < size < 30_000
    assert "quantiles" in text
    assert "licence" in text
    assert "MIT" in text
    assert REMEDIES["empty"] in text


def test_outliers_are_measured_in_spreads() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 2)) * [1, 1000]
    values[3] = [0, 9000]
    found = outliers(values, ["a", "b"], 5)
    assert found[0][0] == 3
    assert found[0][1] == pytest.approx(9 / np.sqrt(2), rel=0.1)
    assert found[0][2].startswith("b is 9000")
    assert outliers(np.ones((9, 2)), ["a", "b"], 5) == []


@pytest.mark.parametrize("values", [[], [np.nan], [1.0], [1.0] * 9, [1.0, 2.0, np.inf]])
def test_charts_draw_what_there_is(values: list[float]) -> None:
    assert "nan" not in histogram(np.array(values), name="x").lower()
    column = np.array(values, np.float64).reshape(-1, 1)
    assert "nan" not in bands(column, name="x").lower()
