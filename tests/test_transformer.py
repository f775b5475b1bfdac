"""`featx.ClipTransformer` inside scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import featx
from featx import ParameterError
from featx.testing import tone

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SR = 22050


@pytest.fixture(scope="module")
def songs() -> tuple[list[np.ndarray], list[str]]:
    waveforms = [tone(400 * 1.03**step, duration=0.6, sr=SR) for step in range(4)]
    rng = np.random.default_rng(5)
    waveforms += [0.1 * rng.standard_normal(len(waveforms[0]), np.float32) for _ in range(4)]
    return waveforms, ["tone"] * 4 + ["noise"] * 4


@pytest.fixture(scope="module")
def paths(songs, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("songs")
    for number, y in enumerate(songs[0]):
        sf.write(folder / f"{number}.wav", y, SR, subtype="FLOAT")
    return [folder / f"{number}.wav" for number in range(len(songs[0]))]


def test_files_become_the_vectors_of_a_run(paths: list[Path], tmp_path: Path) -> None:
    transformer = featx.ClipTransformer("mfcc", params={"n_mfcc": 13})
    matrix = transformer.fit_transform(paths)
    featx.run(paths, tmp_path / "s", extractors="mfcc", params={"n_mfcc": 13}, jobs=1)
    with featx.open_store(tmp_path / "s") as store:
        view = store["mfcc"]["summary"]
        np.testing.assert_array_equal(matrix, view.values)
        names = [f"summary.{name}" for name in view.spec.column_names]
    assert transformer.get_feature_names_out().tolist() == names


def test_files_and_waveforms_give_the_same(paths: list[Path], songs) -> None:
    transformer = featx.ClipTransformer("mfcc", sr=SR)
    np.testing.assert_array_equal(transformer.transform(paths), transformer.transform(songs[0]))


def test_a_pipeline_learns_from_files(paths: list[Path], songs) -> None:
    model = make_pipeline(featx.ClipTransformer("mfcc"), StandardScaler(), KNeighborsClassifier(1))
    model.fit(paths[1:-1], songs[1][1:-1])
    assert model.predict([paths[0], paths[-1]]).tolist() == ["tone", "noise"]
    again = pickle.loads(pickle.dumps(model))
    assert again.predict([str(paths[0])]).tolist() == ["tone"]


def test_parameters_can_be_searched_over(paths: list[Path], songs) -> None:
    model = Pipeline([("clip", featx.ClipTransformer("mfcc")), ("knn", KNeighborsClassifier(1))])
    grid = {"clip__params": [{"n_mfcc": 5}, {"n_mfcc": 20}]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(paths, songs[1])
    assert search.best_params_["clip__params"] in grid["clip__params"]


def test_a_clone_has_the_same_arguments() -> None:
    transformer = featx.ClipTransformer("mfcc", feature="summary", sr=SR).fit()
    copy = clone(transformer)
    assert copy is not transformer
    assert copy.get_params() == transformer.get_params()
    assert repr(copy).startswith("ClipTransformer(extractor='mfcc', feature='summary', sr=22050")
    with pytest.raises(ParameterError, match="got 'n_mfcc'"):
        copy.set_params(n_mfcc=3)


def test_new_arguments_open_the_extractor_anew(songs) -> None:
    transformer = featx.ClipTransformer("mfcc", sr=SR)
    wide = transformer.transform(songs[0][:1])
    narrow = transformer.set_params(params={"n_mfcc": 5}).transform(songs[0][:1])
    assert narrow.shape[1] < wide.shape[1]
    assert transformer.transform([]).shape == (0, narrow.shape[1])


@pytest.mark.parametrize(
    ("arguments", "X", "message"),
    [
        ({}, "a.wav", "X must be a sequence of files, got 'a.wav'"),
        ({}, [np.zeros(SR, np.float32)], "sr must be the rate of the waveforms"),
        ({"feature": "frames"}, ["a.wav"], "one vector per file, got 'frames'"),
        ({"params": {"n": 1}}, ["a.wav"], "got 'n'"),
    ],
)
def test_wrong_input_is_explained(arguments: dict, X: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        featx.ClipTransformer("mfcc", **arguments).transform(X)


def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(featx.AudioError, match=r"text\.wav"):
        featx.ClipTransformer("mfcc").transform([tmp_path / "text.wav"])
