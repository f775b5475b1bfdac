"""Targets of the training: what is unknown, and what follows a change of tempo."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from featx.annotations import Events  # noqa: E402
from featx.training import CropSpec, FrameGrid  # noqa: E402
from featx_beat.config import FRONT_ENDS, BeatTrainingParams  # noqa: E402
from featx_beat.method import BeatMethod, DownbeatTargets, stretched  # noqa: E402


def beats(labels) -> Events:
    return Events(name="beat", starts=0.5 * np.arange(1, len(labels) + 1), labels=tuple(labels))


@pytest.mark.parametrize(("labels", "count"), [("1234123", 2), ("0000000", 0)])
def test_file_without_downbeats_says_nothing_about_them(labels, count):
    grid = FrameGrid.of(CropSpec(front_end=FRONT_ENDS["tcn"], length=200))
    values, known = DownbeatTargets().targets(beats(labels), grid, 0)
    assert (values == 1.0).sum() == count
    assert known.any() == (count > 0)


@pytest.mark.parametrize("n", [150, 200, 260])
def test_stretched_targets_stay_points_at_their_places(n):
    values = torch.zeros(1, 200)
    frames = [20, 70, 120, 170]
    for shift, value in ((-2, 0.25), (2, 0.25), (-1, 0.5), (1, 0.5), (0, 1.0)):
        values[0, [frame + shift for frame in frames]] = value
    known = torch.ones(1, 200, dtype=torch.bool)
    known[0, :18] = False
    moved, still_known = stretched(values, known, n)
    assert moved.shape == still_known.shape == (1, n)
    places = torch.nonzero(moved[0] == 1.0).ravel().numpy()
    np.testing.assert_allclose(places, (np.array(frames) + 0.5) * n / 200 - 0.5, atol=0.5)
    assert (moved == 0.5).sum() == (moved == 0.25).sum() == 8
    assert still_known.float().mean() == pytest.approx(0.91, abs=0.01)


def test_tempo_is_changed_in_training_only():
    method = BeatMethod(BeatTrainingParams(stretch=1.5))
    model = method.build(torch.Generator().manual_seed(0)).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    values = torch.zeros(1, 100)
    values[0, 50] = 1.0
    batch = {"inputs": torch.rand(1, 100, 81)}
    for name in ("beats", "downbeats"):
        batch |= {name: values, f"{name}_known": torch.ones(1, 100, dtype=torch.bool)}

    def losses() -> set[float]:
        return {float(method.losses(model, batch)["beats"].detach()) for _ in range(3)}

    torch.manual_seed(0)
    assert len(losses()) == 3
    model.eval()
    assert len(losses()) == 1
