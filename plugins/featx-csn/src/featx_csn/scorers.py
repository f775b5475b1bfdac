"""From embeddings to scores of tags, and the table that an extractor needs for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featx.training import make_loss
from featx_csn.model import unit_blocks
from featx_csn.sampling import NO_TAG

#: Share of a prototype that a batch replaces.
_RATE = 0.02


class Classifier(nn.Module):
    """One linear layer per block, of all tags or of the tags of a notion.

    Parameters
    ----------
    sizes : sequence of int
        Dimensions of the blocks.
    counts : sequence of int
        Tags of every block.
    norm : bool
        Blocks are brought to unit length, and layers have no bias.
    """

    def __init__(self, sizes: Sequence[int], counts: Sequence[int], *, norm: bool) -> None:
        super().__init__()
        self.sizes, self.norm = tuple(sizes), norm
        self.layers = nn.ModuleList(
            nn.Linear(size, count, bias=not norm) for size, count in zip(sizes, counts, strict=True)
        )

    def scores(self, z: Tensor) -> Tensor:
        """Return the logits ``(batch, n_tags)`` of embeddings ``(batch, dim)``."""
        blocks = unit_blocks(z, self.sizes) if self.norm else z
        parts = zip(self.layers, torch.split(blocks, list(self.sizes), dim=1), strict=True)
        return torch.cat([layer(block) for layer, block in parts], dim=1)

    def table(self) -> tuple[Tensor, Tensor]:
        """Return weights ``(n_tags, dim)``, 0 outside the own block, and biases ``(n_tags,)``."""
        layers: list[Any] = list(self.layers)
        weight: Tensor = torch.block_diag(*(layer.weight for layer in layers))  # type: ignore[no-untyped-call]
        if self.norm:
            return weight, torch.zeros(len(weight))
        return weight, torch.cat([layer.bias for layer in layers])


class Proxies(nn.Module):
    """The loss ``proxy-bce``, whose proxies are trained, as a scorer."""

    def __init__(self, sizes: Sequence[int], counts: Sequence[int]) -> None:
        super().__init__()
        blocks = [number for number, count in enumerate(counts) for _ in range(count)]
        self.loss: Any = make_loss(
            "proxy-bce",
            dim=sum(sizes),
            n_classes=len(blocks),
            sizes=tuple(sizes),
            blocks=tuple(blocks),
        )

    def scores(self, z: Tensor) -> Tensor:
        """Return the logits ``(batch, n_tags)`` of embeddings ``(batch, dim)``."""
        scores: Tensor = self.loss.scores(z)
        return scores

    def table(self) -> tuple[Tensor, Tensor]:
        """Return the proxies, 0 outside the own block, and no biases."""
        proxies: Tensor = self.loss.proxies * self.loss.masks
        return proxies, torch.zeros(len(proxies))


class Prototypes(nn.Module):
    """Running means of the embeddings of every tag; they follow the training, like batch norm.

    Parameters
    ----------
    masks : tensor, shape (n_tags, dim)
        1 in the block of every tag.
    """

    means: Tensor
    masks: Tensor

    def __init__(self, masks: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros_like(masks))
        self.register_buffer("masks", masks.clone())

    @torch.no_grad()
    def follow(self, vectors: Tensor, tags: Tensor) -> None:
        """Take vectors ``(batch, dim)`` that have the tags ``(batch,)`` into account."""
        known = tags != NO_TAG
        if not known.any():
            return
        numbers, vectors = tags[known], vectors[known]
        shares = nn.functional.one_hot(numbers, len(self.means)).to(vectors.dtype)
        counts = shares.sum(dim=0)  # (n_tags,)
        means = (shares.T @ vectors) / counts.clamp(min=1).unsqueeze(1)
        rate = (_RATE * (counts > 0)).unsqueeze(1)
        self.means += rate * (means * self.masks - self.means)

    def table(self) -> tuple[Tensor, Tensor]:
        """Return the prototypes and no biases."""
        return self.means, torch.zeros(len(self.means))
