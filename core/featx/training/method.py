"""The contract between a plugin and `featx train`: what it is handed, and what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    import numpy as np
    import torch

    from featx.interfaces import Loss
    from featx.training.crops import CropSpec
    from featx.training.samplers import Sampler
    from featx.training.songs import Songs

#: Tensors by role: crops ``(batch, ...)`` or ``(batch, n, ...)`` float32, and targets.
Batch: TypeAlias = "Mapping[str, torch.Tensor]"


class Method(ABC):
    """One way to train the weights of an extractor: a `GradientMethod` or a `FitMethod`.

    A method maps arrays to arrays. Files, devices, seeds, logs and checkpoints are the business of
    `featx.training.train`.

    Parameters
    ----------
    params : object
        An instance of the ``params`` class of its `featx.MethodSpec`.
    """

    #: Labels of the manifest without which a song is of no use, such as ``("artist",)``.
    needs: tuple[str, ...] = ()

    #: What the validation songs must hold, for the message where they cannot be validated by.
    validates_by: str = "it needs songs whose labels are known from the training songs"

    def __init__(self, params: Any) -> None:
        self.params = params

    @abstractmethod
    def crops(self) -> CropSpec:
        """Return what is read: samples at a rate, or frames of a front end."""

    def card(self) -> dict[str, Any]:
        """Return what the model card should hold beyond params and metrics, as JSON values."""
        return {}


class GradientMethod(Method):
    """Trains a torch module by steps over batches of crops.

    Called in this order: the constructor; `crops`; `samplers`; `build`; then `losses` for every
    step and `evaluate` for every validation; at the end `export`.
    """

    #: ``mean`` or ``sum``: what `losses` are over the examples of a batch. Logs and metrics are
    #: per example in both cases.
    reduction: str = "mean"

    #: The loss that ``--set loss=NAME`` chose, where the `featx.MethodSpec` lets it; `reduction` is
    #: then that of this loss.
    loss: Loss | None = None

    @abstractmethod
    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return what draws the training and the validation examples.

        Called before `build`: here the classes are known. ``valid`` may be empty; then, or where
        a method cannot validate, the second is None.
        """

    @abstractmethod
    def build(self, generator: torch.Generator) -> torch.nn.Module:
        """Return the module on the CPU, its parameters drawn from ``generator``."""

    @abstractmethod
    def losses(self, model: Any, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the losses of a batch by name; their sum is minimised, each is logged."""

    def evaluate(self, model: Any, batches: Iterable[Batch]) -> dict[str, float]:
        """Return what is measured on the validation examples; ``loss`` is what schedules watch.

        Called without gradients, with the module in evaluation mode. The default is the mean of
        every loss over the examples, and their total as ``loss``.
        """
        sums: dict[str, float] = {}
        count = 0
        for batch in batches:
            size = len(next(iter(batch.values())))
            for name, value in self.losses(model, batch).items():
                total = float(value) * (size if self.reduction == "mean" else 1)
                sums[name] = sums.get(name, 0.0) + total
            count += size
        means = {name: value / count for name, value in sums.items()}
        return {"loss": sum(means.values()), **({} if len(means) == 1 else means)}

    @abstractmethod
    def export(self, model: Any) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return arrays and configuration exactly as the extractor's ``weights`` are read."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What one step of a `FitMethod` has learned.

    Parameters
    ----------
    arrays : mapping of str to array
        The state: what the next step continues from, a checkpoint holds and `FitMethod.export`
        takes. Finite.
    metrics : mapping of str to float
        Written to ``training.csv`` and, for the last step, into the card.
    done : bool
        False asks for another step.
    """

    arrays: Mapping[str, AnyArray]
    metrics: Mapping[str, float] = field(default_factory=dict)
    done: bool = True


class FitMethod(Method):
    """Learns from one sample of vectors: a codebook, a projection, means and deviations.

    Called in this order: the constructor; `crops`; `vectors` for every song; `fit` until it is
    done; `evaluate` where songs validate; `export`. Needs no torch.

    ``crops()`` with ``length=0`` reads whole songs. Every song gives a share of the sample in
    proportion to its length, drawn without replacement; the sample never holds more than
    ``n_vectors`` (`FitParams`) vectors.
    """

    def vectors(self, values: FloatArray) -> FloatArray:
        """Return the vectors of one crop or song, float32 ``(n, dim)``; the frames by default.

        ``values`` are frames ``(n_frames, n_bands)``, or samples ``(n_samples,)``. Runs in several
        threads at once.
        """
        return values

    @abstractmethod
    def fit(
        self, vectors: FloatArray, arrays: Mapping[str, AnyArray], rng: np.random.Generator
    ) -> Fitted:
        """Return what one step learns; a fit that is done at once takes one step.

        Parameters
        ----------
        vectors : float32 array, shape (n, dim)
            The sample, the same in every step, in the order of the manifest; not to be written to.
        arrays : mapping of str to array
            ``Fitted.arrays`` of the step before; empty in the first one.
        rng : numpy Generator
            Depends on the seed and the number of the step, so that a fit that was interrupted
            resumes with the same numbers. Draw from nothing else.
        """

    def evaluate(self, arrays: Mapping[str, AnyArray], vectors: FloatArray) -> dict[str, float]:
        """Return metrics on the vectors of the validation songs; none by default."""
        del arrays, vectors
        return {}

    @abstractmethod
    def export(self, arrays: Mapping[str, AnyArray]) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return arrays and configuration exactly as the extractor's ``weights`` are read."""
