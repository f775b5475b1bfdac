"""The models of the family by name: plain values, no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from featx import FeatureSpec, ParameterError, Resolved, param, params_class

#: Order of the columns of ``tags``: the 50 most frequent tags of MagnaTagATune.
TAGS: tuple[str, ...] = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "noVocals", "harpsichord", "loud", "quiet", "flute", "woman", "maleVocal",
    "noVocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice", "newAge",
    "dance", "maleVoice", "femaleVocal", "beats", "harp", "cello", "noVoice", "weird", "country",
    "femaleVoice", "metal", "choral",
)  # fmt: skip

#: Width of the last convolution, and so of the embedding.
EMBEDDING_DIM = 512


@dataclass(frozen=True, kw_only=True)
class SampleCNNConfig:
    """One member of the family.

    Parameters
    ----------
    sr : int > 0
        Rate of the waveform in Hz.
    stride : int > 0
        Kernel and stride of the first layer, in samples.
    modules : tuple of int > 1
        Kernel and pooling size of every module, first to last.
    widths : {'paper', 'code'}
        Channels of the modules, see `channels`.
    first_padding : int >= 0
        Zeros on both sides of the input; 0 in the original, 1 in some re-implementations.
    n_tags : int > 0
        Outputs of the classifier.
    bn_eps : float > 0
        Added to the variance in batch normalisation.
    dropout : float in [0, 1)
        Before the classifier, while training.
    """

    sr: int
    stride: int
    modules: tuple[int, ...]
    widths: str = "paper"
    first_padding: int = 0
    n_tags: int = len(TAGS)
    bn_eps: float = 1e-3
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.widths not in ("paper", "code"):
            raise ParameterError(f"widths must be 'paper' or 'code', got {self.widths!r}.")
        if len(self.modules) < 4 or min(self.modules) < 2:
            raise ParameterError(f"modules must be at least 4 sizes > 1, got {list(self.modules)}.")
        if self.stride < 1 or self.sr < 1:
            raise ParameterError(
                f"stride and sr must be integers > 0, got {self.stride} and {self.sr}."
            )
        if not 0 <= self.first_padding < self.stride:
            raise ParameterError(
                f"first_padding must lie within 0..{self.stride - 1}, got {self.first_padding}."
            )

    @property
    def n_samples(self) -> int:
        """Length of one input in samples."""
        return self.stride * math.prod(self.modules)

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of the modules.

        ``paper`` ends in two modules of 512 channels, as in Table 3.1 of the thesis; ``code`` in
        one, as in the published implementations.
        """
        last = (512, 512) if self.widths == "paper" else (512,)
        return (128, 128, *(256,) * (len(self.modules) - 2 - len(last)), *last)

    @property
    def levels(self) -> dict[str, tuple[int, int]]:
        """Slices of the multi-level feature: last convolution, last module, the one before."""
        first, second = EMBEDDING_DIM, EMBEDDING_DIM + self.channels[-1]
        return {
            "l1": (0, first),
            "l2": (first, second),
            "l3": (second, second + self.channels[-2]),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain values that survive JSON."""
        return {**dataclasses.asdict(self), "modules": list(self.modules)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> SampleCNNConfig:
        """Read what `to_json` wrote."""
        return cls(**{**plain, "modules": tuple(plain["modules"])})


def _power(m: int, n: int) -> SampleCNNConfig:
    return SampleCNNConfig(sr=22050, stride=m, modules=(m,) * n)


def _digits(sr: int, digits: str) -> SampleCNNConfig:
    stride, *modules = (int(digit) for digit in digits.split("-"))
    return SampleCNNConfig(sr=sr, stride=stride, modules=tuple(modules))


#: The models of Table 3.4 (``m^n``, 22050 Hz) and of Table 3.3 (``sr<rate>``). Two rows of the
#: thesis lost a digit (16000 and 20000 Hz); here they multiply to the printed input size.
MODELS: Mapping[str, SampleCNNConfig] = MappingProxyType(
    {
        "2^13": _power(2, 13),
        "2^14": _power(2, 14),
        "3^8": _power(3, 8),
        "3^9": _power(3, 9),
        "4^6": _power(4, 6),
        "4^7": _power(4, 7),
        "5^5": _power(5, 5),
        "5^6": _power(5, 6),
        "sr2000": _digits(2000, "3-3-3-3-2-2-2-2-2-2"),
        "sr4000": _digits(4000, "3-3-3-3-2-2-2-4-2-2"),
        "sr8000": _digits(8000, "3-3-3-3-2-2-4-4-2-2"),
        "sr12000": _digits(12000, "3-3-3-3-3-2-4-4-2-2"),
        "sr16000": _digits(16000, "3-3-3-3-3-3-3-5-2-2"),
        "sr20000": _digits(20000, "3-3-3-3-3-3-3-3-4-2"),
    }
)


def model_config(
    model: str, *, widths: str = "paper", first_padding: bool = False
) -> SampleCNNConfig:
    """Return the configuration called ``model``.

    Parameters
    ----------
    model : str
        Key of `MODELS`.
    widths : {'paper', 'code'}
        Channels, see `SampleCNNConfig.channels`.
    first_padding : bool
        Pad the input of the first layer by half its kernel on both sides. The filters then see
        another phase; the extra frame that even kernels give is dropped by the pooling.

    Raises
    ------
    ParameterError
        For an unknown model or width.
    """
    if model not in MODELS:
        raise ParameterError(f"model must be one of {', '.join(MODELS)}, got {model!r}.")
    base = MODELS[model]
    padding = base.stride // 2 if first_padding else 0
    return dataclasses.replace(base, widths=widths, first_padding=padding)


@params_class
class SampleCNNParams:
    """Parameters of the extractor ``samplecnn``."""

    model: str = param(
        "3^9",
        "Member of the family: m^n at 22050 Hz, or sr<rate> for the down-sampled models.",
        choices=tuple(MODELS),
    )
    widths: str = param(
        "paper",
        "Channels of the modules: as in the thesis, or as in the published implementations.",
        choices=("paper", "code"),
    )
    first_padding: bool = param(
        False, "Zero-pad the input of the first layer by half its kernel on both sides."
    )

    def config(self) -> SampleCNNConfig:
        """Return the configuration these parameters name."""
        return model_config(self.model, widths=self.widths, first_padding=self.first_padding)


def resolve(params: SampleCNNParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Say which rate and which outputs ``params`` lead to; the file's own rate plays no part."""
    config = params.config()
    return Resolved(
        sr=config.sr,
        outputs=(
            FeatureSpec(
                name="embedding",
                kind="clip",
                dim=EMBEDDING_DIM,
                description="Activation of the last convolution, mean over segments.",
            ),
            FeatureSpec(
                name="tags",
                kind="clip",
                dim=len(TAGS),
                columns=TAGS,
                description="Probability of every tag, mean over segments.",
            ),
            FeatureSpec(
                name="levels",
                kind="clip",
                dim=max(stop for _, stop in config.levels.values()),
                aspects=config.levels,
                description="Last three stages, maximum within and mean over segments.",
            ),
        ),
    )
