"""`featx explore`: a page that holds a collection and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import featx
from featx import FeatureSpec
from featx.cli import main
from featx.manifest import read_manifest
from featx.store import Recipe, StoreWriter, TrackRecord
from featx.testing import tone
from featx_plot.explore import parts_of, quantised
from featx_plot.pages import asset, page, script_json, shown

#: Names as strangers write them: ids first, then titles.
HOSTILE = [
    ("</script><script>window.hacked=1</script>.wav", "<!--<script>"),
    ("\"'><img src=x onerror=window.hacked=1>.wav", "</title><b>'\"&amp;"),
    ("مرحبا.wav", "\u202egnp.exe"),
    ("a\nb\r#c.wav", "nul \x00 and \x1b[31m"),
    ("caf\udce9.wav", "  "),
    ("#hash ☃ %41?.wav", "u2028\u2028u2029\u2029"),
    ("deep/ er/one.wav", "__proto__"),
    ("two.wav", "${window.hacked=1}"),
]
N, DIM = len(HOSTILE), 8
ASPECTS = {"first": (0, 3), "second": (3, 7)}
#: Scores of 16-bit vectors against those of float32.
ROUNDING = 2e-4


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two features, one with aspects, of tracks with hostile names."""
    folder = tmp_path_factory.mktemp("explore")
    rng = np.random.default_rng(5)
    tracks, vectors, others = [], [], []
    for number, (name, title) in enumerate(HOSTILE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:  # soundfile takes no names that are not UTF-8
            y = tone(200 * (number + 1), duration=2.0, sr=8000)
            soundfile.write(stream, y, 8000, format="WAV")
        tags = {
            "title": title,
            "artist": f"<i>{number % 2}</i>",
            "tags": "a;b" if number % 2 else "c",
        }
        tracks.append(
            TrackRecord(
                track_id=name,
                path=str(path),
                content=f"{number:064x}",
                size=1,
                mtime_ns=1,
                duration=2.0,
                sr=8000,
                channels=1,
                tags=tags,
            )
        )
        vectors.append(
            {
                "embedding": np.concatenate([1e-3 * rng.normal(size=3), rng.normal(size=5)]).astype(
                    np.float32
                )
            }
        )
        others.append({"summary": (50 + rng.normal(size=4)).astype(np.float32)})
    spec = FeatureSpec(name="embedding", kind="clip", dim=DIM, description="x", aspects=ASPECTS)
    other = FeatureSpec(name="summary", kind="clip", dim=4, description="x")
    with StoreWriter(folder / "store", provenance={}) as writer:
        for extractor, feature, values in (("one", spec, vectors), ("two", other, others)):
            recipe = Recipe(extractor=f"featx-test:{extractor}", version="1")
            writer.write_shard(recipe, (feature,), tracks, values, [8000] * N)
    return folder


@pytest.fixture(scope="module")
def songs(collection: Path) -> Path:
    output = collection / "songs.html"
    explore(collection / "store", "-o", output, "--method", "pca", "--title", "<Songs> & \x00")
    return output


def explore(*arguments: object, code: int = 0) -> str:
    words = ["explore", *(str(each) for each in arguments)]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


class Elements(HTMLParser):
    """What a parser sees: elements with attributes, and the text of some."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside][-1] += data


def data_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Elements(path).texts["script"][0])
    return found


# ------------------------------------------------------------------------------------ structure
def test_hostile_names_are_data_and_nothing_else(songs: Path) -> None:
    elements = Elements(songs)
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert not any(key.startswith("on") for _, attributes in elements.tags for key in attributes)
    assert "img" not in elements.texts
    data = data_of(songs)
    order = sorted(range(N), key=lambda i: HOSTILE[i][0].encode("utf-8", "surrogateescape"))
    assert data["tracks"]["ids"] == [shown(HOSTILE[i][0]) for i in order]
    expected = [shown(HOSTILE[i][1].strip() or Path(HOSTILE[i][0]).stem) for i in order]
    assert data["tracks"]["names"] == expected
    assert elements.texts["title"] == ["<Songs> & \\x00"]


def test_the_policy_names_the_only_scripts_and_styles(songs: Path) -> None:
    elements = Elements(songs)
    policy = next(a["content"] for _, a in elements.tags if a.get("http-equiv")) or ""
    for kind, text in (
        ("script", elements.texts["script"][1]),
        ("style", elements.texts["style"][0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_refers_to_nothing_outside(songs: Path) -> None:
    elements = Elements(songs)
    named = {key for _, attributes in elements.tags for key in attributes}
    assert not named & {"src", "href", "action", "srcset", "style"}
    for name in ("page.css", "explore.css"):
        assert "url(" not in asset(name)
        assert "@import" not in asset(name)
    code = "".join(asset(name) for name in ("ranking.js", "map.js", "explore.js"))
    for word in ("fetch(", "XMLHttpRequest", "innerHTML", "insertAdjacentHTML", "eval(", "import("):
        assert word not in code


def test_json_ends_no_element() -> None:
    hostile = "</script><!--\u2028 & \udcff"
    text = script_json([hostile])
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == [hostile]


def test_audio_is_an_address_relative_to_the_page(collection: Path, tmp_path: Path) -> None:
    output = collection / "pages" / "songs.html"
    output.parent.mkdir(exist_ok=True)
    explore(collection / "store", "-o", output, "--method", "pca", "--overwrite")
    audio = data_of(output)["tracks"]["audio"]
    assert "../two.wav" in audio
    assert "../caf%E9.wav" in audio
    assert "../%23hash%20%E2%98%83%20%2541%3F.wav" in audio


def test_every_entry_of_a_playlist_finds_its_file(collection: Path, songs: Path) -> None:
    entries = data_of(songs)["tracks"]["entries"]
    path = collection / "list.m3u8"
    path.write_text("\n".join(["#EXTM3U", *entries]) + "\n", encoding="utf-8")
    files = {row.path for row in read_manifest(path)}
    assert files == {str(collection / name) for name, _ in HOSTILE}


def test_previews_are_in_the_page(collection: Path) -> None:
    output = collection / "embedded.html"
    explore(
        collection / "store", "-o", output, "--method", "pca", "--embed-audio", "1", "--overwrite"
    )
    data = data_of(output)
    row = data["tracks"]["ids"].index("two.wav")
    head, _, text = data["tracks"]["audio"][row].partition(",")
    assert head == "data:audio/ogg;base64"
    y, sr = soundfile.read(io.BytesIO(base64.b64decode(text)))
    assert len(y) / sr == pytest.approx(1.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    assert spectrum.argmax() * sr / len(y) == pytest.approx(200 * N, rel=0.02)


def test_tracks_without_audio_are_counted(collection: Path, tmp_path: Path) -> None:
    moved = tmp_path / "store"
    shutil.copytree(collection / "store", moved)
    hidden = collection / "two.wav"
    hidden.rename(collection / "elsewhere.wav")
    try:
        output = explore(moved, "-o", tmp_path / "a.html", "--method", "pca", "--embed-audio")
    finally:
        (collection / "elsewhere.wav").rename(hidden)
    assert "1 track without audio: missing (1)" in output
    assert data_of(tmp_path / "a.html")["tracks"]["audio"].count(None) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-size", "2K"), "raise --max-size"),
        (("--column", "one.embedding"), "extractor.feature:column"),
        (("--column", "one.embedding:9"), "got '9'"),
        (("--features", "one.nothing"), "nothing"),
    ],
)
def test_wrong_options_are_refused(
    collection: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    output = explore(
        collection / "store", "-o", tmp_path / "a.html", "--method", "pca", *options, code=2
    )
    assert message in output
    assert not (tmp_path / "a.html").exists()


def test_columns_are_checked_before_the_layout(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "featx_plot.explore.layout", lambda *a, **k: pytest.fail("tracks were placed")
    )
    output = tmp_path / "a.html"
    message = explore(collection / "store", "-o", output, "--column", "one.embedding:9", code=2)
    assert "got '9'" in message


def test_columns_are_labels_durations_features_and_a_manifest(
    collection: Path, tmp_path: Path
) -> None:
    manifest = collection / "songs.csv"
    lines = [f"{number + 30.00002267573696},C" for number in range(2)]
    text = f"path,length,key\ntwo.wav,{lines[0]}\ndeep/ er/one.wav,{lines[1]}\n"
    manifest.write_text(text, encoding="utf-8")
    output = tmp_path / "a.html"
    explore(
        collection / "store", "-o", output, "--method", "pca", "--manifest", manifest,
        "--column", "two.summary:1,featx-test:two.summary:0",
    )  # fmt: skip
    columns = {column["name"]: column for column in data_of(output)["columns"]}
    assert list(columns)[:3] == ["artist", "tags", "title"]
    assert {"tags: a", "tags: c", "duration (s)", "key", "two.summary:1"} <= set(columns)
    assert "featx-test:two.summary:0" in columns
    assert columns["artist"]["classes"] == ["<i>0</i>", "<i>1</i>"]
    assert sum(code == 0 for code in columns["key"]["codes"]) == 2
    assert columns["length"]["classes"] == ["30", "31"]


# --------------------------------------------------------------------------------- arithmetic
def in_node(gallery: featx.index.Gallery, code: str, *, width: int = 2) -> Any:
    """Run code after ``ranking`` and ``ids`` with Node.js, and return its last value."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js (node) is not installed")
    vectors = quantised(gallery.vectors, parts_of(gallery), width=width)
    script = f"""{asset("ranking.js")}
    const v = {script_json(vectors)}, ids = {script_json(list(gallery.view.ids))};
    const ranking = new Ranking({{n: ids.length, dim: v.dim, edges: v.edges, parts: v.parts,
      values: unpack(v.values, v.bytes === 2 ? Int16Array : Int8Array),
      scales: unpack(v.scales, Float32Array)}});
    process.stdout.write(JSON.stringify((() => {{ {code} }})()));"""
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ranked(gallery: featx.index.Gallery, queries: Sequence[str], weights: Sequence[float]) -> Any:
    rows = [gallery.view.ids.index(name) for name in queries]
    return in_node(
        gallery,
        f"""const w = {list(weights)}, c = ranking.cosines(ranking.query({rows}));
        const s = ranking.scores(c, w);
        return ranking.nearest(s, 99, new Set({rows})).map((row) => [ids[row], s[row],
          ranking.reasons(c, w, row).map(({{part, share}}) => share)]);""",
    )


@pytest.mark.parametrize(
    ("weights", "options"),
    [
        ((1, 0, 0), {}),
        ((0, 2, 0.5), {"weights": {"first": 2, "second": 0.5}}),
        ((0, 0, 1), {"weights": {"second": 1}}),
        ((1, 1, 2), {"weights": {"first": 1, "second": 2}, "beta": 0.25}),
        ((0, 1, -0.5), {"weights": {"first": 1, "second": -0.5}, "signed": True}),
    ],
)
@pytest.mark.parametrize("queries", [["two.wav"], ["two.wav", "مرحبا.wav"]])
def test_the_page_ranks_as_search_does(
    collection: Path, weights: Sequence[float], options: dict[str, Any], queries: list[str]
) -> None:
    with featx.open_store(collection / "store") as store:
        gallery = featx.index.Gallery(store, feature="one.embedding")
        expected = gallery.search(queries, k=99, **options)
        answers = ranked(gallery, queries, weights)
    assert [name for name, _, _ in answers] == [item.track_id for item in expected]
    for (_, score, shares), item in zip(answers, expected, strict=True):
        assert score == pytest.approx(1 - item.distance, abs=ROUNDING)
        assert sum(shares) == pytest.approx(score, abs=1e-5)
        if "weights" in options:
            parts = [share for name, share in item.reasons.items() if name != "overall"]
            assert shares[-len(parts) :] == pytest.approx(parts, abs=ROUNDING)


def test_the_page_weighs_features_as_search_does(collection: Path) -> None:
    with featx.open_store(collection / "store") as store:
        gallery = featx.index.Gallery(store, feature=["one.embedding", "two.summary"])
        weights = {"one.embedding": 1.0, "two.summary": 0.5}
        expected = gallery.search("two.wav", k=99, weights=weights)
        answers = ranked(gallery, ["two.wav"], (1.0, 0, 0, 0.5))
    assert [name for name, _, _ in answers] == [item.track_id for item in expected]
    for (_, score, _), item in zip(answers, expected, strict=True):
        assert score == pytest.approx(1 - item.distance, abs=ROUNDING)


def test_eight_bits_keep_small_notions(collection: Path) -> None:
    with featx.open_store(collection / "store") as store:
        gallery = featx.index.Gallery(store, feature="one.embedding")
        expected = gallery.search("two.wav", k=99, weights={"first": 1}, exclude=())
        scores = in_node(
            gallery,
            f"return [...ranking.scores(ranking.cosines(ranking.query("
            f"[{gallery.view.ids.index('two.wav')}])), [0, 1, 0])];",
            width=1,
        )
        found = dict(zip(gallery.view.ids, scores, strict=True))
    for item in expected:
        assert found[item.track_id] == pytest.approx(1 - item.distance, abs=0.02)


def test_a_playlist_has_a_line_per_thing(collection: Path) -> None:
    with featx.open_store(collection / "store") as store:
        gallery = featx.index.Gallery(store, feature="one.embedding")
        text = in_node(
            gallery, 'return playlist([{entry: "a.wav", seconds: 2.4, name: "x\\n#EXT\\u2028y"}]);'
        )
    assert text == "#EXTM3U\n#EXTINF:2,x #EXT y\na.wav\n"


def test_a_page_without_scripts_allows_none() -> None:
    text = page("t", "<p>x</p>", styles=("page.css",))
    assert "script-src 'none'" in text
