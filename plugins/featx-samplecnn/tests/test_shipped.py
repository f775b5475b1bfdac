"""What the weights of ``samplecnn`` that come with the package bring, and for which models."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx.engine import UntrainedWarning

SR = 22050


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def test_other_models_are_untrained_and_say_so(y: np.ndarray) -> None:
    told = r"UNTRAINED .*Trained weights ship for .*model=sr8000"
    with (
        pytest.warns(UntrainedWarning, match=told),
        featx.open_extractor("samplecnn", params={"model": "sr2000"}) as random,
    ):
        assert random(y, SR)["tags"].shape == (50,)


def test_labels_of_the_weights_name_the_tags(y: np.ndarray) -> None:
    with featx.open_extractor("samplecnn") as trained:
        tags = trained(y, SR)
    columns = tags.specs["tags"].column_names
    assert {"piano", "guitar", "drums", "minor"} <= set(columns)
    assert tags["tags"].shape == (len(columns),)


def test_another_width_than_that_of_the_weights_is_refused() -> None:
    with pytest.raises(featx.WeightsError, match="or give --weights untrained"):
        featx.open_extractor("samplecnn", params={"widths": "code"})
