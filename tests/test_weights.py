from __future__ import annotations

import hashlib
import http.server
import json
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import featx
from featx import ParameterError, WeightsError, WeightsSpec, weights
from featx.folders import cache_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FEATX_CACHE", str(folder))
    monkeypatch.delenv("FEATX_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def tensors(rng) -> dict[str, np.ndarray]:
    return {
        "conv.weight": rng.standard_normal((4, 3, 2)).astype(np.float32),
        "bn.count": np.array(7, dtype=np.int64),
        "mask": np.array([True, False]),
    }


CONFIG = {"hop_length": 512, "widths": [1, 2], "name": "ümlaut"}


@pytest.fixture
def sound(tmp_path, tensors) -> Path:
    path = tmp_path / "sound.safetensors"
    weights.save_weights(path, tensors, CONFIG)
    return path


def test_shapes_are_kept(tmp_path: Path) -> None:
    arrays = {"none": np.array(2.5), "empty": np.zeros((0, 3)), "turned": np.ones((2, 3)).T}
    path = tmp_path / "shapes.safetensors"
    weights.save_weights(path, arrays, {})
    loaded, _ = weights.load_weights(path)
    assert {name: array.shape for name, array in loaded.items()} == {
        "none": (),
        "empty": (0, 3),
        "turned": (3, 2),
    }
    assert loaded["none"] == 2.5


@pytest.fixture
def server(tmp_path) -> Iterator[str]:
    """Serve ``tmp_path / 'www'`` on the loopback interface."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def spec_for(path: Path, **changes) -> WeightsSpec:
    values = {
        "name": "dummy",
        "urls": (path.as_uri(),),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
    }
    return WeightsSpec(**{**values, **changes})


# ------------------------------------------------------------------------------------ files
def test_save_and_load_return_the_same(sound, tensors):
    loaded, config = weights.load_weights(sound)
    assert config == CONFIG
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_save_gives_equal_bytes_for_equal_content(tmp_path, tensors):
    first = weights.save_weights(tmp_path / "a.safetensors", tensors, CONFIG)
    second = weights.save_weights(
        tmp_path / "b.safetensors",
        dict(reversed(tensors.items())),
        dict(reversed(CONFIG.items())),
    )
    assert first == second == weights.file_sha256(tmp_path / "b.safetensors")


def test_save_leaves_no_temporary_file(sound):
    assert list(sound.parent.glob(".*")) == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({}, "at least one"),
        ({"x": np.array(["text"])}, "floats, integers or bool"),
        ({"x": np.array([None])}, "floats, integers or bool"),
        ({"x": np.array([np.nan])}, "must be finite"),
    ],
)
def test_save_refuses_tensors(tmp_path, broken, message):
    with pytest.raises(ParameterError, match=message):
        weights.save_weights(tmp_path / "x.safetensors", broken, {})
    assert list(tmp_path.glob("*x.safetensors*")) == []


def test_save_refuses_a_config_that_is_not_json(tmp_path, tensors):
    with pytest.raises(ParameterError, match="config must be plain JSON"):
        weights.save_weights(tmp_path / "x.safetensors", tensors, {"path": Path()})


def test_save_refuses_another_suffix(tmp_path, tensors):
    with pytest.raises(ParameterError, match=r"must end in \.safetensors"):
        weights.save_weights(tmp_path / "x.pt", tensors, {})


def test_read_config_reads_the_header_alone(sound, tmp_path, tensors):
    from safetensors.numpy import save_file

    assert weights.read_config(sound) == CONFIG
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    assert weights.read_config(tmp_path / "x.safetensors") == {}


def test_load_takes_foreign_safetensors(tmp_path, tensors):
    from safetensors.numpy import save_file

    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    loaded, config = weights.load_weights(tmp_path / "x.safetensors")
    assert loaded.keys() == tensors.keys()
    assert config == {"format": "pt"}


def rewrite_header(path: Path, change) -> None:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


def _grow(header):
    header["conv.weight"]["shape"][0] = 2**40


def _reach_outside(header):
    header["conv.weight"]["data_offsets"][1] += 2**33


def _overlap(header):
    header["conv.weight"]["data_offsets"] = header["bn.count"]["data_offsets"]


def _other_dtype(header):
    header["bn.count"]["dtype"] = "F64"


def _no_config(header):
    header["__metadata__"]["featx"] = "{}"


def _no_json(header):
    header["__metadata__"]["featx"] = "["


def _other_config(header):
    header["__metadata__"]["featx"] = header["__metadata__"]["featx"].replace("512", "256")


@pytest.mark.parametrize(
    "change",
    [_grow, _reach_outside, _overlap, _other_dtype, _no_config, _no_json, _other_config],
)
def test_load_refuses_a_lying_header(sound, change):
    rewrite_header(sound, change)
    with pytest.raises(WeightsError, match="must"):
        weights.load_weights(sound)


@pytest.mark.parametrize(
    "content",
    [b"", b"1234567", b"\xff" * 8, struct.pack("<Q", 2**62) + b"{}", b"\x80\x04pickle....."],
)
def test_load_refuses_files_that_are_no_safetensors(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="sound safetensors"):
        weights.load_weights(path)


def test_load_refuses_every_truncation(sound):
    raw = sound.read_bytes()
    for length in range(0, len(raw), 7):
        sound.write_bytes(raw[:length])
        with pytest.raises(WeightsError):
            weights.load_weights(sound)


def test_load_notices_a_flipped_bit_anywhere_in_the_data(sound):
    raw = bytearray(sound.read_bytes())
    raw[-3] ^= 4
    sound.write_bytes(raw)
    with pytest.raises(WeightsError, match="hash it carries"):
        weights.load_weights(sound)


def test_load_names_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="existing file"):
        weights.load_weights(tmp_path / "none.safetensors")


# ------------------------------------------------------------------------------------ cache
def test_cache_folder_follows_the_override(cache):
    assert cache_folder() == cache


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/featx"),
        ("linux", {"XDG_CACHE_HOME": "/var/x"}, "/var/x/featx"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/featx"),
        ("darwin", {"XDG_CACHE_HOME": "/var/x"}, "~/Library/Caches/featx"),
    ],
)
def test_cache_folder_follows_the_platform(monkeypatch, platform, environment, expected):
    for name in ("FEATX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert cache_folder() == Path(expected).expanduser()


def test_locate_prefers_override_then_cache_then_resource(tmp_path, monkeypatch, tensors, sound):
    package = tmp_path / "dummy_shipped"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shipped = package / "data" / "w.safetensors"
    weights.save_weights(shipped, tensors, {"from": "resource"})
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = WeightsSpec(name="dummy", resource="dummy_shipped:data/w.safetensors")
    assert weights.locate(spec) == shipped
    assert weights.state(spec).status == "shipped"
    weights.save_weights(weights.cached_path(spec), tensors, {"from": "cache"})
    assert weights.locate(spec) == weights.cached_path(spec)
    assert weights.locate(spec, override=sound) == sound


def test_two_importable_weights_of_one_extractor_lie_side_by_side(tmp_path, tensors):
    spec = WeightsSpec(name="tagger", slot="model", converter="a:b")
    paths = {}
    for model in ("cnn", "crnn"):
        source = tmp_path / f"{model}.h5"
        source.write_text(model)
        config = {"params": {"model": model}}
        paths[model] = weights.import_weights(spec, source, converter=lambda _: (tensors, config))  # noqa: B023
        if model == "cnn":  # the only one there is serves every value: it brings its own
            assert weights.locate(spec, params=SimpleNamespace(model="crnn")) == paths["cnn"]
    assert [path.name for path in paths.values()] == [
        "tagger-cnn.safetensors",
        "tagger-crnn.safetensors",
    ]
    for model, path in paths.items():
        assert weights.locate(spec, params=SimpleNamespace(model=model)) == path
        assert weights.read_config(path)["params"] == {"model": model}
    assert weights.locate(spec, params=SimpleNamespace(model="rnn")) is None
    state = weights.state(spec)
    assert state.status == "cached"
    assert all(str(path) in state.note for path in paths.values())


def test_slots_of_weights_whose_names_begin_alike_are_told_apart(tmp_path, tensors):
    one, other = (WeightsSpec(name=n, slot="model", converter="a:b") for n in ("x", "x-y"))
    (tmp_path / "a.h5").touch()
    made = weights.import_weights(
        other, tmp_path / "a.h5", converter=lambda _: (tensors, {"params": {"model": "z"}})
    )
    assert made.name == "x-y-z.safetensors"
    assert weights.locate(other, params=SimpleNamespace(model="z")) == made
    assert weights.locate(one, params=SimpleNamespace(model="z")) is None


def test_weights_of_a_slot_say_which_they_are(tmp_path, tensors):
    spec = WeightsSpec(name="tagger", slot="model", converter="a:b")
    (tmp_path / "x.h5").write_text("x")
    with pytest.raises(WeightsError, match="must give params with 'model'"):
        weights.import_weights(spec, tmp_path / "x.h5", converter=lambda _: (tensors, {}))


def test_parameters_choose_among_resources(tmp_path, monkeypatch, tensors):
    package = tmp_path / "many_shipped"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in ("3^9", "sr8000"):
        weights.save_weights(package / "data" / f"{name}.safetensors", tensors, {"from": name})
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = WeightsSpec(name="dummy", resource="many_shipped:data/{model}.safetensors")
    for name, found in (("3^9", True), ("sr8000", True), ("2^14", False)):
        path = weights.locate(spec, params=SimpleNamespace(model=name))
        assert path == (package / "data" / f"{name}.safetensors" if found else None)
    state = weights.state(spec)
    assert state.status == "shipped"
    assert "sr8000.safetensors" in state.note
    sizes = [path.stat().st_size for path in (package / "data").iterdir()]
    assert (state.bytes, state.sha256) == (sum(sizes), "")
    (package / "data" / "sr8000.safetensors").write_bytes(b"x")
    assert weights.state(spec).status == "damaged"


def test_settings_that_weights_ship_for_are_read_off_the_files(tmp_path, monkeypatch):
    folder = tmp_path / "named_shipped" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "named_shipped" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = WeightsSpec(
        name="dummy", resource="named_shipped:data/m.{model}.safetensors", required=False
    )
    none = weights.state(spec, params=SimpleNamespace(model="2^14")).note
    assert "ship for" not in none
    for name in ("m.3^9.safetensors", "m.sr8000.safetensors", "m.sr8000.json", "m-x.safetensors"):
        (folder / name).write_bytes(b"")
    assert weights.shipped_settings(spec) == ("model=3^9", "model=sr8000")
    told = weights.state(spec, params=SimpleNamespace(model="2^14")).note
    assert told == "Trained weights ship for model=3^9, model=sr8000."
    assert weights.shipped_settings(WeightsSpec(name="dummy", resource="named_shipped:data")) == ()


@pytest.mark.parametrize(
    ("card", "told"),
    [
        (
            {"method": "tags", "data": {"train_songs": 3, "origin": "drums of nobody"}},
            "3 songs by method 'tags': drums of nobody",
        ),
        ({"method": "tags", "data": {"train_songs": 3}}, "3 songs by method 'tags'"),
        ({"layers": 3}, ""),
        (None, ""),
    ],
)
def test_origin_is_told_by_the_card_beside(sound, card, told):
    if card is not None:
        sound.with_suffix(".json").write_text(json.dumps(card))
    assert weights.origin(sound) == told


def test_locate_takes_a_folder(tmp_path, tensors):
    weights.save_weights(tmp_path / "mine" / "dummy.safetensors", tensors, {})
    found = weights.locate(WeightsSpec(name="dummy"), override=tmp_path / "mine")
    assert found == tmp_path / "mine" / "dummy.safetensors"


def test_locate_refuses_a_missing_override(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors does not exist"):
        weights.locate(WeightsSpec(name="dummy"), override=tmp_path / "none.safetensors")


def test_locate_refuses_other_formats_and_names_convert(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(WeightsError, match="featx weights convert dummy"):
        weights.locate(WeightsSpec(name="dummy"), override=tmp_path / "w.h5")


def test_locate_notices_a_damaged_cache_file(sound):
    spec = spec_for(sound)
    path = weights.fetch(spec)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match="damaged"):
        weights.locate(spec)
    assert weights.state(spec).status == "damaged"


def test_state_notices_damage_without_a_known_hash(sound):
    spec = WeightsSpec(name="dummy")
    path = weights.fetch(spec_for(sound))
    path.write_bytes(path.read_bytes()[:-5])
    assert weights.state(spec).status == "damaged"


@pytest.mark.parametrize(("required", "status"), [(True, "missing"), (False, "untrained")])
def test_state_of_missing_weights(required, status):
    assert weights.state(WeightsSpec(name="dummy", required=required)).status == status


def test_missing_message_names_the_import():
    spec = WeightsSpec(
        name="artist-siamese", converter="x:y", source="model.h5 from https://example.org"
    )
    assert weights.missing_message(spec) == (
        "artist-siamese has no weights yet. Run: featx weights import "
        "artist-siamese <file.h5>. It reads model.h5 from https://example.org."
    )


def test_missing_message_names_fetch_first():
    spec = WeightsSpec(name="w", converter="x:y", urls=("https://example.org/w",))
    message = weights.missing_message(spec)
    assert message.endswith("Run: featx weights fetch w Or run: featx weights import w <file>.")


# ------------------------------------------------------------------------------------ fetch
def test_fetch_copies_a_file_url_into_the_cache(sound, cache):
    path = weights.fetch(spec_for(sound))
    assert path == cache / "weights" / "dummy.safetensors"
    assert path.read_bytes() == sound.read_bytes()


def test_fetch_tries_urls_in_order_over_http(sound, server, tmp_path):
    (tmp_path / "www" / "good.safetensors").write_bytes(sound.read_bytes())
    (tmp_path / "www" / "bad.safetensors").write_bytes(b"0" * sound.stat().st_size)
    urls = tuple(f"{server}/{name}.safetensors" for name in ("none", "bad", "good"))
    seen = []
    path = weights.fetch(
        spec_for(sound, urls=urls), progress=lambda done, total: seen.append((done, total))
    )
    assert path.read_bytes() == sound.read_bytes()
    assert seen[-1] == (sound.stat().st_size, sound.stat().st_size)


def test_fetch_lists_the_reason_of_every_url(sound, server, tmp_path, cache):
    raw = sound.read_bytes()
    (tmp_path / "www" / "short").write_bytes(raw[:-1])
    (tmp_path / "www" / "long").write_bytes(raw + b"x")
    (tmp_path / "www" / "other").write_bytes(raw[:-1] + b"\x7f")
    urls = (*(f"{server}/{name}" for name in ("none", "short", "long", "other")), "ftp://x/y")
    with pytest.raises(WeightsError) as caught:
        weights.fetch(spec_for(sound, urls=urls))
    for reason in ("answers 404", "bytes, got ", "got more", "must have SHA-256", "scheme must"):
        assert reason in str(caught.value)
    assert list((cache / "weights").iterdir()) == []


def test_fetch_names_an_unreachable_server(sound):
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.fetch(spec_for(sound, urls=("http://127.0.0.1:1/x",)))


def test_fetch_offline_refuses_the_network_but_not_files(sound, server, monkeypatch):
    monkeypatch.setenv("FEATX_OFFLINE", "1")
    with pytest.raises(WeightsError, match="FEATX_OFFLINE=1 forbids"):
        weights.fetch(spec_for(sound, urls=(f"{server}/x",)))
    assert weights.fetch(spec_for(sound)).is_file()


def test_fetch_again_uses_the_cache(sound):
    spec = spec_for(sound)
    first = weights.fetch(spec)
    sound.unlink()
    assert weights.fetch(spec) == first


def test_fetch_without_urls_says_what_to_do(sound):
    with pytest.raises(WeightsError, match="featx weights import dummy"):
        weights.fetch(spec_for(sound, urls=(), converter="x:y"))


# ------------------------------------------------------------------------------------ import
def test_import_writes_the_cache_with_provenance(tmp_path, tensors):
    source = tmp_path / "model.h5"
    source.write_bytes(b"published")
    spec = WeightsSpec(name="dummy", converter="pkg:read")
    path = weights.import_weights(spec, source, converter=lambda _: (tensors, CONFIG))
    assert weights.locate(spec) == path
    assert weights.load_weights(path)[1] == CONFIG
    assert weights.read_provenance(path) == weights.Provenance(
        source="model.h5",
        source_sha256=hashlib.sha256(b"published").hexdigest(),
        converter="pkg:read",
    )


def test_import_of_another_version_leaves_the_cache_alone(tmp_path, tensors, sound):
    spec = spec_for(sound, converter="pkg:read")
    path = weights.fetch(spec)
    with pytest.raises(WeightsError, match="another version"):
        weights.import_weights(spec, sound, converter=lambda _: (tensors, {"other": 1}))
    assert path.read_bytes() == sound.read_bytes()


def test_import_reports_what_the_converter_raised(sound):
    def converter(path):
        raise KeyError("conv1d_1")

    with pytest.raises(WeightsError, match="pkg:read reads, but it raised KeyError: 'conv1d_1'"):
        weights.import_weights(spec_for(sound, converter="pkg:read"), sound, converter=converter)


def test_import_names_a_missing_source(tmp_path, tensors):
    with pytest.raises(WeightsError, match="No such file"):
        weights.import_weights(
            WeightsSpec(name="dummy"), tmp_path / "none", converter=lambda _: (tensors, {})
        )


# ------------------------------------------------------------------------------------ Keras
@pytest.fixture
def keras_file(tmp_path, rng) -> Path:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "not even JSON"
        for name in ("kernel:0", "bias:0"):
            group = file.require_group("model_weights/conv1d_1/conv1d_1")
            group.create_dataset(name, data=rng.standard_normal(4).astype(np.float32))
        file.create_dataset("optimizer_weights/v", data=np.zeros(2))
    return path


def test_read_keras_h5_returns_arrays_by_path(keras_file):
    arrays = featx.read_keras_h5(keras_file)
    assert sorted(arrays) == ["conv1d_1/conv1d_1/bias:0", "conv1d_1/conv1d_1/kernel:0"]
    assert arrays["conv1d_1/conv1d_1/bias:0"].dtype == np.float32


def test_read_keras_h5_reads_weights_files_without_a_model(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("dense/kernel:0", data=np.ones((2, 3), np.float32))
    assert featx.read_keras_h5(tmp_path / "w.h5")["dense/kernel:0"].shape == (2, 3)


def _external_link(file, folder):
    file["model_weights/x"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def _soft_link(file, folder):
    file["model_weights/x"] = h5py.SoftLink("/model_weights/conv1d_1")


def _cycle(file, folder):
    file["model_weights/x"] = file["model_weights"]


def _external_storage(file, folder):
    (folder / "secret").write_bytes(b"12345678")
    file.create_dataset("model_weights/x", (2,), "f4", external=[(str(folder / "secret"), 0, 8)])


def _virtual(file, folder):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (2,))
    file.create_virtual_dataset("model_weights/x", layout)


def _bomb(file, folder):
    file.create_dataset("model_weights/x", (1 << 40,), "f4", chunks=(1 << 16,), compression=1)


def _objects(file, folder):
    file.create_dataset("model_weights/x", data=["text"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_external_link, "'x' is a link"),
        (_soft_link, "'x' is a link"),
        (_cycle, "every object once"),
        (_external_storage, "is in other files"),
        (_virtual, "is in other files"),
        (_bomb, "at most"),
        (_objects, "must hold numbers"),
    ],
)
def test_read_keras_h5_refuses(keras_file, damage, reason):
    with h5py.File(keras_file, "r+") as file:
        damage(file, keras_file.parent)
    with pytest.raises(WeightsError, match=reason):
        featx.read_keras_h5(keras_file)


def test_read_keras_h5_refuses_the_root_as_a_link(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("other.h5", "/")
    with pytest.raises(WeightsError, match="'model_weights' is a link"):
        featx.read_keras_h5(tmp_path / "m.h5")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04zip", b"\x89HDF\r\n\x1a\n" + b"\xff" * 200])
def test_read_keras_h5_refuses_other_files(tmp_path, content):
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(WeightsError, match="sound HDF5"):
        featx.read_keras_h5(tmp_path / "x.h5")


# ------------------------------------------------------------------------------------ torch
def test_read_torch_flattens_nested_dicts(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"conv.weight": torch.ones(2, 3), "half": torch.ones(2, dtype=torch.bfloat16)}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "x.pt")
    arrays = featx.read_torch(tmp_path / "x.pt")
    assert sorted(arrays) == ["state_dict/conv.weight", "state_dict/half"]
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


class _Opener:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_read_torch_runs_no_code_of_the_file(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": _Opener(tmp_path / "ran")}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="checkpoint of tensors"):
        featx.read_torch(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_read_torch_takes_no_more_than_the_file_holds(tmp_path):
    """A few kilobytes must not become gigabytes: compressed parts, and one number shown often."""
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.zeros(1 << 20)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    assert (tmp_path / "bomb.pt").stat().st_size < 20_000
    with pytest.raises(WeightsError, match="parts that unpack to"):
        featx.read_torch(tmp_path / "bomb.pt")
    torch.save({"x": torch.zeros(1).expand(1 << 34)}, tmp_path / "views.pt")
    with pytest.raises(WeightsError, match="bytes of tensors in a file of"):
        featx.read_torch(tmp_path / "views.pt")
    tied = torch.ones(1000)
    torch.save({"a": tied, "b": tied}, tmp_path / "tied.pt")
    assert len(featx.read_torch(tmp_path / "tied.pt")) == 2


def test_read_torch_refuses_other_files(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "x.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="checkpoint of tensors"):
        featx.read_torch(tmp_path / "x.pt")
