"""Training: triplets by notion, or tags; weights of the extractor out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from featx import ParameterError, load_weights
from featx.neural import check_config, seeded, state_tensors
from featx.training import (
    Batch,
    ClassifierMethod,
    CropSpec,
    GradientMethod,
    JointSampler,
    PositiveSampler,
    Sampler,
    Songs,
    TagClasses,
    make_loss,
)
from featx_csn.config import FRONT_END, N_FRAMES, CSNConfig
from featx_csn.model import CSN, block_masks, unit, unit_blocks
from featx_csn.notions import Notion, block_of_tags, read_notions, tags_of
from featx_csn.sampling import NotionTriplets
from featx_csn.scorers import Classifier, Prototypes, Proxies
from featx_csn.training_params import TAGS, TRIPLETS

if TYPE_CHECKING:
    from featx.types import AnyArray

_ROLES = ("anchors", "positives", "negatives")


class Learner(nn.Module):
    """What is trained: the network, and what scores tags."""

    def __init__(self, network: CSN, scorer: nn.Module | None) -> None:
        super().__init__()
        self.network, self.scorer = network, scorer


def begin(network: CSN, path: Path) -> None:
    """Give a network the weights of a file or of the folder of a training, without its tags."""
    file = path / "csn.safetensors" if path.is_dir() else path
    tensors, stored = load_weights(file)
    ignored = ("n_tags", "scores")
    check_config(stored.get("model"), network.config.to_json(), name=str(file), ignore=ignored)
    arrays = {name: torch.from_numpy(tensors[name]).float() for name in state_tensors(network)}
    network.load_state_dict({**network.state_dict(), **arrays})


class CSNMethod(GradientMethod):
    """What both methods share: notions, input, network, export."""

    #: Whether every notion has dimensions of its own.
    masks: bool
    #: How the extractor computes tags from the table of the scorer.
    scores: str

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.notions: tuple[Notion, ...] = read_notions(params.categories)

    def crops(self) -> CropSpec:
        """Return one segment."""
        return CropSpec(front_end=FRONT_END, length=N_FRAMES)

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags."""
        return tags_of(self.notions)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions of the blocks; a single one without masks."""
        sizes = tuple(notion.size for notion in self.notions)
        return sizes if self.masks else (sum(sizes),)

    def tag_counts(self) -> tuple[int, ...]:
        """Return the number of tags of every block."""
        counts = tuple(len(notion.tags) for notion in self.notions)
        return counts if self.masks else (sum(counts),)

    def network(self, generator: torch.Generator) -> CSN:
        """Return the network without a table of tags, drawn from ``generator``."""
        config = CSNConfig(
            backbone=self.params.backbone,
            level=self.params.level,
            embed_relu=self.params.embed_relu,
            sizes=self.sizes,
        )
        network = seeded(lambda: CSN(config), generator)
        if self.params.start:
            begin(network, Path(self.params.start))
        return network.requires_grad_(True)

    def export(self, model: Learner) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return network and table, and the parameters that the extractor needs for them."""
        tensors = state_tensors(model.network)
        tags = self.tags if model.scorer is not None else ()
        config = model.network.config
        if tags:
            weight, bias = model.scorer.table()  # type: ignore[union-attr, operator]
            tensors["tags.weight"] = weight.detach().cpu().numpy()
            tensors["tags.bias"] = bias.detach().cpu().numpy()
            config = dataclasses.replace(config, n_tags=len(tags), scores=self.scores)
        names = [self.notions[number].name for number in block_of_tags(self.notions)]
        params = {
            **{name: getattr(config, name) for name in ("backbone", "level", "embed_relu")},
            "notions": [f"{notion.name}={notion.size}" for notion in self._aspects()],
            "dim": config.dim,
            "tags": [f"{name}/{tag}" for name, tag in zip(names, tags, strict=False)],
            "scores": config.scores,
        }
        return tensors, {"model": config.to_json(), "params": params}

    def _aspects(self) -> tuple[Notion, ...]:
        return self.notions if self.masks else ()

    def card(self) -> dict[str, Any]:
        """Return the notions."""
        return {"notions": [dataclasses.asdict(notion) for notion in self.notions]}


# ------------------------------------------------------------------------------ triplets
class TripletMethod(CSNMethod):
    """Triplets under every notion, and of tracks.

    Validation adds ``<notion>_accuracy``: how often the positive is nearer than the negative.
    """

    scores = "cosine"
    validates_by = "it needs, for every notion, two songs that are similar and one that is not"

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.objective = TRIPLETS[params.objective]
        self.masks = self.objective.masks
        named = {notion.name: notion for notion in self.notions}
        if (params.objective == "specialised") != bool(params.notion):
            raise ParameterError(
                "notion must be given for the objective 'specialised' and for no other, got "
                f"{params.notion!r} for {params.objective!r}."
            )
        if params.notion:
            if params.notion not in named:
                raise ParameterError(
                    f"notion must be one of {', '.join(named)}, got {params.notion!r}."
                )
            total = sum(notion.size for notion in self.notions)
            self.notions = (dataclasses.replace(named[params.notion], size=total),)
            self.masks = True  # its only block is the whole embedding
        euclidean = params.distance == "euclidean"
        more: dict[str, Any] = {"normalise": False} if euclidean else {}
        name = "triplet-euclidean" if euclidean else "triplet-cosine"
        self.hinge = make_loss(name, margin=params.margin, **more)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return triplets; those that validate come from the validation songs alone."""
        return self._triplets(train), self._validating(valid) if valid else None

    def _triplets(self, songs: Songs) -> JointSampler:
        made: dict[str, Sampler] = {}
        if self.objective.notions:
            made["notions"] = NotionTriplets(
                songs,
                self.notions,
                length=N_FRAMES,
                disjoint=self.params.negatives == "disjoint",
            )
        if self.objective.tracks:
            made["tracks"] = PositiveSampler(songs, notion="track", n_negatives=1, length=N_FRAMES)
        return JointSampler(made)

    def _validating(self, songs: Songs) -> JointSampler | None:
        try:
            return self._triplets(songs)
        except ParameterError:  # reported by `validates_by`
            return None

    def build(self, generator: torch.Generator) -> Learner:
        """Return network and prototypes."""
        prototypes = None
        if self.tags and self.objective.notions:
            masks = block_masks(self.sizes)
            rows = torch.tensor(block_of_tags(self.notions)) if self.masks else -1
            prototypes = Prototypes(masks[rows].expand(len(self.tags), -1))
        return Learner(self.network(generator), prototypes)

    def vectors(self, model: Learner, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Return what distances are between, by source (``notions``, ``tracks``) and role.

        Anchors and positives are ``(batch, dim)``, negatives ``(batch, 1, dim)``. One pass means
        that normalisation sees all roles alike.
        """
        keys = [key for key in batch if key.rpartition(".")[2] in _ROLES]
        flat = [batch[key].flatten(0, -3) for key in keys]  # each (n, time, band)
        z = model.network(torch.cat(flat))
        masks = block_masks(self.sizes).to(z)
        found: dict[str, dict[str, Tensor]] = {}
        for key, rows in zip(keys, z.split([len(part) for part in flat]), strict=True):
            source, _, role = key.rpartition(".")
            every = torch.full((len(rows),), -1, device=z.device)
            numbers = batch["notions.notion"] if source == "notions" and self.masks else every
            self._follow(model, batch, source, role, rows)
            whole = unit(rows) if self.params.distance == "euclidean" else rows
            masked = whole * masks[numbers]
            found.setdefault(source, {})[role] = (
                masked.unsqueeze(1) if role == "negatives" else masked
            )
        return found

    def _follow(self, model: Learner, batch: Batch, source: str, role: str, z: Tensor) -> None:
        similar = source == "notions" and role != "negatives"
        if model.training and model.scorer is not None and similar:
            blocks = unit_blocks(z.detach(), self.sizes)
            model.scorer.follow(blocks, batch["notions.tag"])  # type: ignore[operator]

    def losses(self, model: Learner, batch: Batch) -> dict[str, Tensor]:
        """Return the hinges of notions and of tracks, the second weighted beside the first."""
        loss: Any = self.loss or self.hinge
        weight = self.params.track_weight if self.objective.notions else 1.0
        return {
            source: loss(**roles) * (weight if source == "tracks" else 1.0)
            for source, roles in self.vectors(model, batch).items()
        }

    def evaluate(self, model: Learner, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the mean losses, and accuracies by notion."""
        sums: dict[str, float] = {}
        won: dict[str, list[Tensor]] = {}
        count = 0
        names = [notion.name for notion in self.notions]
        for batch in batches:
            found = self.vectors(model, batch)
            loss: Any = self.loss or self.hinge
            for source, roles in found.items():
                n = len(roles["anchors"])
                sums[source] = sums.get(source, 0.0) + float(loss(**roles)) * n
                right = self.nearer(**roles)
                if source == "tracks":
                    won.setdefault("tracks", []).append(right)
                    continue
                for number, name in enumerate(names):
                    own = batch["notions.notion"] == number
                    won.setdefault(name, []).append(right[own])
            count += n
        means = {name: value / count for name, value in sums.items()}
        shares = {name: torch.cat(parts) for name, parts in won.items()}
        means["loss"] = sum(
            value * (self.params.track_weight if name == "tracks" and len(means) > 1 else 1.0)
            for name, value in means.items()
        )
        accuracies = {f"{n}_accuracy": float(v.mean()) for n, v in shares.items() if len(v)}
        return {**means, **accuracies}

    def nearer(self, *, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        """Return 1 where the positive is nearer than the negative, ties 0, shape (batch,)."""
        negatives = negatives.squeeze(1)
        if self.params.distance == "euclidean":
            nearer: Tensor = (anchors - positives).norm(dim=1) < (anchors - negatives).norm(dim=1)
            return nearer.float()
        anchors = unit(anchors)
        near, far = (anchors * unit(positives)).sum(dim=1), (anchors * unit(negatives)).sum(dim=1)
        return (near > far).float()


# ---------------------------------------------------------------------------------- tags
class TagMethod(ClassifierMethod, CSNMethod):
    """Binary cross-entropy of all tags, by proxies or by layers."""

    needs = ("tags",)

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        untagged = [notion.name for notion in self.notions if not notion.tags]
        if untagged:
            raise ParameterError(
                f"categories must give every notion tags for the method 'tags', got none for "
                f"{', '.join(untagged)}. Take the method 'triplets'."
            )
        self.objective = TAGS[params.objective]
        self.masks = self.objective.masks
        self.scores = "unit" if self.objective.norm else "linear"
        self.classes = TagClasses(self.tags)
        self.cross_entropy = make_loss("binary-cross-entropy")

    def build(self, generator: torch.Generator) -> Learner:
        """Return network and scorer."""
        network, counts = self.network(generator), self.tag_counts()
        if self.objective.proxies:
            return Learner(network, Proxies(self.sizes, counts))
        norm = self.objective.norm
        scorer = seeded(lambda: Classifier(self.sizes, counts, norm=norm), generator)
        return Learner(network, scorer.requires_grad_(True))

    def logits(self, model: Learner, batch: Batch) -> Tensor:
        """Return ``(batch, n_tags)``."""
        z = model.network(batch["inputs"])
        scores: Tensor = model.scorer.scores(z)  # type: ignore[union-attr, operator]
        return scores

    def loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the chosen loss of a batch, or the cross-entropy."""
        loss: Any = self.loss or self.cross_entropy
        value: Tensor = loss(embeddings=logits, labels=targets)
        return value

    def card(self) -> dict[str, Any]:
        """Return the notions, which hold the tags."""
        return CSNMethod.card(self)
