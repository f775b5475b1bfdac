"""What a spec must be; each check ends in a reason that a plugin author can act on."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from featx.errors import FeatxError, listed
from featx.interfaces import API_VERSION, ExtractorSpec, IndexSpec, LossRoles, LossSpec, MethodSpec
from featx.types import WeightsSpec

DEVICES = ("cpu", "cuda", "mps")
LOSS_INPUTS = ("triplet", "labels", "views")
LOSS_LABELS = ("classes", "tags")

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RESOURCE = re.compile(r"[A-Za-z_][\w.]*:[^/\\][^\\]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BrokenPluginError(FeatxError):
    """One plugin breaks a rule; the message is the reason that ``featx plugins`` shows."""


def check_spec(spec: ExtractorSpec | LossSpec | IndexSpec) -> None:
    """Raise `BrokenPluginError` for the first field of ``spec`` that breaks its rule."""
    kind = type(spec).__name__
    who = f"{kind} {spec.name!r}"
    _check_api(who, spec.api)
    _check_pattern(kind, "name", spec.name, _NAME, "lower-case-name")
    for label in ("summary", "version", "factory"):
        _check_text(who, label, getattr(spec, label), empty=False)
    for label in ("licence", "reference"):
        _check_text(who, label, getattr(spec, label), empty=True)
    _check_pattern(who, "factory", spec.factory, _OBJECT, "package.module:Class")
    _check_params(who, spec.params)
    if isinstance(spec, ExtractorSpec):
        _check_extractor(who, spec)
    elif isinstance(spec, LossSpec):
        _check_loss(who, spec)


def _check_loss(who: str, spec: LossSpec) -> None:
    for label, known in (("inputs", LOSS_INPUTS), ("labels", LOSS_LABELS)):
        value = getattr(spec, label)
        if value not in known:
            raise BrokenPluginError(f"{who}: {label} must be one of {listed(known)}, got {value!r}")
    for label in ("many_negatives", "pairwise"):
        if not isinstance(getattr(spec, label), bool):
            raise BrokenPluginError(
                f"{who}: {label} must be True or False, got {getattr(spec, label)!r}"
            )
    if spec.many_negatives and spec.inputs != "triplet":
        raise BrokenPluginError(f"{who}: many_negatives must be False without inputs='triplet'")


def _check_api(who: str, api: Any) -> None:
    if not isinstance(api, int) or isinstance(api, bool):
        raise BrokenPluginError(f"{who}: api must be an integer, got {api!r}")
    if api != API_VERSION:
        older = "featx" if api > API_VERSION else "the plugin"
        raise BrokenPluginError(
            f"{who} needs api {api}, this featx supports api {API_VERSION}. Upgrade {older}"
        )


def _check_extractor(who: str, spec: ExtractorSpec) -> None:
    _check_text(who, "short_input", spec.short_input, empty=True)
    _check_pattern(who, "resolve", spec.resolve, _OBJECT, "package.module:function")
    for label in ("min_duration", "tolerance"):
        value = getattr(spec, label)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise BrokenPluginError(f"{who}: {label} must be a finite number >= 0, got {value!r}")
    devices: Any = spec.devices
    if (
        not isinstance(devices, tuple)
        or not devices
        or not all(name in DEVICES for name in devices)
    ):
        raise BrokenPluginError(
            f"{who}: devices must be a tuple out of {listed(DEVICES)}, got {devices!r}"
        )
    if spec.weights is not None:
        _check_weights(who, spec.weights, spec.params)
    _check_methods(who, spec)


def _check_methods(who: str, spec: ExtractorSpec) -> None:
    methods: Any = spec.methods
    if not isinstance(methods, tuple) or not all(isinstance(item, MethodSpec) for item in methods):
        raise BrokenPluginError(f"{who}: methods must be a tuple of MethodSpec, got {methods!r}")
    if methods and spec.weights is None:
        raise BrokenPluginError(f"{who}: weights must be given where methods are")
    for method in spec.methods:
        name = f"{who}, MethodSpec {method.name!r}"
        _check_pattern(name, "name", method.name, _NAME, "lower-case-name")
        _check_text(name, "summary", method.summary, empty=False)
        _check_text(name, "reference", method.reference, empty=True)
        _check_pattern(name, "factory", method.factory, _OBJECT, "package.module:Class")
        _check_params(name, method.params)
        roles: Any = method.loss
        if roles is not None and not (
            isinstance(roles, LossRoles)
            and method.kind == "gradient"
            and roles.inputs in LOSS_INPUTS
            and roles.labels in LOSS_LABELS
        ):
            raise BrokenPluginError(
                f"{name}: loss must be LossRoles of a gradient method, with inputs out of "
                f"{listed(LOSS_INPUTS)}, got {roles!r}"
            )
        if method.kind not in ("gradient", "fit"):
            raise BrokenPluginError(f"{name}: kind must be gradient or fit, got {method.kind!r}")
    names = [method.name for method in spec.methods]
    if len(set(names)) < len(names):
        raise BrokenPluginError(f"{who}: methods must differ in name, got {listed(names)}")


def _check_weights(who: str, weights: object, params: Any) -> None:
    if not isinstance(weights, WeightsSpec):
        raise BrokenPluginError(
            f"{who}: weights must be a WeightsSpec or None, got {type(weights).__name__}"
        )
    _check_pattern(who, "weights.name", weights.name, re.compile(r"[a-z0-9][a-z0-9._-]*"), "a-name")
    for label, value, pattern, form in (
        ("weights.converter", weights.converter, _OBJECT, "package.module:function"),
        ("weights.resource", weights.resource, _RESOURCE, "package:path/in/it.safetensors"),
        ("weights.sha256", weights.sha256, _SHA256, "64 lower-case hexadecimal digits"),
    ):
        if value != "":
            _check_pattern(who, label, value, pattern, form)
    known = [field.name for field in dataclasses.fields(params)]
    for name in re.findall(r"\{(\w+)\}", weights.resource):
        if name not in known:
            raise BrokenPluginError(
                f"{who}: weights.resource must name parameters ({listed(known)}), got {name!r}"
            )
    if weights.slot and weights.slot not in known:
        raise BrokenPluginError(
            f"{who}: weights.slot must name a parameter ({listed(known)}), got {weights.slot!r}"
        )
    urls: Any = weights.urls
    if not isinstance(urls, tuple) or not all(isinstance(url, str) for url in urls):
        raise BrokenPluginError(f"{who}: weights.urls must be a tuple of str, got {urls!r}")
    if urls and not weights.sha256:
        raise BrokenPluginError(f"{who}: weights.sha256 must be given where weights.urls are")


def _check_params(who: str, params: Any) -> None:
    if not isinstance(params, type) or not dataclasses.is_dataclass(params):
        raise BrokenPluginError(f"{who}: params must be a featx.params_class, got {params!r}")
    try:
        params()
    except Exception as error:
        raise BrokenPluginError(
            f"{who}: params must have valid defaults, but {params.__name__}() raises "
            f"{type(error).__name__}: {error}"
        ) from error


def _check_text(who: str, label: str, value: Any, *, empty: bool) -> None:
    if not isinstance(value, str) or not (empty or value.strip()):
        rule = "a str" if empty else "a non-empty str"
        raise BrokenPluginError(f"{who}: {label} must be {rule}, got {value!r}")


def _check_pattern(who: str, label: str, value: Any, pattern: re.Pattern[str], form: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BrokenPluginError(f"{who}: {label} must look like {form!r}, got {value!r}")
