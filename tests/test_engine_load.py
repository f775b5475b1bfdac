"""Extractors in one process: `featx.open_extractor`, and what a child does with one track."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_tools import use_faulty, write_wav

import featx
from featx import AudioError, ExtractionError, ParameterError, PluginError
from featx.engine import UntrainedWarning
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.tasks import DECODE
from featx.engine.work.child import _Worker
from featx.engine.work.messages import DecodedFile, End, Open, Result, UndecodedFile
from featx.registry import load_registry


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def cheap() -> Iterator[Any]:
    with featx.open_extractor("cheap") as extractor:
        yield extractor


def test_loaded_extractor_gives_all_outputs_with_time_axes(cheap: Any, rng: Any) -> None:
    y = rng.standard_normal(8000).astype(np.float32)
    features = cheap(y, 8000)
    assert features["stats"].shape == (4,)
    assert np.array_equal(features.times("envelope"), np.arange(100) / 100)


def test_waveforms_are_mixed_and_resampled_and_left_alone(cheap: Any, rng: Any) -> None:
    y = rng.standard_normal((2, 16000))
    before = y.copy()
    assert cheap(y, 16000)["stats"][3] == 8000
    assert np.array_equal(y, before)
    assert y.flags.writeable


def test_waveform_without_a_sample_at_the_extractors_rate_is_refused(cheap: Any) -> None:
    with pytest.raises(ParameterError, match=r"long enough .* not one sample at 8000 Hz"):
        cheap(np.ones(1, np.float32), 48000)


def test_own_array_stays_writeable(cheap: Any) -> None:
    y = np.zeros(800, np.float32)
    cheap(y, 8000)
    assert y.flags.writeable


def test_parameters_and_outputs_can_be_chosen(rng: Any) -> None:
    y = rng.standard_normal(800).astype(np.float32)
    with (
        featx.open_extractor("cheap", params={"gain": 2}, features=("stats",)) as loud,
        featx.open_extractor("cheap") as plain,
    ):
        assert set(loud(y, 8000)) == {"stats"}
        assert loud(y, 8000)["stats"][2] == pytest.approx(2 * plain(y, 8000)["stats"][2])
        assert loud.recipe.params == {"gain": 2.0}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(0, np.float32), "finite samples, got shape"),
        (np.full(9, np.nan, np.float32), "finite samples"),
        (np.zeros(9, np.int16), "floating point"),
    ],
)
def test_wrong_waveforms_are_refused(cheap: Any, y: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cheap(y, 8000)


def test_list_of_waveforms_gives_a_list_of_results(cheap: Any, rng: Any) -> None:
    waveforms = [rng.standard_normal(n).astype(np.float32) for n in (8000, 8000, 900)]
    results = cheap(waveforms, 8000)
    assert [features["stats"][3] for features in results] == [8000, 8000, 900]
    assert np.array_equal(results[1]["stats"], cheap(waveforms[1], 8000)["stats"])


class Tensor:
    """Looks like a tensor of torch."""


Tensor.__module__ = "torch"


@pytest.mark.parametrize(
    ("y", "remedy"),
    [
        ([0.0, 0.1], r"got list\. Use np\.asarray\(y, dtype=np\.float32\)"),
        (Tensor(), r"got torch\.Tensor\. Use y\.detach\(\)\.cpu\(\)\.numpy\(\)"),
        (np.zeros(9, np.int16), r"dtype int16\. Scale it to \[-1, 1\]: y / 32768"),
        (np.zeros(9, np.uint8), r"y / 128 - 1"),
        (np.zeros((8000, 2)), r"got shape \(8000, 2\), .* Channels come first: y\.T"),
        ("a.wav", r"Load the file with featx\.Audio\.load"),
        (featx.Audio(y=np.zeros((1, 9), np.float32), sr=8000), r"Give its y and its sr"),
    ],
)
def test_other_types_are_refused_with_a_remedy(cheap: Any, y: Any, remedy: str) -> None:
    with pytest.raises(ParameterError, match=remedy):
        cheap(y, 8000)


@pytest.mark.parametrize("path", ["song.mp3", Path("song")])
def test_paths_of_audio_files_are_pointed_to_what_reads_them(path: Any) -> None:
    with pytest.raises(ParameterError, match=r"featx\.Audio\.load.*\.file\(path\)"):
        featx.open_extractor(path)


def test_short_waveforms_are_refused() -> None:
    with (
        featx.open_extractor("choosy") as choosy,
        pytest.raises(ParameterError, match="needs 1 s"),
    ):
        choosy(np.zeros(100, np.float32), 8000)


def test_bad_files_raise(cheap: Any, tmp_path: Path) -> None:
    with pytest.raises(AudioError) as caught:
        cheap.file(tmp_path / "none.wav")
    assert caught.value.code == "missing"


def test_errors_of_extractors_are_coded() -> None:
    with featx.open_extractor("faulty") as faulty, pytest.raises(ExtractionError) as caught:
        faulty(np.zeros(1005, np.float32), 8000)
    assert caught.value.code == "extractor-error"


def test_untrained_extractors_warn() -> None:
    with pytest.warns(UntrainedWarning, match="seeded is UNTRAINED"):
        featx.open_extractor("seeded").close()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"extractor": "cheap", "threads": 0}, ParameterError, "threads must be"),
        ({"extractor": "cheap", "device": "cuda"}, ParameterError, "device must be"),
        ({"extractor": "cheap", "features": ("x",)}, ParameterError, "feature of 'cheap'"),
        ({"extractor": "cheap", "params": {"gian": 2}}, ParameterError, "Did you mean 'gain'"),
        ({"extractor": "stubborn"}, PluginError, "no model today"),
    ],
)
def test_wrong_arguments(arguments: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        featx.open_extractor(**arguments)


@pytest.mark.parametrize(
    ("name", "params"), [("cheap", {"gain": 2}), ("native", {}), ("mfcc", {"n_mfcc": 20})]
)
def test_prepared_extractor_survives_json_and_pickle(name: str, params: dict[str, Any]) -> None:
    (prepared,) = prepare_extractors(load_registry(), [name], params={name: params})
    assert type(prepared).from_json(json.loads(json.dumps(prepared.to_json()))) == prepared
    assert pickle.loads(pickle.dumps(prepared)) == prepared


# ------------------------------------------------------------------------------- one track
def worker(*plugins: str) -> _Worker:
    extractors = prepare_extractors(load_registry(), plugins)
    return _Worker(
        Open(
            extractors=tuple(extractor.to_json() for extractor in extractors),
            limits=featx.audio.Limits(),
            quality="HQ",
            downmix="mean",
            level=None,
            threads=1,
            memory=0,
            seed=0,
            fingerprint=False,
        )
    )


def test_file_is_decoded_once_and_spectra_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.engine.work import tracks
    from featx.frontend import spectra as sharing

    calls: dict[str, list[Any]] = {"decode": [], "compute": []}
    decode, compute = tracks.decode, sharing.compute

    def counted_decode(path: Any, **more: Any) -> Any:
        calls["decode"].append(more["rates"](1.0))
        return decode(path, **more)

    def counted_compute(y: Any, fe: Any, **more: Any) -> Any:
        calls["compute"].append(fe)
        return compute(y, fe, **more)

    monkeypatch.setattr(tracks, "decode", counted_decode)
    monkeypatch.setattr(sharing, "compute", counted_compute)
    path = write_wav(tmp_path / "a.wav", samples=44100, sr=44100)
    names = ("mfcc", "melspectrogram", "featx-faulty:cheap", "native")
    with worker(*names) as opened:
        answers = list(opened.work(0, str(path), tuple(range(len(names)))))
    assert [type(answer) for answer in answers].count(Result) == len(names)
    assert calls["decode"] == [{None, 8000, 22050}]
    assert len(calls["compute"]) == len({*calls["compute"]}) == 2


def test_child_says_what_it_holds_before_it_begins(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav")
    with worker("cheap", "faulty") as opened:
        answers = list(opened.work(5, str(path), (0, 1)))
    assert [getattr(answer, "step", type(answer)) for answer in answers] == [
        *(DECODE, DecodedFile, 0, 0, 1, 1, End),
    ]
    assert {answer.key for answer in answers} == {5}


def test_decoder_that_raises_anything_costs_the_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Any, **more: Any) -> Any:
        raise ZeroDivisionError("in a decoder")

    monkeypatch.setattr("featx.engine.work.tracks.decode", broken)
    with worker("cheap") as opened:
        answers = list(opened.work(0, str(write_wav(tmp_path / "a.wav")), (0,)))
    undecoded = answers[1]
    assert isinstance(undecoded, UndecodedFile)
    reason = "ZeroDivisionError: in a decoder"
    assert (undecoded.code, undecoded.reason) == ("decode-error", reason)
    assert len(undecoded.properties.content) == 32
