"""Losses by name, from whatever plugin brings them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, PluginError, listed
from featx.interfaces import Loss
from featx.params import parse_params
from featx.registry import import_object, load_registry

if TYPE_CHECKING:
    from torch import Tensor


def make_loss(name: str, **settings: Any) -> Loss:
    """Return the loss called ``name``, short or full, made with ``settings``.

    Raises
    ------
    PluginError
        If no plugin brings it, or its factory gives no `featx.Loss`.
    ParameterError
        For a setting that it does not have or that breaks its rule.
    """
    import dataclasses

    item = load_registry().loss(name)
    params: Any = parse_params(item.spec.params, settings)
    values = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    loss = import_object(item.spec.factory)(**values)
    if not isinstance(loss, Loss):
        raise PluginError(f"{item.spec.factory} must give a featx.Loss, got {type(loss).__name__}.")
    return loss


def take_roles(roles: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    """Return the tensors of a loss in the order of ``names``.

    Raises
    ------
    ParameterError
        If one is missing, or there is one that is not among ``names``.
    """
    missing = [name for name in names if name not in roles]
    unknown = [name for name in roles if name not in names]
    if missing or unknown:
        wrong = [f"no {name}" for name in missing] + [f"the unknown {name}" for name in unknown]
        raise ParameterError(f"roles must be {listed(names)}, got {listed(wrong)}.")
    return tuple(roles[name] for name in names)


def frame_bce(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of the frames that are known, a scalar.

    Parameters
    ----------
    logits, targets : tensors, shape (batch, n_frames) or (batch, n_frames, n_classes)
        Targets lie within 0..1.
    known : bool tensor, shape (batch, n_frames)
        Frames that count; without any the loss is 0 and has a gradient.
    """
    from torch.nn import functional

    losses = functional.binary_cross_entropy_with_logits(
        logits[known], targets[known], reduction="sum"
    )
    return losses / max(logits[known].numel(), 1)


def frame_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of the frames that are known, a scalar.

    Parameters
    ----------
    logits : tensor, shape (batch, n_frames, n_classes)
        One for every class.
    targets : int64 tensor, shape (batch, n_frames)
        The classes; below 0 are frames that do not count. Without others the loss is 0 and has a
        gradient.
    """
    from torch.nn import functional

    known = targets >= 0
    losses = functional.cross_entropy(logits[known], targets[known], reduction="sum")
    return losses / max(int(known.sum()), 1)
