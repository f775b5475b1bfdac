"""A method small enough for tests: which artist, from the loudness of four bands."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np
import torch

from featx import API_VERSION, ExtractorSpec, MethodSpec, WeightsSpec, param, params_class
from featx.registry import Registered, Registry
from featx.training import CropSpec, GradientMethod, PositiveSampler, SegmentSampler, Songs

SR, LENGTH = 4000, 1024


@params_class
class TinyParams:
    width: int = param(4, "Hidden units, > 0.", gt=0)
    break_at: int = param(-1, "Call of the loss from which on it is NaN; -1 for never.")
    front_end: bool = param(False, "Frames of fe-artist instead of samples.")


class TinyNet(torch.nn.Module):
    def __init__(self, n_inputs: int, width: int, n_classes: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(n_inputs, width)
        self.bn = torch.nn.BatchNorm1d(width)
        self.dropout = torch.nn.Dropout(0.3)
        self.head = torch.nn.Linear(width, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.hidden(x)))
        return self.head(self.dropout(x))  # (batch, n_classes)


class TinyMethod(GradientMethod):
    needs = ("artist",)
    calls = 0

    def crops(self) -> CropSpec:
        if self.params.front_end:
            return CropSpec(front_end="fe-artist", length=8)
        return CropSpec(sr=SR, length=LENGTH)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Any, Any]:
        self.artists = train.names("artist")
        length = self.crops().length
        drawn, held = (self._segments(songs, length) for songs in (train, valid))
        return drawn, held

    def _segments(self, songs: Songs, length: int) -> SegmentSampler | None:
        known = Songs(song for song in songs if song.labels["artist"] in self.artists)
        if not known:
            return None
        labels = [self.artists.index(song.labels["artist"]) for song in known]
        return SegmentSampler(known, labels, length=length, every=False)

    def build(self, generator: torch.Generator) -> TinyNet:
        n_inputs = 128 if self.params.front_end else 4
        model = TinyNet(n_inputs, self.params.width, len(self.artists))
        for value in model.parameters():
            with torch.no_grad():
                value.copy_(torch.rand(value.shape, generator=generator) - 0.5)
        return model

    def losses(self, model: TinyNet, batch: Any) -> dict[str, torch.Tensor]:
        x = batch["inputs"]
        if self.params.front_end:
            x = x.mean(dim=1)  # (batch, band)
        else:
            spectrum = torch.fft.rfft(x)[:, 1:].abs()  # (batch, LENGTH / 2)
            x = spectrum.reshape(len(x), 4, -1).mean(dim=2).log1p()  # (batch, 4)
        loss = torch.nn.functional.cross_entropy(model(x), batch["targets"])
        self.calls += 1
        return {"ce": loss * float("nan") if self.calls == self.params.break_at else loss}

    def export(self, model: TinyNet) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        tensors = {key: value.numpy() for key, value in model.state_dict().items()}
        return tensors, {"artists": list(self.artists)}


class PairMethod(TinyMethod):
    """Anchors, positives and negatives instead of labels."""

    def samplers(self, train: Songs, valid: Songs) -> tuple[Any, Any]:
        self.artists = train.names("artist")
        sampler = PositiveSampler(train, notion="artist", n_negatives=2, length=LENGTH)
        return sampler, None

    def losses(self, model: TinyNet, batch: Any) -> dict[str, torch.Tensor]:
        def embed(x: torch.Tensor) -> torch.Tensor:
            spectrum = torch.fft.rfft(x)[..., 1:].abs()
            bands = spectrum.reshape(-1, 4, LENGTH // 8).mean(dim=2).log1p()
            return model(bands).reshape(*x.shape[:-1], -1)  # (batch, ..., dim)

        anchors, positives = embed(batch["anchors"]), embed(batch["positives"])
        near = torch.cosine_similarity(anchors, positives)
        far = torch.cosine_similarity(anchors[:, None], embed(batch["negatives"]), dim=2)
        return {"hinge": (0.4 - near[:, None] + far).clamp(min=0).sum(dim=1).mean()}


SPEC = ExtractorSpec(
    name="tiny",
    summary="For tests",
    version="1",
    factory="training_method:None",
    resolve="training_method:None",
    api=API_VERSION,
    weights=WeightsSpec(name="tiny", required=False),
    methods=(
        MethodSpec(
            name="artist",
            summary="Which artist",
            factory="training_method:TinyMethod",
            params=TinyParams,
            defaults={"batch_size": 4, "lr": 0.05, "split_by": "song", "valid_fraction": 0.3},
        ),
        MethodSpec(
            name="pairs",
            summary="Songs of an artist are near each other",
            factory="training_method:PairMethod",
            params=TinyParams,
            defaults={"batch_size": 4},
        ),
    ),
)


def registry() -> Registry:
    """A registry that knows the extractor ``tiny`` only."""
    item = Registered(
        full_name="featx-tiny:tiny", distribution="featx-tiny", plugin="tiny", spec=SPEC
    )
    return Registry([], extractors=[item])


class Silent:
    """A reporter that says nothing, and may kill its process after a step.

    ``began`` is the step that training went on after, -1 where nothing was left to do.
    """

    began = -1

    def __init__(self, kill_after: int = -1) -> None:
        self.kill_after = kill_after
        self.notes: list[str] = []

    def begin(self, step: int, total: int | None) -> None:
        self.began = step

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, standing: Any) -> None:
        if standing.step == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def end(self) -> None:
        pass


def main(manifest: str, out: str, steps: int, kill_after: int) -> None:
    """Train in a process of its own that may be killed by itself."""
    import featx.training.running as running

    running.load_registry = lambda **_: registry()
    settings = {"steps": steps, "checkpoint_minutes": 0.0003, "validate_every": 10, "log_every": 7}
    # more stages than validations, so that it never ends before its last step
    settings |= {"schedule": "stages", "patience": 0, "stages": 50, "lr": 0.5}
    reporter = Silent(kill_after)
    done = running.train(
        manifest, out, extractor="tiny", params=settings, threads=1, progress=reporter
    )
    print(reporter.began, done.sha256)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
