"""What can be set about the extractor ``mlms``: which networks, by name."""

from __future__ import annotations

from dataclasses import dataclass

from featx import FeatureSpec, FrontEnd, ParameterError, Resolved, param, params_class
from featx_samplecnn.catalogue import TABLE_3_4, model_config
from featx_samplecnn.config import ModelConfig

_FLAGS = ("code", "padded")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network: what it is called, and what it is."""

    label: str
    config: ModelConfig


def parse_member(text: str) -> Member:
    """Read ``[label=]model[/code][/padded]``; the label is the model unless it is given.

    Raises
    ------
    ParameterError
        If this is not what ``text`` is.
    """
    label, _, rest = text.rpartition("=")
    model, *flags = rest.split("/")
    if len(set(flags)) < len(flags) or set(flags) - set(_FLAGS):
        raise ParameterError(f"models must be [label=]model[/code][/padded], got {text!r}.")
    config = model_config(
        model, widths="code" if "code" in flags else "paper", first_padding="padded" in flags
    )
    label = label or model
    if not label.strip() or set(label) & set("/.,"):
        raise ParameterError(f"labels of models must be free of '/', '.' and ',', got {label!r}.")
    return Member(label=label, config=config)


def member_text(label: str, *, model: str, widths: str, first_padding: bool) -> str:
    """Return what `parse_member` reads."""
    flags = ("/code" if widths == "code" else "") + ("/padded" if first_padding else "")
    return f"{label}={model}{flags}"


@params_class
class MLMSParams:
    """Parameters of the extractor ``mlms``."""

    models: tuple[str, ...] = param(
        TABLE_3_4,
        "Networks, each [label=]model[/code][/padded] with a model of samplecnn; all with the "
        "same sample rate. Default: those of the weights.",
    )

    def __post_init__(self) -> None:
        members = self.members()
        if not members:
            raise ParameterError("models must name at least one network, got none.")
        labels = [member.label for member in members]
        if len(set(labels)) < len(labels):
            raise ParameterError(f"labels of models must differ, got {', '.join(labels)}.")
        rates = sorted({member.config.sr for member in members})
        if len(rates) > 1:
            raise ParameterError(f"models must have one rate in Hz, got {rates}.")

    def members(self) -> tuple[Member, ...]:
        """Return the networks in their order."""
        return tuple(map(parse_member, self.models))


def resolve(params: MLMSParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return the rate and output for ``params``; they do not depend on the rate of the file."""
    members = params.members()
    aspects: dict[str, tuple[int, int]] = {}
    front_ends: dict[FrontEnd, None] = {}
    offset = 0
    for member in members:
        for level, (start, stop) in member.config.levels.items():
            aspects[f"{member.label}.{level}"] = (offset + start, offset + stop)
        offset += sum(member.config.level_dims)
        if member.config.front_end is not None:
            front_ends[member.config.front_end] = None
    return Resolved(
        sr=members[0].config.sr,
        outputs=(
            FeatureSpec(
                name="concat",
                kind="clip",
                dim=offset,
                aspects=aspects,
                description=(
                    "Last three stages of every network, maximum within and mean over segments."
                ),
            ),
        ),
        front_ends=tuple(front_ends),
    )
