"""Losses by name, from whatever plugin brings them."""

from __future__ import annotations

from typing import Any

from featx.errors import PluginError
from featx.interfaces import Loss, parse_params
from featx.registry import import_object, load_registry

__all__ = ["make_loss"]


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
