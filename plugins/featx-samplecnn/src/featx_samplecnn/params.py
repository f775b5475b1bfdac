"""What can be set about the extractor ``samplecnn``, and what it then gives."""

from __future__ import annotations

import dataclasses

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx_samplecnn.catalogue import MODELS, model_config
from featx_samplecnn.config import ACTIVATIONS, WIDTHS, ModelConfig
from featx_samplecnn.tags import TAGS


@params_class
class ModelParams:
    """Which network: shared by extraction and training."""

    model: str = param(
        "3^9",
        "Network: m^n at 22050 Hz, sr<rate> for the down-sampled models, <input>-<window>-<hop> "
        "for the frame-level baselines, and the other families by their names.",
        choices=tuple(MODELS),
    )
    widths: str = param(
        "paper",
        "Channels of the modules: as in the thesis, or as in the published implementations.",
        choices=WIDTHS,
    )
    first_padding: bool = param(
        False, "Zero-pad the input of the first layer by half its kernel on both sides."
    )
    level: float | None = param(
        None,
        "RMS in dBFS to which every segment of the waveform is scaled, <= 0; None to leave it.",
        le=0,
    )

    def __post_init__(self) -> None:
        self.config()

    def config(self) -> ModelConfig:
        """Return the configuration these parameters name."""
        config = model_config(self.model, widths=self.widths, first_padding=self.first_padding)
        return dataclasses.replace(config, level=self.level)


@params_class
class SampleCNNParams(ModelParams):
    """Parameters of the extractor ``samplecnn``."""

    labels: tuple[str, ...] = param(
        (), "Names of the outputs of the classifier; empty for the names in the paper."
    )
    activation: str = param(
        "model",
        "sigmoid if several labels can be true at once, softmax for exactly one; model for the "
        "choice of the paper.",
        choices=("model", *ACTIVATIONS),
    )
    segments: int = param(
        0,
        "Number of segments per track, at equal distances, overlapping if necessary; 0 for all "
        "complete segments without overlap.",
        ge=0,
    )
    spacing: str = param(
        "inclusive",
        "Position of a given number of segments: inclusive if the last one ends with the track; "
        "exclusive if one starts at each of as many equal parts of the track.",
        choices=("inclusive", "exclusive"),
    )
    precision: str = param(
        "float32",
        "Precision of the network; bfloat16 keeps three digits and is meant for GPUs.",
        choices=("float32", "bfloat16"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.labels)) < len(self.labels):
            raise ParameterError("labels must differ from each other, got one twice.")

    def config(self) -> ModelConfig:
        """Return the configuration these parameters name."""
        base = super().config()
        changes: dict[str, object] = {}
        if self.labels:
            changes["n_tags"] = len(self.labels)
        if self.activation != "model":
            changes["activation"] = self.activation
        return dataclasses.replace(base, **changes)  # type: ignore[arg-type]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the outputs of the classifier, empty where they have none."""
        return self.labels or (TAGS if self.config().n_tags == len(TAGS) else ())


def resolve(params: SampleCNNParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return the rate and outputs for ``params``; they do not depend on the rate of the file."""
    config = params.config()
    front_end = config.front_end
    return Resolved(
        sr=config.sr,
        outputs=(
            FeatureSpec(
                name="embedding",
                kind="clip",
                dim=config.embedding_dim,
                description=(
                    "Activation of the last convolution, mean over segments."
                    if config.kind == "samplecnn"
                    else "Activation of the hidden layer, mean over segments."
                ),
            ),
            FeatureSpec(
                name="tags",
                kind="clip",
                dim=config.n_tags,
                columns=tuple(map(Column, params.columns)),
                description="Probability of every tag, mean over segments.",
            ),
            FeatureSpec(
                name="levels",
                kind="clip",
                dim=sum(config.level_dims),
                aspects=config.levels,
                description="Last three stages, maximum within and mean over segments.",
            ),
        ),
        front_ends=() if front_end is None else (front_end,),
    )
