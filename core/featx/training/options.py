"""What can be set about every training, whatever is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, PluginError, listed, meant
from featx.interfaces import ExtractorSpec, MethodSpec
from featx.params import param, params_class, parse_params

if TYPE_CHECKING:
    from featx.registry import Registry


@params_class
class AugmentParams:
    """How training crops are changed at random; validation crops never are.

    Crops of a front end are changed in its bands, before their compression, which is cheap; crops
    of a waveform, and of front ends that cannot be changed so, as samples. Everything follows from
    the seed and the number of the example.
    """

    augment_share: float = param(
        1.0, "Probability of each of the following modifications, for every crop, 0..1.", ge=0, le=1
    )
    augment_gain_db: tuple[float, ...] = param(
        (), "Range of the change of level in dB, such as -12,3; empty for none."
    )
    augment_eq_db: float = param(
        0.0,
        "Standard deviation of the gain in dB at points along the frequency axis (octaves of a "
        "waveform, eighths of the bands), linear between them, >= 0; 0 for none.",
        ge=0,
    )
    augment_noise_db: tuple[float, ...] = param(
        (), "Range of the level of the crop above added white noise in dB, such as 30,70."
    )
    augment_mix_db: tuple[float, ...] = param(
        (), "Range of the level of the crop above a crop of another song that is added, in dB."
    )
    augment_band_limit: float = param(
        0.0,
        "Largest share of the frequency axis that is removed, from the top, 0..1; 0 for none.",
        ge=0,
        lt=1,
    )
    augment_time_masks: int = param(0, "Number of time spans that are silenced, >= 0.", ge=0)
    augment_time_mask: float = param(
        0.1, "Longest of these spans, as a share of the crop, 0..1.", ge=0, le=1
    )
    augment_band_masks: int = param(
        0, "Number of frequency ranges that are emptied, >= 0; bands only.", ge=0
    )
    augment_band_mask: float = param(
        0.1, "Widest of these ranges, as a share of all bands, 0..1.", ge=0, le=1
    )
    augment_band_shift: int = param(
        0,
        "Largest shift of the spectrum in bands, up or down, >= 0; bands only. The outermost band "
        "fills the gap.",
        ge=0,
    )
    augment_reverb: float = param(
        0.0,
        "Longest reverberation, as the decay by 60 dB in seconds, >= 0; 0 for none; samples only.",
        ge=0,
    )
    augment_semitones: float = param(
        0.0,
        "Largest pitch shift in semitones at constant tempo, >= 0; samples only; needs "
        "featx[augment].",
        ge=0,
    )
    augment_stretch: float = param(
        1.0,
        "Largest factor by which the tempo is divided or multiplied at constant pitch, >= 1; "
        "samples only; needs featx[augment]. A crop that becomes shorter is repeated.",
        ge=1,
    )

    def __post_init__(self) -> None:
        for name in ("augment_gain_db", "augment_noise_db", "augment_mix_db"):
            value = getattr(self, name)
            if value and (len(value) != 2 or not value[0] <= value[1]):
                raise ParameterError(f"{name} must be a range low,high or empty, got {value}.")


#: Crops as they are.
UNCHANGED: AugmentParams = parse_params(AugmentParams, {})


@params_class
class TrainingParams(AugmentParams):
    """What can be set about every training: validation songs, log, checkpoints, seed.

    A method may have other defaults (`featx.MethodSpec`); ``--set`` overrides both.
    """

    split_by: str = param(
        "artist",
        "What to hold out for validation if the manifest does not specify it: whole artists, or "
        "single songs.",
        choices=("artist", "song"),
    )
    valid_fraction: float = param(
        0.1,
        "Share of artists or songs held out for validation if the manifest does not specify it, "
        "0..0.5.",
        ge=0,
        le=0.5,
    )
    checkpoint_minutes: float = param(5.0, "Minutes between two checkpoints, >= 0.", ge=0)
    export_dtype: str = param(
        "float32", "Type of the exported weights.", choices=("float32", "float16")
    )
    seed: int = param(0, "Seed of all random choices, >= 0.", ge=0)


@params_class
class FitParams(TrainingParams):
    """What can be set about every `featx.training.FitMethod`."""

    n_vectors: int = param(
        1_000_000,
        "Largest number of vectors drawn from the training songs and held in memory, > 0.",
        gt=0,
    )
    steps: int = param(100, "Largest number of steps, for fits with several, > 0.", gt=0)
    valid_fraction: float = param(
        0.0,
        "Share of artists or songs held out for validation if the manifest does not specify it, "
        "0..0.5.",
        ge=0,
        le=0.5,
    )


@params_class
class GradientParams(TrainingParams):
    """What can be set about every `featx.training.GradientMethod`: optimiser, schedule and more."""

    batch_size: int = param(16, "Examples per step, > 0.", gt=0)
    epochs: float | None = param(
        None, "Number of passes over the training examples; None for no limit.", gt=0
    )
    steps: int | None = param(
        None, "Number of steps; None to let epochs and the schedule decide.", gt=0
    )
    optimizer: str = param("sgd", "Optimiser.", choices=("sgd", "adam", "adamw"))
    lr: float = param(0.01, "Learning rate of the first step, > 0.", gt=0)
    momentum: float = param(0.9, "Nesterov momentum of sgd, 0..1; 0 for none.", ge=0, lt=1)
    weight_decay: float = param(0.0, "Added to gradients (decoupled in adamw), >= 0.", ge=0)
    lr_decay: float = param(
        0.0, "Time decay: step n has learning rate lr / (1 + lr_decay n), >= 0.", ge=0
    )
    schedule: str = param(
        "constant",
        "When validation no longer improves: constant does nothing, stages starts the next stage "
        "with the best weights, plateau lowers the learning rate.",
        choices=("constant", "stages", "plateau"),
    )
    patience: int = param(
        3, "Validations without improvement before stages and plateau react, >= 0.", ge=0
    )
    factor: float = param(
        0.2, "Factor by which stages and plateau lower the learning rate, 0..1.", gt=0, lt=1
    )
    stages: int = param(5, "Number of stages, including the first, > 0.", gt=0)
    min_lr: float = param(0.0, "Smallest learning rate of plateau, >= 0.", ge=0)
    early_stop: int = param(
        0,
        "End the training after this number of validations without improvement, >= 0; 0 for never.",
        ge=0,
    )
    clip_norm: float = param(
        0.0, "Largest norm of all gradients together, >= 0; 0 for no limit.", ge=0
    )
    precision: str = param(
        "float32",
        "Precision of the network: float32, or mixed precision with one of the 16-bit types.",
        choices=("float32", "bfloat16", "float16"),
    )
    validate_every: int = param(
        0, "Steps between two validations, >= 0; 0 for once per epoch.", ge=0
    )
    log_every: int = param(20, "Steps that are averaged in one row of the log, > 0.", gt=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule == "constant" and not (self.epochs or self.steps or self.early_stop):
            raise ParameterError(
                "epochs must be given if nothing else ends the training, got None. "
                "Set epochs, steps or early_stop."
            )
        if self.schedule == "plateau" and not (self.epochs or self.steps or self.early_stop):
            raise ParameterError(
                "early_stop must be > 0 if nothing else ends a plateau schedule, got 0. "
                "Set epochs, steps or early_stop."
            )


@params_class
class TeacherParams:
    """Parameters of methods that learn from teachers, see `featx.training.TeacherMethod`."""

    teachers: tuple[str, ...] = param(
        (),
        "Outputs of teachers, as STORE:EXTRACTOR.FEATURE with frames in seconds, with commas "
        "between; their numbers are predicted, standardised.",
    )
    tags: str = param(
        "", "The same for probabilities of tags, which are predicted as such; empty for none."
    )
    tag_weight: float = param(1.0, "Weight of the teacher's tags beside its numbers, > 0.", gt=0)
    jitter: float = param(0.4, "Seconds by which crops are off the teachers' frames, >= 0.", ge=0)
    label_weight: float = param(
        0.0,
        "Weight of the tags of the manifest, for the songs that have some, >= 0; 0 for none.",
        ge=0,
    )


#: What may change between two runs of one training: when it ends and how it is written.
FREE = ("epochs", "steps", "checkpoint_minutes", "export_dtype")


def find_method(registry: Registry, spec: ExtractorSpec, name: str | None) -> MethodSpec:
    """Return a method of an extractor; without a name the first.

    Without methods, or one of that name, this raises `ParameterError` with the names there are.
    """
    names = [item.name for item in spec.methods]
    if not names:
        known = (key for key, item in registry.extractors.items() if item.spec.methods)
        raise ParameterError(
            f"extractor {spec.name!r} must have a method to be trained, got none. Extractors with "
            f"methods: {listed(sorted(map(registry.shortest_name, known)))}."
        )
    for item in spec.methods:
        if name in (None, item.name):
            return item
    raise ParameterError(f"method must be one of {listed(names)}, got {name!r}.")


def options_class(spec: MethodSpec) -> type[TrainingParams]:
    """Return what can be set about every training of the kind of ``spec``."""
    return FitParams if spec.kind == "fit" else GradientParams


def _is_of_loss(name: str) -> bool:
    return name == "loss" or name.startswith("loss.")


def split_settings(
    spec: MethodSpec, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort settings into those of the method and those of `options_class`.

    A name that neither has raises `ParameterError`; one that both have, or defaults that do not
    exist, `PluginError`.
    The choice of a loss and its parameters are left to `featx.training.losses.choose_loss`.
    """
    own = {item.name for item in dataclasses.fields(spec.params)}
    shared = {item.name for item in dataclasses.fields(options_class(spec))}
    if own & shared or set(spec.defaults) - shared:
        raise PluginError(
            f"method {spec.name!r} must leave {listed(sorted(own & shared))} to TrainingParams "
            f"and know its fields, got {listed(sorted(set(spec.defaults) - shared))}."
        )
    settings = {name: value for name, value in settings.items() if not _is_of_loss(name)}
    for name in settings:
        if name not in own | shared:
            raise ParameterError(
                f"setting {name!r} is unknown.{meant(name, sorted(own | shared))} It must be one "
                f"of {listed(sorted(own))} or one of {listed(sorted(shared))}."
            )
    return (
        {name: value for name, value in settings.items() if name in own},
        {**spec.defaults, **{name: value for name, value in settings.items() if name in shared}},
    )
