"""Training the network: crops of the spectrum, chords of annotation files."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from featx import FeatxError, ParameterError
from featx.frontend import compute
from featx.neural import seeded, state_tensors
from featx.training import (
    Batch,
    CropSpec,
    FrameSampler,
    GradientMethod,
    Sampler,
    SegmentTargets,
    Songs,
    frame_bce,
    frame_cross_entropy,
)
from featx_chord.config import NET
from featx_chord.decoding import unit
from featx_chord.front_end import BINS_PER_SEMITONE, FRONT_END, SR
from featx_chord.labels import NO_CHORD, QUALITIES, ROOTS, class_labels
from featx_chord.model import ChordNet
from featx_chord.notes import note_activations, shifted
from featx_chord.templates import class_tones

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Most semitones by which a crop is transposed, either way.
_TRANSPOSED = 6
#: Shares of crops that are noise instead, without a chord, and that have noise added.
_NOISE, _NOISY = 0.04, 0.5
#: Share of crops in another tuning.
_DETUNED = 0.5


@functools.cache
def class_and_bass(label: str) -> tuple[str, str]:
    """Return the class of a chord in Harte notation, and its bass; ``''`` for what has none.

    The class is the largest whose tones the chord contains, so that additions are dropped. Chords
    that contain not even a triad, such as ``C:5``, have none.

    Raises
    ------
    FeatxError
        If mir_eval, which reads the label, is not installed.
    ParameterError
        If it is no label.
    """
    try:
        from mir_eval import chord
    except ImportError as error:
        raise FeatxError(
            "Reading chords needs mir_eval, which is not installed. Run: pip install "
            "'featx-chord[train]'"
        ) from error
    try:
        root, tones, bass = chord.encode(label, reduce_extended_chords=True)
    except chord.InvalidChordException as error:
        raise ParameterError(
            f"label must be a chord in Harte notation, such as C:min7/b3, or N or X, got {label!r}."
        ) from error
    if root < 0:
        return (NO_CHORD, NO_CHORD) if label == NO_CHORD else ("", "")
    steps = set(np.flatnonzero(tones).tolist())
    names = [name for name, own in QUALITIES.items() if steps.issuperset(own)]
    # chords with second and fourth are written as sus4(9)
    names.sort(key=lambda name: (-len(QUALITIES[name]), name == "sus2"))
    return f"{ROOTS[root]}:{names[0]}" if names else "", ROOTS[(root + bass) % 12]


class ChordMethod(GradientMethod):
    """Cross-entropy of chord, root and bass, and of every tone; crops transposed at random."""

    needs = ("annotation",)

    def crops(self) -> CropSpec:
        """Return a crop of the spectrum."""
        return CropSpec(front_end=FRONT_END, length=self.params.n_frames)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return one crop of every song; all crops of those that validate."""
        targets = {
            "chord": SegmentTargets(
                kind="chord",
                classes=class_labels("full"),
                relabel=lambda label: class_and_bass(label)[0],
            ),
            "bass": SegmentTargets(
                kind="chord",
                classes=(*ROOTS, NO_CHORD),
                relabel=lambda label: class_and_bass(label)[1],
            ),
        }
        drawn = FrameSampler(train, targets, crops=self.crops())
        held = FrameSampler(valid, targets, crops=self.crops(), every=True) if valid else None
        return drawn, held

    def build(self, generator: torch.Generator) -> nn.Module:
        """Return the network."""
        return seeded(lambda: ChordNet(NET), generator).requires_grad_(True)

    def losses(self, model: ChordNet, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the four heads."""
        spectra = batch["inputs"].cpu().numpy()
        spectra = _detuned(spectra) if model.training else spectra
        notes = np.stack([note_activations(crop) for crop in spectra])
        chord, bass = batch["chord"], batch["bass"]
        if model.training:
            notes, shifts = self._changed(notes)
            chord, bass = _transposed(chord, shifts, first=1), _transposed(bass, shifts, first=0)
            notes, noisy = self._with_noise(notes)
            chord = chord.masked_fill(noisy[:, None].to(chord.device), 0)
            bass = bass.masked_fill(noisy[:, None].to(bass.device), 12)
        logits = model(torch.from_numpy(unit(notes)).to(chord.device))
        root = torch.where(chord > 0, (chord - 1) % 12, torch.where(chord == 0, 12, -1))
        tones = torch.from_numpy(class_tones("full")).to(chord.device)[chord.clamp(min=0)]
        return {
            "chord": frame_cross_entropy(logits["chord"], chord),
            "root": 0.3 * frame_cross_entropy(logits["root"], root),
            "bass": 0.3 * frame_cross_entropy(logits["bass"], bass),
            "tones": 0.3 * frame_bce(logits["tones"], tones, chord >= 0),
        }

    @functools.cached_property
    def _noise(self) -> AnyArray:
        """Notes of crops of noise whose spectrum falls by 0 to 9 dB per octave."""
        rng, n = np.random.default_rng(0), self.params.n_frames * int(FRONT_END.hop)
        crops = []
        for slope in np.linspace(0.0, 1.5, 16):
            spectrum = rng.standard_normal((2, n // 2 + 1)) / np.arange(1, n // 2 + 2) ** slope
            y = np.fft.irfft(spectrum[0] + 1j * spectrum[1], n)
            S = compute((0.1 * y / np.abs(y).max()).astype(np.float32), FRONT_END, sr=SR)
            crops.append(note_activations(S)[: self.params.n_frames])
        return np.stack(crops)

    def _with_noise(self, notes: AnyArray) -> tuple[AnyArray, Tensor]:
        """Add the notes of noise to some crops, and make others noise alone: bool (batch,)."""
        draw = torch.rand(len(notes))
        alone, added = draw < _NOISE, (draw >= _NOISE) & (draw < _NOISE + _NOISY)
        noise = self._noise[torch.randint(len(self._noise), (len(notes),)).numpy()]
        level = np.linalg.norm(notes, axis=(1, 2), keepdims=True)
        noise = noise * (level / np.linalg.norm(noise, axis=(1, 2), keepdims=True))
        share = (torch.rand(len(notes)) * added)[:, None, None].numpy()
        mixed = notes + share * noise
        return np.where(alone[:, None, None].numpy(), noise, mixed).astype(np.float32), alone

    def _changed(self, notes: AnyArray) -> tuple[AnyArray, Tensor]:
        """Transpose crops, and change the levels of their octaves and notes."""
        shifts = torch.randint(-_TRANSPOSED + 1, _TRANSPOSED + 1, (len(notes),))
        octaves = torch.randn(len(notes), notes.shape[2] // 12).repeat_interleave(12, dim=1)
        gains = torch.exp(0.5 * octaves + 0.3 * torch.randn(len(notes), notes.shape[2])).numpy()
        margin = ((0, 0), (0, 0), (_TRANSPOSED, _TRANSPOSED))
        wide = np.pad(notes * gains[:, np.newaxis], margin)
        starts = (_TRANSPOSED - shifts).tolist()
        moved = [crop[:, k : k + notes.shape[2]] for crop, k in zip(wide, starts, strict=True)]
        return np.stack(moved), shifts

    def export(self, model: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state and the configuration."""
        return state_tensors(model), {"model": NET.to_json()}


def _detuned(S: AnyArray) -> AnyArray:
    """Return spectra (crop, frame, 252), half of them moved by up to half a semitone either way."""
    shifts = BINS_PER_SEMITONE * (torch.rand(len(S)) - 0.5) * (torch.rand(len(S)) < _DETUNED)
    return np.stack([shifted(crop, bins) for crop, bins in zip(S, shifts.tolist(), strict=True)])


def _transposed(classes: Tensor, shifts: Tensor, *, first: int) -> Tensor:
    """Return the numbers of classes transposed; twelve of a kind lie together from ``first`` on."""
    steps = classes - first
    moved = steps - steps % 12 + (steps + shifts.to(classes.device)[:, None]) % 12 + first
    n_moving = 12 if first == 0 else 1 << 30
    return torch.where((steps >= 0) & (steps < n_moving), moved, classes)
