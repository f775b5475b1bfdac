"""What a network of the family is: plain values that survive JSON, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from featx import FrontEnd, ParameterError
from featx.neural import NetworkConfig
from featx_samplecnn.front_end import mel_front_end
from featx_samplecnn.tags import TAGS

#: Width of the last convolution of the m^n family, and so of its embedding.
EMBEDDING_DIM = 512
STEM_CHANNELS = 128

ACTIVATIONS = ("sigmoid", "softmax")
WIDTHS = ("paper", "code")
BLOCKS = ("basic", "se", "res", "rese")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(NetworkConfig):
    """What all networks have in common.

    Parameters
    ----------
    sr : int > 0
        Rate of the waveform in Hz.
    n_tags : int > 0
        Outputs of the classifier.
    activation : {'sigmoid', 'softmax'}
        Whether several of them can be true at once.
    bn_eps : float > 0
        Added to the variance in batch normalisation.
    dropout : float in [0, 1)
        Before the classifier, while training.
    level : float <= 0 or None
        RMS in dBFS to which the waveform of every input is scaled; None leaves it as it is.
    """

    kind: ClassVar[str]

    sr: int
    n_tags: int = len(TAGS)
    activation: str = "sigmoid"
    bn_eps: float = 1e-3
    dropout: float = 0.5
    level: float | None = None

    def __post_init__(self) -> None:
        if self.sr < 1 or self.n_tags < 1:
            raise ParameterError(
                f"sr and n_tags must be integers > 0, got {self.sr} and {self.n_tags}."
            )
        if self.level is not None and (self.level > 0 or self.front_end is not None):
            raise ParameterError(
                f"level must be at most 0 dBFS, and belongs to models that read the waveform, got "
                f"{self.level}."
            )
        if self.activation not in ACTIVATIONS:
            raise ParameterError(
                f"activation must be 'sigmoid' or 'softmax', got {self.activation!r}."
            )

    @property
    def n_samples(self) -> int:
        """Length of one input in samples."""
        raise NotImplementedError

    @property
    def length(self) -> int:
        """Length of one input along time, in samples or frames."""
        return self.n_samples

    @property
    def front_end(self) -> FrontEnd | None:
        """Representation that the network reads; None for the waveform."""
        return None

    @property
    def embedding_dim(self) -> int:
        """Width of the last hidden layer."""
        return EMBEDDING_DIM

    @property
    def level_dims(self) -> tuple[int, int, int]:
        """Channels of the last three stages, last first."""
        raise NotImplementedError

    @property
    def levels(self) -> dict[str, tuple[int, int]]:
        """Slices of the multi-level feature, last stage first."""
        first, second, third = self.level_dims
        ends = (0, first, first + second, first + second + third)
        return {f"l{i + 1}": (ends[i], ends[i + 1]) for i in range(3)}

    def to_json(self) -> dict[str, Any]:
        """Return plain values that survive JSON."""
        return {"kind": self.kind, **super().to_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return super().from_json({key: plain[key] for key in plain if key != "kind"})


@dataclass(frozen=True, kw_only=True)
class SampleCNNConfig(ModelConfig):
    """One m^n-SampleCNN, or one of the frame-level baselines beside it.

    Parameters
    ----------
    stride : int > 0
        Stride of the first layer in samples; the hop of the frames that mel models read.
    modules : tuple of int > 1
        Kernel and pooling size of every module, first to last.
    window : int >= 0
        Kernel of the first layer, or samples of a mel frame; 0 is ``stride``. Beyond the stride the
        input is padded with zeros on both sides, so that there are ``n_samples / stride`` frames.
    bands : int >= 0
        Mel bands that take the place of the first layer; 0 for the waveform.
    samples : int >= 0
        Length of an input; 0 is ``stride`` times all modules. Pooling drops what does not fit.
    widths : {'paper', 'code'}
        Channels of the modules, see `channels`.
    first_padding : int >= 0
        Zeros on both sides of the input; 0 in the original, 1 in some re-implementations.
    """

    kind: ClassVar[str] = "samplecnn"

    stride: int
    modules: tuple[int, ...]
    window: int = 0
    bands: int = 0
    samples: int = 0
    widths: str = "paper"
    first_padding: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.widths not in WIDTHS:
            raise ParameterError(f"widths must be 'paper' or 'code', got {self.widths!r}.")
        if len(self.modules) < 4 or min(self.modules) < 2:
            raise ParameterError(f"modules must be at least 4 sizes > 1, got {list(self.modules)}.")
        if self.stride < 1:
            raise ParameterError(f"stride must be an integer > 0, got {self.stride}.")
        if not 0 <= self.first_padding < self.kernel:
            raise ParameterError(
                f"first_padding must lie within 0..{self.kernel - 1}, got {self.first_padding}."
            )
        if self.samples and self.samples < self.stride * math.prod(self.modules):
            raise ParameterError(
                f"samples must be at least {self.stride * math.prod(self.modules)}, "
                f"got {self.samples}."
            )

    @property
    def kernel(self) -> int:
        """Kernel of the first layer in samples."""
        return self.window or self.stride

    @property
    def n_samples(self) -> int:
        """Length of one input in samples."""
        return self.samples or self.stride * math.prod(self.modules)

    @property
    def length(self) -> int:
        """Length of one input along time, in samples or frames."""
        return self.n_samples // self.stride if self.bands else self.n_samples

    @property
    def front_end(self) -> FrontEnd | None:
        """Mel frames, see `mel_front_end`; None for the waveform."""
        if not self.bands:
            return None
        return mel_front_end(
            sr=self.sr, window=self.kernel, hop_length=self.stride, n_bands=self.bands
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of the modules.

        ``paper`` ends in two modules of 512 channels, as in Table 3.1 of the thesis; ``code`` in
        one, as in the published implementations.
        """
        last = (512, 512) if self.widths == "paper" else (512,)
        return (128, 128, *(256,) * (len(self.modules) - 2 - len(last)), *last)

    @property
    def level_dims(self) -> tuple[int, int, int]:
        """Last convolution, last module, the one before."""
        return EMBEDDING_DIM, self.channels[-1], self.channels[-2]


@dataclass(frozen=True, kw_only=True)
class ResConfig(ModelConfig):
    """One network of the ReSE family.

    Parameters
    ----------
    block : {'basic', 'se', 'res', 'rese'}
        Convolution; with a channel gate; two convolutions and a shortcut; both.
    multi : bool
        Classify the last three blocks together instead of the last alone.
    n_blocks : int
        Blocks, each ending in max-pooling by 3.
    stride : int > 0
        Kernel and stride of the first layer in samples.
    samples : int >= 0
        Length of an input; 0 is ``stride`` times 3 to the power of ``n_blocks``.
    expansion : int > 0
        Width of the hidden layer of a gate, in multiples of its channels.
    block_dropout : float in [0, 1)
        Between the two convolutions of a block, while training.
    """

    kind: ClassVar[str] = "resemul"

    block: str
    multi: bool = True
    n_blocks: int = 9
    stride: int = 3
    samples: int = 0
    expansion: int = 16
    block_dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block not in BLOCKS:
            raise ParameterError(f"block must be one of {', '.join(BLOCKS)}, got {self.block!r}.")
        if self.n_blocks < 4 or self.stride < 1 or self.expansion < 1:
            raise ParameterError(
                "n_blocks, stride and expansion must be at least 4, 1 and 1, got "
                f"{self.n_blocks}, {self.stride} and {self.expansion}."
            )

    @property
    def n_samples(self) -> int:
        """Length of one input in samples."""
        return self.samples or self.stride * 3**self.n_blocks

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of the blocks: doubled at the third and at the last."""
        return (128, 128, *(256,) * (self.n_blocks - 3), 512)

    @property
    def embedding_dim(self) -> int:
        """Width of the hidden layer, that of what it reads."""
        return sum(self.level_dims) if self.multi else self.channels[-1]

    @property
    def level_dims(self) -> tuple[int, int, int]:
        """The last three blocks, last first."""
        return self.channels[-1], self.channels[-2], self.channels[-3]


@dataclass(frozen=True, kw_only=True)
class ResSEConfig(ModelConfig):
    """SampleCNNSE of minzwon/sota-music-tagging-models, another network than `ResConfig`.

    Eleven residual blocks, gates as wide as their channels, shortcuts of kernel 3.
    """

    kind: ClassVar[str] = "samplecnn-se"

    bn_eps: float = 1e-5

    @property
    def n_samples(self) -> int:
        """Length of one input in samples."""
        return 3**10

    @property
    def level_dims(self) -> tuple[int, int, int]:
        """The last three layers, last first."""
        return 512, 512, 256


_KINDS: dict[str, type[ModelConfig]] = {
    config.kind: config for config in (SampleCNNConfig, ResConfig, ResSEConfig)
}


def config_from_json(plain: Mapping[str, Any]) -> ModelConfig:
    """Read what any ``to_json`` of this module wrote.

    Raises
    ------
    ParameterError
        If it is none.
    """
    kind = plain.get("kind", SampleCNNConfig.kind)
    if kind not in _KINDS:
        raise ParameterError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}.")
    try:
        return _KINDS[kind].from_json(plain)
    except TypeError as error:
        raise ParameterError(f"configuration must be one of a {kind}, but {error}.") from error
