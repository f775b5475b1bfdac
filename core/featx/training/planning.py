"""What a training is made of, before anything is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featx.errors import PluginError
from featx.interfaces import ExtractorSpec, MethodSpec
from featx.params import parse_params
from featx.registry import Registered, Registry, import_object
from featx.training.losses import choose_loss
from featx.training.method import FitMethod, GradientMethod, Method
from featx.training.options import (
    FREE,
    TrainingParams,
    find_method,
    options_class,
    split_settings,
)
from featx.training.songs import SongSplit


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """An extractor, one of its methods, and all settings."""

    extractor: Registered[ExtractorSpec]
    spec: MethodSpec
    method: Method
    params: Any
    options: TrainingParams
    #: what was chosen instead of the method's own: name, version and parameters
    loss: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``<extractor>/<method>``, the extractor in full."""
        return f"{self.extractor.full_name}/{self.spec.name}"

    def identity(self, songs: SongSplit) -> dict[str, Any]:
        """Return what decides the numbers: a state that differs in it is another training."""
        options = dataclasses.asdict(self.options)
        return {
            "extractor": self.extractor.full_name,
            "version": self.extractor.spec.version,
            "method": self.spec.name,
            "params": dataclasses.asdict(self.params),
            "loss": dict(self.loss),
            "options": {name: value for name, value in options.items() if name not in FREE},
            "crops": self.method.crops().to_json(),
            "train": songs.train.digest(),
            "valid": songs.valid.digest(),
        }


def plan_training(
    registry: Registry, extractor: str, method: str | None, settings: Mapping[str, Any]
) -> TrainingPlan:
    """Return the plan of a training; names and settings that are wrong raise `ParameterError`."""
    item = registry.extractor(extractor)
    spec = find_method(registry, item.spec, method)
    loss, about_loss = choose_loss(registry, spec, settings)
    own, shared = split_settings(spec, settings)
    params: Any = parse_params(spec.params, own)
    made = import_object(spec.factory)(params)
    kind: type[Method] = FitMethod if spec.kind == "fit" else GradientMethod
    if not isinstance(made, kind):
        raise PluginError(
            f"{spec.factory} must be a featx.training.{kind.__name__}, as kind={spec.kind!r} says, "
            f"got {type(made).__name__}."
        )
    if isinstance(made, GradientMethod) and loss is not None:
        made.loss = loss
        made.reduction = "sum" if about_loss["params"].get("reducer") == "sum" else "mean"
    if spec.kind == "gradient" and made.crops().length == 0:
        raise PluginError(f"{spec.factory} must give crops of one length > 0, got 0.")
    return TrainingPlan(
        extractor=item,
        spec=spec,
        method=made,
        params=params,
        options=parse_params(options_class(spec), shared),
        loss=about_loss,
    )
