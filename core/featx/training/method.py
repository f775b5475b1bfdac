"""The contract between a plugin and the trainer: crops in, losses to minimise, weights out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import torch

    from featx.training.crops import CropSpec
    from featx.training.samplers import Sampler
    from featx.training.songs import Songs
    from featx.types import AnyArray, FloatArray

__all__ = ["Batch", "Method"]

#: Tensors by role: crops ``(batch, ...)`` or ``(batch, n, ...)`` float32, and targets.
Batch: TypeAlias = "Mapping[str, torch.Tensor]"


class Method(ABC):
    """One way to train the weights of an extractor.

    The trainer calls, in this order: the constructor; `crops`; `samplers`; `build`; then `losses`
    for every step and `evaluate` for every validation; at the end `export`. A method maps tensors
    to tensors: files, devices, seeds, optimiser and checkpoints are the trainer's business.

    Parameters
    ----------
    params : object
        An instance of the ``params`` class of its `featx.MethodSpec`.
    """

    #: Labels of the manifest without which a song is of no use, such as ``("artist",)``.
    needs: tuple[str, ...] = ()

    #: What the validation songs must hold, said where `samplers` cannot validate by them.
    validates_by: str = "it needs songs whose labels are known from the training songs"

    def __init__(self, params: Any) -> None:
        self.params = params

    @abstractmethod
    def crops(self) -> CropSpec:
        """Say what one crop is: samples at a rate, or frames of a front end."""

    @abstractmethod
    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return what draws the training and the validation examples.

        Called before `build`: here the classes are known. ``valid`` may be empty; then, or where
        a method cannot validate, the second is None.
        """

    def augment(self, values: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return another view of one crop, of the same shape; called for crops that ask for it.

        Runs in several threads at once and must draw from ``rng`` alone.
        """
        del rng
        return values

    @abstractmethod
    def build(self, generator: torch.Generator) -> torch.nn.Module:
        """Return the module on the CPU, its parameters drawn from ``generator``."""

    @abstractmethod
    def losses(self, model: Any, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the losses of a batch by name; their sum is minimised, each is logged."""

    def evaluate(self, model: Any, batches: Iterable[Batch]) -> dict[str, float]:
        """Return what is measured on the validation examples; ``loss`` is what schedules watch.

        Called without gradients, with the module in evaluation mode. The default is the mean of
        every loss over the examples, and their sum as ``loss``.
        """
        sums: dict[str, float] = {}
        count = 0
        for batch in batches:
            size = len(next(iter(batch.values())))
            for name, value in self.losses(model, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * size
            count += size
        means = {name: value / count for name, value in sums.items()}
        return {"loss": sum(means.values()), **({} if len(means) == 1 else means)}

    @abstractmethod
    def export(self, model: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return arrays and configuration exactly as the extractor's ``weights`` are read."""

    def card(self) -> dict[str, Any]:
        """Return what the model card should say beyond params and metrics, as JSON values."""
        return {}
