"""Losses by name, from whatever plugin brings them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, PluginError, listed
from featx.interfaces import Loss
from featx.params import parse_params
from featx.registry import import_object, load_registry

if TYPE_CHECKING:
    from torch import Tensor

    from featx.interfaces import LossSpec, MethodSpec
    from featx.registry import Registry

_ROLES = {
    "triplet": "anchors, positives and negatives",
    "labels": "embeddings and labels",
    "views": "views",
}


def make_loss(name: str, *, registry: Registry | None = None, **settings: Any) -> Loss:
    """Return the loss called ``name``, short or full, made with ``settings``.

    ``registry`` is where it is looked up, by default that of all plugins.

    Raises
    ------
    PluginError
        If no plugin provides it, or its factory does not return a `featx.Loss`.
    ParameterError
        For a setting that it does not have or that breaks its rule.
    """
    item = (registry or load_registry()).loss(name)
    values = dataclasses.asdict(parse_params(item.spec.params, settings))
    loss = import_object(item.spec.factory)(**values)
    if not isinstance(loss, Loss):
        raise PluginError(f"{item.spec.factory} must give a featx.Loss, got {type(loss).__name__}.")
    return loss


def why_not(method: MethodSpec, loss: LossSpec) -> str:
    """Return why a method cannot be trained with a loss, ``''`` where it can."""
    roles = method.loss
    if roles is None:
        return "has a loss of its own"
    if loss.inputs != roles.inputs:
        return f"gives {_ROLES[roles.inputs]}, the loss takes {_ROLES[loss.inputs]}"
    if roles.inputs == "labels" and loss.labels != roles.labels:
        return f"gives labels that are {roles.labels}, the loss takes {loss.labels}"
    if roles.many_negatives and not loss.many_negatives:
        return "gives several negatives for each anchor, the loss takes one"
    if roles.logits and loss.pairwise:
        return "gives scores of classes, the loss compares embeddings with each other"
    if {"n_classes", "dim"} & {item.name for item in dataclasses.fields(loss.params)}:
        return "trains no tensors of a loss, the loss has some"
    return ""


def choose_loss(
    registry: Registry, method: MethodSpec, settings: Mapping[str, Any]
) -> tuple[Loss | None, dict[str, Any]]:
    """Return the loss that ``settings`` choose by ``loss`` and ``loss.<parameter>``, or None.

    Also returns what it is, as JSON values: name, version and parameters; empty for None.

    Raises
    ------
    ParameterError
        If the method cannot be trained with it (its roles and the losses that fit are named), it
        has no such parameter, or parameters are given without a loss.
    PluginError
        If it is not installed.
    """
    own = {key[5:]: value for key, value in settings.items() if key.startswith("loss.")}
    name = settings.get("loss")
    if not name:
        if own:
            raise ParameterError(
                f"loss must be chosen where its parameters are set ({listed(sorted(own))}), got "
                "none. Add --set loss=NAME."
            )
        return None, {}
    item = registry.loss(name)
    reason = why_not(method, item.spec)
    if reason:
        fitting = [key for key, other in registry.losses.items() if not why_not(method, other.spec)]
        raise ParameterError(
            f"loss must fit method {method.name!r}, got {name!r}: the method {reason}. "
            f"Losses that fit: {listed(fitting) or 'none'}."
        )
    loss = make_loss(item.full_name, registry=registry, **own)
    params = dataclasses.asdict(parse_params(item.spec.params, own))
    return loss, {"name": item.full_name, "version": item.spec.version, "params": params}


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
