"""The network and its training: symmetry, reach, targets that follow, known chords."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import featx
from featx import FeatxError, ParameterError
from featx.frontend import compute
from featx.testing import noise, silence
from featx_chord.config import CONTEXT, TrainingParams
from featx_chord.decoding import unit
from featx_chord.front_end import FRONT_END, SR
from featx_chord.labels import class_labels
from featx_chord.methods import ChordMethod, _detuned, _transposed, class_and_bass
from featx_chord.templates import class_tones

CLASSES = class_labels("full")
#: Sums of float32 in another order.
ATOL = 1e-5


@pytest.fixture
def model() -> torch.nn.Module:
    """The network with random weights."""
    return ChordMethod(TrainingParams()).build(torch.Generator().manual_seed(1)).eval()


@pytest.fixture
def notes() -> torch.Tensor:
    return torch.rand(1, 60, 84, generator=torch.Generator().manual_seed(2))


def turned(x: torch.Tensor, shift: int) -> torch.Tensor:
    """Move the pitch classes of every group of twelve."""
    return x.unflatten(-1, (-1, 12)).roll(shift, dims=-1).flatten(-2)


@pytest.mark.parametrize("shift", [1, 7])
def test_logits_turn_with_the_pitch_classes(shift: int, model, notes) -> None:
    with torch.no_grad():
        before, after = model(notes), model(turned(notes, shift))
    torch.testing.assert_close(
        turned(before["chord"][..., 1:], shift), after["chord"][..., 1:], atol=ATOL, rtol=0
    )
    torch.testing.assert_close(turned(before["bass"][..., :12], shift), after["bass"][..., :12])
    torch.testing.assert_close(turned(before["tones"], shift), after["tones"])
    torch.testing.assert_close(before["chord"][..., 0], after["chord"][..., 0])


def test_frames_beyond_the_context_do_not_count(model, notes) -> None:
    other = notes.clone()
    other[0, 59] = 0.0
    with torch.no_grad():
        change = (model(notes)["chord"] - model(other)["chord"]).abs().amax(dim=2)[0]
    assert change[59 - CONTEXT] > 0
    assert change[: 59 - CONTEXT].max() == 0


@pytest.mark.parametrize(
    ("label", "chord", "bass"),
    [
        ("Bb:min7/b3", "A#:min7", "C#"),
        ("C:sus4(b7)", "C:sus4", "C"),
        ("N", "N", "N"),
        ("X", "", ""),
        ("G", "G:maj", "G"),
        ("C/5", "C:maj", "G"),
        ("D:9", "D:7", "D"),
        ("D:maj13", "D:maj7", "D"),
        ("E:7(#9)", "E:7", "E"),
        ("E:minmaj7", "E:minmaj7", "E"),
        ("F:maj(b7)", "F:7", "F"),
        ("F:maj(2)", "F:maj", "F"),
        ("A:min7(4)", "A:min7", "A"),
        ("C:dim(b7)", "C:hdim7", "C"),
        ("C:(b3,5)", "C:min", "C"),
        # tones that fit no class, as mir_eval counts them to no vocabulary either
        ("C:1", "", "C"),
        ("C:5", "", "C"),
        ("C:5/5", "", "G"),
        ("C:maj(*5)", "", "C"),
        ("C:7(*3)", "", "C"),
    ],
)
def test_classes_of_labels(label: str, chord: str, bass: str) -> None:
    assert class_and_bass(label) == (chord, bass)


@pytest.mark.parametrize("label", ["H:maj", "C:major", "C:maj/x", ""])
def test_what_is_no_chord_is_named(label: str) -> None:
    with pytest.raises(ParameterError, match="label must be a chord in Harte notation"):
        class_and_bass(label)


def test_missing_mir_eval_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mir_eval", None)
    with pytest.raises(FeatxError, match=r"featx-chord\[train\]"):
        class_and_bass.__wrapped__("C:maj")


@pytest.mark.parametrize("shift", [-5, 0, 6])
def test_transposed_targets_are_transposed_chords(shift: int) -> None:
    classes = torch.arange(-1, len(CLASSES))[None]
    moved = _transposed(classes, torch.tensor([shift]), first=1)[0]
    assert moved[:2].tolist() == [-1, 0]
    tones = class_tones("full")
    np.testing.assert_array_equal(tones[moved[2:]], np.roll(tones[1:], shift, axis=1))
    assert [CLASSES[m].split(":")[1] for m in moved[2:]] == [c.split(":")[1] for c in CLASSES[1:]]
    bass = _transposed(torch.tensor([[-1, 0, 11, 12]]), torch.tensor([shift]), first=0)
    assert bass[0].tolist() == [-1, shift % 12, (11 + shift) % 12, 12]


def test_notes_are_transposed_with_their_targets() -> None:
    torch.manual_seed(3)
    crops = np.zeros((6, 4, 84), np.float32)
    crops[:, :, 40] = 1.0
    changed, shifts = ChordMethod(TrainingParams())._changed(crops)
    assert (changed.argmax(axis=2) == 40 + shifts.numpy()[:, None]).all()
    assert len(set(shifts.tolist())) > 1


def test_tuning_of_half_of_the_crops_is_changed() -> None:
    torch.manual_seed(5)
    S = np.zeros((40, 2, 252), np.float32)
    S[:, :, 120] = 1.0
    moved = _detuned(S)
    np.testing.assert_allclose(moved.sum(axis=2), 1.0, atol=1e-6)
    centres = (moved * np.arange(252)).sum(axis=2)[:, 0]
    changed = centres != 120
    assert 10 < changed.sum() < 30
    assert 1.0 < np.abs(centres - 120).max() <= 1.5


def test_noise_is_added_at_the_level_of_the_crop_or_stands_alone() -> None:
    torch.manual_seed(4)
    method = ChordMethod(TrainingParams(n_frames=8))
    notes = np.zeros((64, 8, 84), np.float32)
    notes[:, :, 40] = 1.0
    mixed, alone = method._with_noise(notes)
    assert 0 < alone.sum() < 16
    assert (mixed[~alone.numpy()][:, :, 40] >= 1.0).all()
    lengths = np.linalg.norm(mixed[alone.numpy()], axis=(1, 2))
    np.testing.assert_allclose(lengths, 8**0.5, rtol=1e-5)
    assert 16 < (np.linalg.norm(mixed - notes, axis=(1, 2)) > 1e-6).sum() < 48


def batch_of(chords) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(5)
    crops, targets = [], []
    for pitches, _ in chords:
        t = np.arange(40 * 2048) / SR
        y = sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * t) for p in pitches)
        y = (0.1 * y + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)
        crops.append(compute(y, FRONT_END, sr=SR)[:40])
    for _, label in chords:
        targets.append(np.full(40, CLASSES.index(label)))
    chord = torch.from_numpy(np.stack(targets))
    return {
        "inputs": torch.from_numpy(np.stack(crops)),
        "chord": chord,
        "bass": torch.where(chord > 0, (chord - 1) % 12, 12),
    }


def test_losses_fall_over_steps_and_ignore_what_is_not_known() -> None:
    method = ChordMethod(TrainingParams(n_frames=40))
    model = method.build(torch.Generator().manual_seed(1)).train()
    batch = batch_of([((48, 60, 64, 67), "C:maj"), ((45, 60, 64, 69), "A:min")])
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    totals = []
    torch.manual_seed(0)
    for _ in range(25):
        loss = sum(method.losses(model, batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])
    unknown = batch | {"chord": torch.full_like(batch["chord"], -1)}
    unknown["bass"] = unknown["chord"]
    model.eval()
    losses = method.losses(model, unknown)
    assert all(float(value.detach()) == 0.0 for value in losses.values())


def test_unit_frames_have_length_one_or_zero() -> None:
    rows = unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])


# ---------------------------------------------------------------- with the weights that ship
def played(pitches, seconds: float = 3.0) -> np.ndarray:
    t = np.arange(round(seconds * SR)) / SR
    y = np.zeros(len(t))
    for pitch in pitches:
        f0 = 440.0 * 2 ** ((pitch - 69) / 12)
        y += sum(0.6**k * np.sin(2 * np.pi * k * f0 * t + k * pitch) for k in range(1, 8))
    return (0.5 * y / np.abs(y).max()).astype(np.float32)


@pytest.mark.parametrize(
    ("pitches", "label"),
    [((48, 60, 64, 67), "C:maj"), ((45, 60, 64, 69), "A:min"), ((54, 66, 70, 73), "F#:maj")],
)
def test_a_triad_is_named(pitches, label: str) -> None:
    features = featx.open_extractor("chord-net")(played(pitches), SR)
    assert features.events("chords").labels == (label,)
    np.testing.assert_allclose(features["posteriors"].sum(axis=1), 1.0, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_noise_are_no_chord(level: float) -> None:
    y = np.float32(level) * noise(duration=4.0, rng=np.random.default_rng(7))
    y = y if level else silence(duration=4.0)
    assert featx.open_extractor("chord-net")(y, SR).events("chords").labels == ("N",)
