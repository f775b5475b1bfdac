"""Train the networks of `singonset` on synthesised singing, and on nothing else.

Usage: python benchmarks/singing_weights.py FOLDER [--recordings N] [--epochs N] [--cache CACHE]

Writes ``singonset.safetensors`` and its card, ``singonset.json``, to FOLDER. Recordings are 20 s
long; the last tenth of them validates. With --cache an interrupted computation of their features
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import torch
from torch import nn

import featx
from featx.weights import file_sha256
from featx_bench.singing import SR, synthesise_singing
from featx_onset.decision import DILATIONS, activations, decide
from featx_onset.singing import Voice

Array = np.ndarray[Any, Any]

HIDDEN, KERNEL = 32, 7
#: Frames of one example, and examples of a step.
CROP, BATCH = 250, 8
#: Frames a second.
RATE = 100
#: Weight of frames with an onset or an offset, which are few.
POSITIVE = 4.0


def targets(notes: Array, n_frames: int) -> Array:
    """Return onset, sounding and offset of every frame, (n_frames, 3), events with neighbours."""
    out = np.zeros((n_frames, 3), np.float32)
    for onset, offset, _ in notes:
        centres = np.arange(n_frames) / RATE
        out[(centres >= onset) & (centres < offset), 1] = 1.0
        for column, time in ((0, onset), (2, offset)):
            near = np.clip(1.5 - np.abs(centres - time) * RATE / 2, 0, 1)
            out[:, column] = np.maximum(out[:, column], near)
    return out


def recording(seed: int, number: int, cache: Path | None) -> tuple[Array, Array]:
    """Return features and notes of a synthesised recording, out of the cache if they are there."""
    path = None if cache is None else cache / f"{seed}-{number}.npz"
    if path is not None and path.is_file():
        with np.load(path) as file:
            return file["features"], file["notes"]
    y, notes = synthesise_singing(np.random.default_rng([seed, number]))
    features = Voice(y).features()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, features=features, notes=notes)
    return features, notes


class Network(nn.Module):
    """Dilated convolutions over time; what `featx_onset.decision` computes in numpy."""

    def __init__(self, mean: Array, scale: Array) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("scale", torch.from_numpy(scale))
        widths = (len(mean), *[HIDDEN] * len(DILATIONS))
        self.layers = nn.ModuleList(
            nn.Conv1d(n_in, n_out, KERNEL, padding=d * (KERNEL // 2), dilation=d)
            for n_in, n_out, d in zip(widths[:-1], widths[1:], DILATIONS, strict=True)
        )
        self.drop = nn.Dropout(0.2)
        self.head = nn.Conv1d(HIDDEN, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, time, 3) of features (batch, time, n_features)."""
        x = ((x - self.mean) * self.scale).transpose(1, 2)  # (batch, features, time)
        for layer in self.layers:
            x = self.drop(torch.relu(layer(x)))
        return self.head(x).transpose(1, 2)  # (batch, time, 3)

    def tensors(self, member: int) -> dict[str, Array]:
        """Return the weights as `activations` takes them."""
        found = {}
        for k, layer in enumerate(self.layers):
            found[f"{member}.kernel{k}"] = layer.weight.detach().numpy().transpose(2, 1, 0).copy()
            found[f"{member}.bias{k}"] = layer.bias.detach().numpy().copy()
        found[f"{member}.head"] = self.head.weight.detach().numpy()[:, :, 0].T.copy()
        found[f"{member}.head_bias"] = self.head.bias.detach().numpy().copy()
        return found


def train(
    features: list[Array], wanted: list[Array], *, members: int, epochs: int, seed: int
) -> dict[str, Array]:
    """Return the weights of networks that learned the targets of some recordings."""
    everything = np.concatenate(features)
    mean = everything.mean(axis=0)
    scale = (1 / np.maximum(everything.std(axis=0), 1e-3)).astype(np.float32)
    weights = {"mean": mean, "scale": scale}
    for member in range(members):
        model = Network(mean, scale)
        fit(model, features, wanted, epochs=epochs, seed=seed + member)
        weights |= model.tensors(member)
    return weights


def fit(
    model: Network, features: list[Array], wanted: list[Array], *, epochs: int, seed: int
) -> None:
    """Train one network, from weights that the seed decides."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    for layer in (*model.layers, model.head):
        layer.reset_parameters()
    per_epoch = sum(map(len, features)) // (CROP * BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * per_epoch)
    weight = torch.tensor([POSITIVE, 1.0, POSITIVE])
    model.train()
    for _ in range(epochs * per_epoch):
        chosen = rng.integers(0, len(features), BATCH)
        starts = [int(rng.integers(0, len(features[k]) - CROP)) for k in chosen]
        spans = [(k, slice(s, s + CROP)) for k, s in zip(chosen, starts, strict=True)]
        x = torch.from_numpy(np.stack([features[k][span] for k, span in spans]))
        y = torch.from_numpy(np.stack([wanted[k][span] for k, span in spans]))
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), y, pos_weight=weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def validate(
    weights: dict[str, Array], features: list[Array], notes: list[Array], threshold: float
) -> dict[str, float]:
    """Return F of onsets within 50 and 25 ms, and of offsets within 50 ms, over recordings."""
    rows = []
    for x, truth in zip(features, notes, strict=True):
        found = decide(activations(x, weights), threshold=threshold) / RATE
        f = mir_eval.onset.f_measure
        rows.append(
            [
                f(truth[:, 0], found[:, 0], window=0.05)[0],
                f(truth[:, 0], found[:, 0], window=0.025)[0],
                f(np.unique(truth[:, 1]), np.unique(found[:, 1]), window=0.05)[0],
            ]
        )
    names = ("onset_f_50ms", "onset_f_25ms", "offset_f_50ms")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def main() -> None:
    """Synthesise, train, and write weights and card."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=90)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--members", type=int, default=4, help="Networks that are averaged.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threshold", type=float, default=0.6, help="Of onsets; best on annotated singing."
    )
    parser.add_argument("--cache", type=Path, help="Folder that keeps the features.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="mir_eval")  # of recordings in which nothing is found
    made = [recording(options.seed, k, options.cache) for k in range(options.recordings)]
    features, notes = [item[0] for item in made], [item[1] for item in made]
    wanted = [targets(n, len(x)) for n, x in zip(notes, features, strict=True)]
    n_train = options.recordings - max(1, options.recordings // 10)
    weights = train(
        features[:n_train], wanted[:n_train], members=options.members, epochs=options.epochs,
        seed=options.seed,
    )  # fmt: skip
    scores = validate(weights, features[n_train:], notes[n_train:], options.threshold)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "singonset.safetensors"
    featx.save_weights(path, weights, {"model": {"threshold": options.threshold}})
    frames = sum(map(len, features[:n_train]))
    card = {
        "extractor": "featx-onset:singonset",
        "extractor_version": "1",
        "method": "synthesis",
        "summary": "Onsets, sounding and offsets of synthesised singing, frame by frame",
        "options": {
            name: vars(options)[name] for name in ("recordings", "members", "epochs", "seed")
        },
        "data": {
            "train_songs": n_train,
            "hours": round(frames / RATE / 3600, 2),
            "sr": SR,
            "origin": "singing synthesised by featx_bench.singing; no real voice",
        },
        "results": {
            "weights": path.name,
            "sha256": file_sha256(path),
            "steps": options.members * options.epochs * (frames // (CROP * BATCH)),
            "metrics": scores,
            "finished": True,
        },
    }
    (options.folder / "singonset.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
