"""Training the artist models: segments of the front end in, weights of the trunk out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx.neural import seeded, state_tensors
from featx.training import (
    ArtistClasses,
    Batch,
    ClassifierMethod,
    CropSpec,
    Example,
    GradientMethod,
    JointSampler,
    PositiveSampler,
    Sampler,
    Songs,
    TagClasses,
    TeacherMethod,
    make_loss,
)
from featx_artist.config import FRONT_END
from featx_artist.model import ArtistTrunk, Classifier, normalised

if TYPE_CHECKING:
    import numpy as np

    from featx.types import AnyArray
    from featx_artist.config import ArtistConfig

#: The loss of eq. 4.2, by the name under which a plugin brings it.
HINGE = "multi-negative-hinge"
#: Roles of a triplet in a batch.
ROLES = ("anchors", "positives", "negatives")


class SegmentMethod(GradientMethod):
    """What all models share: 129 frames of a front end, the trunk, decay of its kernels."""

    #: What segments are.
    front_end = FRONT_END

    def crops(self) -> CropSpec:
        """Return one segment."""
        return CropSpec(front_end=self.front_end, length=self.params.config().n_frames)

    @property
    def length(self) -> int:
        """Frames of a segment."""
        return int(self.params.config().n_frames)

    def decay(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the squared kernels of the convolutions times ``l2``; nothing for 0."""
        if not self.params.l2:
            return {}
        squares = [m.weight.square().sum() for m in model.modules() if isinstance(m, nn.Conv1d)]
        return {"l2": self.params.l2 * torch.stack(squares).sum()}

    def trunk(self, model: Any) -> ArtistTrunk:
        """Return the part of the model that is exported."""
        trunk: ArtistTrunk = model if isinstance(model, ArtistTrunk) else model.trunk
        return trunk

    def export(self, model: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state of the trunk and its configuration; a head stays behind."""
        trunk = self.trunk(model)
        return state_tensors(trunk), {"model": trunk.config.to_json(), "front_end": self.front_end}


# ------------------------------------------------------------------------- classifiers
class HeadMethod(ClassifierMethod, SegmentMethod):
    """The trunk under a linear head; one segment of every song an epoch."""

    def build(self, generator: torch.Generator) -> Classifier:
        """Return trunk and head."""
        n_classes = len(self.classes.names)
        config = self.params.config()
        return seeded(lambda: Classifier(config, n_classes), generator).requires_grad_(True)

    def logits(self, model: Classifier, batch: Batch) -> Tensor:
        """Return ``(batch, n_classes)``."""
        logits: Tensor = model(normalised(batch["inputs"]))
        return logits

    def losses(self, model: Classifier, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the labels, and the decay."""
        return {**super().losses(model, batch), **self.decay(model)}


class BasicMethod(HeadMethod):
    """Artists by categorical cross-entropy."""

    needs = ArtistClasses.needs

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.classes = ArtistClasses()


class TagMethod(HeadMethod):
    """Tags by binary cross-entropy, summed over tags, mean over segments."""

    needs = TagClasses.needs

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.classes = TagClasses(max_tags=params.max_tags)


# ---------------------------------------------------------------------- pairs that agree
class PositiveMethod(SegmentMethod):
    """Anchors, positives and negatives of one or several notions through one trunk.

    Validation adds ``<notion>_accuracy``: how often the positive is nearer than every negative.
    """

    reduction = "sum"

    def build(self, generator: torch.Generator) -> ArtistTrunk:
        """Return the trunk."""
        config = self.params.config()
        return seeded(lambda: ArtistTrunk(config), generator).requires_grad_(True)

    def losses(self, model: ArtistTrunk, batch: Batch) -> dict[str, Tensor]:
        """Return eq. 4.2 for every notion, and the decay.

        With shared negatives it is divided by how many times as many there are.
        """
        hinges = {}
        for notion, vectors in self.embeddings(model, batch).items():
            times = 1
            if self.params.shared_negatives:
                times = len(vectors["anchors"]) if self.reduction == "sum" else 1
                vectors["negatives"] = shared(vectors["negatives"], batch, notion)
            hinges[notion] = self.hinge(notion)(**vectors) / times
        return {**hinges, **self.decay(model)}

    def evaluate(self, model: ArtistTrunk, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the mean hinge per example, summed over notions, and accuracies."""
        sums: dict[str, float] = {}
        count = 0
        for batch in batches:
            for notion, vectors in self.embeddings(model, batch).items():
                loss = float(self.hinge(notion)(**vectors))
                loss *= 1 if self.reduction == "sum" else len(vectors["anchors"])
                near = functional.cosine_similarity(vectors["anchors"], vectors["positives"])
                anchors = vectors["anchors"].unsqueeze(1)  # (batch, 1, dim)
                far = functional.cosine_similarity(anchors, vectors["negatives"], dim=2)
                won = float((near > far.amax(dim=1)).sum())
                sums[notion] = sums.get(notion, 0.0) + loss
                sums[f"{notion}_accuracy"] = sums.get(f"{notion}_accuracy", 0.0) + won
            count += len(near)
        means = {name: value / count for name, value in sums.items()}
        hinges = [value for name, value in means.items() if not name.endswith("_accuracy")]
        return {"loss": sum(hinges), **means}

    def embeddings(self, model: ArtistTrunk, batch: Batch) -> Mapping[str, dict[str, Tensor]]:
        """Return embeddings by notion and role, from one pass over all segments of the batch.

        Anchors and positives are ``(batch, dim)``, negatives ``(batch, n_negatives, dim)``. One
        pass means that normalisation sees all roles alike.
        """
        segments = [value for key, value in batch.items() if key.rpartition(".")[2] in ROLES]
        keys = [key for key in batch if key.rpartition(".")[2] in ROLES]
        flat = torch.cat([part.flatten(0, -3) for part in segments])  # (all, time, band)
        vectors = model(normalised(flat))  # (all, dim)
        roles: dict[str, dict[str, Tensor]] = {}
        parts = vectors.split([part.shape[:-2].numel() for part in segments])
        for key, part, own in zip(keys, segments, parts, strict=True):
            notion, _, role = key.rpartition(".")
            roles.setdefault(notion or "artist", {})[role] = own.unflatten(0, part.shape[:-2])
        return roles

    def hinge(self, notion: str) -> Any:
        """Return the chosen loss, or that of eq. 4.2, summed over examples and negatives."""
        if self.loss is not None:
            return self.loss
        if not hasattr(self, "_hinges"):
            self._hinges: dict[str, Any] = {}
        if notion not in self._hinges:
            self._hinges[notion] = make_loss(HINGE, margin=self.margin(notion))
        return self._hinges[notion]

    @abstractmethod
    def margin(self, notion: str) -> float:
        """Return the margin of a notion."""


def shared(negatives: Tensor, batch: Batch, notion: str) -> Tensor:
    """Return the negatives of all anchors of a batch for every anchor.

    ``(batch, n, dim)`` becomes ``(batch, batch * n, dim)``. A segment of the anchor's own group is
    replaced by one of the anchor's own negatives.
    """
    prefix = f"{notion}." if f"{notion}.group" in batch else ""
    groups, others = batch[f"{prefix}group"], batch[f"{prefix}negative_groups"]
    n_anchors, n = others.shape
    everyone = torch.arange(n_anchors * n, device=others.device).expand(n_anchors, -1)
    own = torch.arange(n_anchors, device=others.device).unsqueeze(1) * n + everyone % n
    same = others.flatten() == groups.unsqueeze(1)  # (batch, batch * n)
    chosen: Tensor = negatives.flatten(0, 1)[torch.where(same, own, everyone)]
    return chosen


class SiameseMethod(PositiveMethod):
    """Songs of an artist against songs of others."""

    needs = ("artist",)
    validates_by = "it needs two songs of one artist and a song of another among them"

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return triplets; those that validate come from the validation songs alone."""
        return self._triplets(train), self._triplets(valid) if _has_pairs(valid) else None

    def margin(self, notion: str) -> float:  # noqa: ARG002
        """Return the margin."""
        return float(self.params.margin)

    def _triplets(self, songs: Songs) -> PositiveSampler:
        return PositiveSampler(
            songs, notion="artist", n_negatives=self.params.n_negatives, length=self.length
        )


def _has_pairs(songs: Songs) -> bool:
    groups = songs.groups("artist")
    return len(groups) > 1 and any(len(group) > 1 for group in groups.values())


class JointMethod(PositiveMethod):
    """Artist, album and track: independent draws, one trunk, the sum of their losses."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.front_end = params.front_end
        self.needs = tuple(notion for notion in params.notions if notion != "track")

    def export(self, model: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state of the trunk and what it reads."""
        state, config = super().export(model)
        return state, {**config, "params": {"front_end": self.front_end}}

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return triplets of every notion.

        Where validation songs are by artists (on albums) that are trained on, their positives are
        training songs, as in the paper; where none is, they come from the validation songs.
        """
        drawn = JointSampler({notion: self._triplets(train, notion) for notion in self.notions})
        held = {notion: self._held_out(train, valid, notion) for notion in self.notions}
        known = {notion: sampler for notion, sampler in held.items() if sampler is not None}
        return drawn, JointSampler(known) if known else None

    @property
    def notions(self) -> tuple[str, ...]:
        """What is learned."""
        notions: tuple[str, ...] = self.params.notions
        return notions

    def margin(self, notion: str) -> float:
        """Return the margin of a notion."""
        return float(self.params.margin(notion))

    def _held_out(self, train: Songs, valid: Songs, notion: str) -> PositiveSampler | None:
        if notion == "track":
            return self._triplets(valid, notion) if len(valid) > 1 else None
        groups = valid.groups(notion)
        if len(groups) < 2:
            return None
        if groups.keys() & train.groups(notion).keys():
            return self._triplets(valid, notion, pool=train)
        if any(len(group) > 1 for group in groups.values()):
            return self._triplets(valid, notion)
        return None

    def _triplets(self, songs: Songs, notion: str, pool: Songs | None = None) -> PositiveSampler:
        return PositiveSampler(
            songs,
            notion=notion,
            n_negatives=self.params.n_negatives,
            length=self.length,
            pool=pool,
        )


# ------------------------------------------------------------------------------ teachers
class Student(nn.Module):
    """The trunk, and heads that only training uses: numbers and tags of teachers, labels."""

    def __init__(self, config: ArtistConfig, **sizes: int) -> None:
        super().__init__()
        self.trunk = ArtistTrunk(config)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(config.filters[-1], size) for name, size in sizes.items() if size}
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map segments ``(batch, time, band)`` to what every head predicts."""
        embedding = self.trunk(x)  # (batch, channel)
        return {name: head(embedding) for name, head in self.heads.items()}


class BesideSampler(Sampler):
    """Crops that teachers heard, and triplets that are drawn beside them."""

    def __init__(self, heard: Sampler, triplets: Sampler) -> None:
        self.heard, self.triplets = heard, triplets
        self.frozen = tuple(dict.fromkeys((*heard.frozen, *triplets.frozen)))

    def __len__(self) -> int:
        return len(self.heard)

    def example(self, place: int, rng: np.random.Generator) -> Example:
        """See `Sampler`; the triplets begin at a random song."""
        first = self.heard.example(place, rng)
        second = self.triplets.example(int(rng.integers(len(self.triplets))), rng)
        return Example(
            crops={**first.crops, **second.crops}, targets={**first.targets, **second.targets}
        )


class DistilMethod(TeacherMethod, JointMethod):
    """Numbers and tags of teachers; where wanted also artist, album and track as in `JointMethod`.

    Validation is by the teachers alone.
    """

    reduction = "mean"

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.needs = ()

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return crops with what the teachers gave, and triplets beside them."""
        heard, held = super().samplers(train, valid)
        if not self.params.hinge_weight:
            return heard, held
        triplets, _ = JointMethod.samplers(self, train, valid)
        return BesideSampler(heard, triplets), held

    def build(self, generator: torch.Generator) -> Student:  # type: ignore[override]
        """Return trunk and heads."""
        sizes = {"numbers": self.numbers, "tags": len(self.tags), "labels": len(self.labels)}
        config = self.params.config()
        return seeded(lambda: Student(config, **sizes), generator).requires_grad_(True)

    def predictions(self, model: Student, batch: Batch) -> dict[str, Tensor]:
        """Return what the heads make of the embedding."""
        predicted: dict[str, Tensor] = model(normalised(batch["inputs"]))
        return predicted

    def losses(self, model: Student, batch: Batch) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the losses of the teachers, the mean hinges, and the decay."""
        losses = super().losses(model, batch)
        if self.params.hinge_weight:
            for notion, vectors in self.embeddings(model.trunk, batch).items():
                if self.params.shared_negatives:
                    vectors["negatives"] = shared(vectors["negatives"], batch, notion)
                pairs = vectors["negatives"].shape[:2].numel()
                losses[notion] = self.params.hinge_weight * self.hinge(notion)(**vectors) / pairs
        return {**losses, **self.decay(model)}
