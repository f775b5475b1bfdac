"""From what a user names to tracks: ids, order, manifests and their wrong lines."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from featx.engine import Inputs
from featx.errors import ParameterError
from featx.manifest import manifest_columns, read_manifest


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for name in ("b/2.wav", "b/10.flac", "a.MP3", ".hidden.wav", "b/._x.wav", "notes.txt"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "music"


def ids(*inputs: Any, stdin: bytes = b"", **more: Any) -> list[str]:
    return [track.track_id for track in Inputs(inputs, stdin=io.BytesIO(stdin), **more)]


def test_folder_gives_its_audio_files_in_order(music: Path) -> None:
    assert ids(music) == ["a.MP3", "b/10.flac", "b/2.wav"]


def test_paths_are_absolute(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(music.parent)
    assert next(iter(Inputs(["music"]))).path == str(music / "a.MP3")


def test_single_file_is_called_by_its_name(music: Path) -> None:
    assert ids(music / "b/2.wav") == ["2.wav"]


def test_several_inputs_count_from_their_common_parent(music: Path) -> None:
    assert ids(music / "b", music / "a.MP3") == ["b/10.flac", "b/2.wav", "a.MP3"]


def test_any_file_named_itself_is_taken(music: Path) -> None:
    assert ids(music / "notes.txt") == ["notes.txt"]


def test_glob_is_expanded(music: Path) -> None:
    assert ids(f"{music}/b/*.flac") == ["10.flac"]


def test_overlapping_inputs_give_each_file_once(music: Path) -> None:
    assert ids(music, music / "b", music / "b/2.wav") == ["a.MP3", "b/10.flac", "b/2.wav"]


def test_links_to_folders_are_followed_but_not_in_circles(music: Path) -> None:
    (music / "b/loop").symlink_to(music)
    (music / "c").symlink_to(music / "b")
    assert ids(music) == ["a.MP3", "b/10.flac", "b/2.wav", "c/10.flac", "c/2.wav"]


def test_stdin_is_a_list_of_files(music: Path) -> None:
    lines = f"{music}/b/2.wav\n\n{music}/a.MP3\r\n".encode()
    assert ids("-", stdin=lines) == ["b/2.wav", "a.MP3"]


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_names_on_stdin_may_end_with_nul(music: Path, end: bytes) -> None:
    odd = music / "two\nlines.wav"
    odd.touch()
    names = b"\0".join([os.fsencode(odd), os.fsencode(music / "b/2.wav")]) + end
    assert ids("-", stdin=names, null=True) == ["two\nlines.wav", "b/2.wav"]
    with pytest.raises(ParameterError, match="got a NUL byte: add -0"):
        ids("-", stdin=names)


def test_lists_may_begin_with_a_byte_order_mark(music: Path) -> None:
    line = f"{music}/a.MP3\n".encode()
    assert ids("-", stdin=b"\xef\xbb\xbf" + line) == ["a.MP3"]
    with pytest.raises(ParameterError, match="got UTF-16"):
        ids("-", stdin=line.decode().encode("utf-16"))


def test_long_lists_are_whole(music: Path) -> None:
    lines = b"".join(f"{music}/{'x' * 50}{number}.wav\n".encode() for number in range(3000))
    assert len(ids("-", stdin=lines)) == 3000


# ------------------------------------------------------------------------------- left out
def test_every_file_of_a_folder_stands_in_some_count(music: Path) -> None:
    for name in ("cover.jpg", "b/notes.txt", "b/README", ".hidden.wav", ".git/x.wav", "b/live.wav"):
        (music / name).parent.mkdir(exist_ok=True)
        (music / name).touch()
    (music / "circle").symlink_to(music)
    inputs = Inputs([music], exclude=["live*"])
    assert inputs.count() == 3
    assert inputs.count() == 3  # another walk counts anew
    assert inputs.left_out == {
        "without a suffix of audio": 4,
        "hidden": 3,
        "excluded": 1,
        "links in a circle": 1,
    }
    both = Inputs([music, music / "a.MP3"])
    assert (both.count(), both.left_out["named twice"]) == (4, 1)


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.wav", ["a.MP3", "b/10.flac"]),
        ("b", ["a.MP3"]),
        ("b/", ["a.MP3"]),
        ("b/1*", ["a.MP3", "b/2.wav"]),
        ("B", ["a.MP3", "b/10.flac", "b/2.wav"]),
    ],
)
def test_patterns_leave_out_files_and_folders(music: Path, pattern: str, left: list[str]) -> None:
    assert ids(music, exclude=[pattern]) == left
    listed = "".join(f"{music}/{name}\n" for name in ("a.MP3", "b/10.flac", "b/2.wav")).encode()
    assert ids("-", stdin=listed, exclude=[pattern]) == left


def test_an_unreadable_folder_costs_itself(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert ids(music) == ["a.MP3", "b"]
    with pytest.raises(ParameterError, match="must be readable: Permission denied"):
        ids(music / "b")


def test_undecodable_names_survive(music: Path) -> None:
    name = b"caf\xe9.wav"
    (Path(os.fsdecode(os.fsencode(music) + b"/" + name))).touch()
    assert os.fsencode(ids(music)[-1]) == name


def test_inputs_can_be_walked_again(music: Path) -> None:
    found = Inputs(["-"], stdin=io.BytesIO(f"{music}/a.MP3".encode()))
    assert found.count() == 1
    assert [track.track_id for track in found] == ["a.MP3"]


@pytest.mark.parametrize("given", ["nowhere", "no/*.wav", "no[th]ing"])
def test_missing_inputs_are_named(given: str) -> None:
    with pytest.raises(ParameterError, match=r"no (such )?file or folder"):
        Inputs([given])


def test_no_input_at_all() -> None:
    with pytest.raises(ParameterError, match="at least one file or folder"):
        Inputs([])


# ------------------------------------------------------------------------------ manifests
def manifest(folder: Path, text: str, name: str = "tracks.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_rows_are_relative_to_its_folder(music: Path) -> None:
    path = manifest(music, "artist,path,tempo\nX,b/2.wav,120\n,./a.MP3,\n")
    first, second = Inputs([path])
    assert (first.track_id, first.path) == ("b/2.wav", str(music / "b/2.wav"))
    assert first.tags == {"artist": "X", "tempo": "120"}
    assert (second.track_id, second.tags) == ("a.MP3", {})


def test_manifest_may_give_ids(music: Path) -> None:
    path = manifest(music, "path,track_id\nb/2.wav,second\na.MP3,first\n")
    assert ids(path) == ["second", "first"]


def test_parquet_manifest_equals_csv(music: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table(
        {
            "path": ["b/2.wav", "a.MP3"],
            "tempo": [120.5, None],
            "tags": [["x", "y"], []],
            "other": [1, 2],
        }
    )
    pyarrow.parquet.write_table(table, music / "t.parquet")
    first, second = Inputs([music / "t.parquet"])
    assert (first.track_id, first.tags) == ("b/2.wav", {"tempo": "120.5", "tags": "x;y"})
    assert (second.track_id, second.tags) == ("a.MP3", {})


def test_further_columns_are_read_when_asked_for(music: Path) -> None:
    path = manifest(music, "path,genre,year\nb/2.wav,jazz,1959\na.MP3,,1960\n")
    first, second = read_manifest(path, columns=["genre"])
    assert (first.tags, second.tags) == ({"genre": "jazz"}, {})


def test_further_columns_of_parquet(music: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table({"path": ["b/2.wav"], "year": [1959], "other": ["x"]})
    pyarrow.parquet.write_table(table, music / "t.parquet")
    (row,) = read_manifest(music / "t.parquet", columns=["year"])
    assert row.tags == {"year": "1959"}


def test_missing_further_column_is_refused(music: Path) -> None:
    path = manifest(music, "path,genre\nb/2.wav,jazz\n")
    with pytest.raises(ParameterError, match="must have a column 'year', got path, genre"):
        list(read_manifest(path, columns=["year"]))


def test_wrong_lines_are_named_together(music: Path) -> None:
    text = "path,tempo\nb/2.wav,120\n,100\na.MP3,fast\nb/10.flac\n"
    with pytest.raises(ParameterError, match="3 wrong ones") as caught:
        ids(manifest(music, text))
    told = str(caught.value)
    assert "line 3: path is empty" in told
    assert "line 4: tempo must be a number > 0, got 'fast'" in told
    assert "line 5: has 1 fields, the header 2" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("artist,title\nx,y\n", "must have a column 'path'"),
        ("", "must have a column 'path'"),
        ("path,path\na,b\n", "name each column once"),
        ('path\n"a.wav\n', "line 2"),
    ],
)
def test_wrong_manifests(music: Path, text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ids(manifest(music, text))


def test_manifest_in_another_encoding(music: Path) -> None:
    (music / "x.csv").write_bytes("path\ncafé.wav\n".encode("latin-1"))
    with pytest.raises(ParameterError, match="must be UTF-8"):
        ids(music / "x.csv")


def test_broken_parquet(music: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ParameterError, match="must be a Parquet file"):
        ids(manifest(music, "no parquet", "x.parquet"))


@pytest.mark.parametrize(
    "text",
    [
        "path;artist\nb/2.wav;Ana, Ben\n",
        '"path";"artist"\n"b/2.wav";"Ana, Ben"\n',
        "path\tartist\nb/2.wav\tAna, Ben\n",
        "Path;Artist;;\nb/2.wav;Ana, Ben;;\n;;;\n",
        "sep=;\nartist;path\nAna, Ben;b/2.wav\n",
        "sep=|\nartist|path\nAna, Ben|b/2.wav\n",
        'path,artist\r\nb/2.wav,"Ana, Ben"\r\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_manifests_of_spreadsheets(music: Path, text: str, encoding: str) -> None:
    path = music / "songs.csv"
    path.write_bytes(text.encode(encoding))
    (track,) = Inputs([path])
    assert (track.track_id, dict(track.tags)) == ("b/2.wav", {"artist": "Ana, Ben"})
    assert {"path", "artist"} == {name.lower() for name in manifest_columns(path)}


def test_wrong_lines_of_a_spreadsheet_have_their_numbers(music: Path) -> None:
    path = manifest(music, "sep=;\npath;artist\nb/2.wav;x\na.MP3;y;z\n")
    with pytest.raises(ParameterError, match="line 4: has 3 fields, the header 2"):
        ids(path)


def test_playlists_are_lists(music: Path) -> None:
    (music / "b/caf\u00e9.wav").touch()
    (music / "b/na\u00efve.wav").touch()
    lines = [
        b"\xef\xbb\xbf#EXTM3U",
        b"#EXTINF:123,Somebody - Something",
        b"b/2.wav\r",
        b"b\\10.flac",
        "b/caf\u00e9.wav".encode(),
        "b/na\u00efve.wav".encode("cp1252"),
        f"file://{music}/a%2EMP3".encode(),
        b"nowhere.wav",
        b"",
    ]
    for name in ("list.m3u", "list.M3U8"):
        (music / name).write_bytes(b"\n".join(lines))
        assert ids(music / name) == [
            *("b/2.wav", "b/10.flac", "b/caf\u00e9.wav", "b/na\u00efve.wav", "a.MP3"),
            "nowhere.wav",
        ]


def test_two_files_of_one_id_are_refused(music: Path) -> None:
    path = manifest(music, "path,track_id\nb/2.wav,x\na.MP3,x\n")
    with pytest.raises(ParameterError, match=r"track_id must differ.*'x'"):
        ids(path)


def test_a_loop_of_links_is_one_track_among_others(tmp_path):
    (tmp_path / "a.wav").symlink_to("b.wav")
    (tmp_path / "b.wav").symlink_to("a.wav")
    (tmp_path / "c.wav").write_bytes(b"")
    with Inputs([tmp_path]) as tracks:
        assert [track.track_id for track in tracks] == ["a.wav", "b.wav", "c.wav"]
