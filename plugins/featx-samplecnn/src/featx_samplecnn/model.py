"""The m^n network: waveform or mel frames in, three levels of activations and tag logits out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from featx_samplecnn.config import EMBEDDING_DIM, STEM_CHANNELS, SampleCNNConfig

#: RMS below which an input is not amplified further, -80 dBFS; so silence stays silence.
QUIETEST = 1e-4


def levelled(y: Tensor, dbfs: float | None) -> Tensor:
    """Scale every input of ``(batch, n_samples)`` to an RMS in dBFS; None leaves them."""
    if dbfs is None:
        return y
    rms = y.square().mean(dim=1, keepdim=True).sqrt()  # (batch, 1)
    scaled: Tensor = y * (10.0 ** (dbfs / 20.0) / rms.clamp_min(QUIETEST))
    return scaled


class Levels(NamedTuple):
    """Activations of the last three stages, each ``(batch, channels, time)``."""

    l1: Tensor
    l2: Tensor
    l3: Tensor


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU.

    ``padding`` is (left, right) in samples. Even kernels under the "same" rule of TensorFlow pad
    one more on the right, which a symmetric convolution argument cannot say.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        bn_eps: float,
    ) -> None:
        super().__init__()
        left, right = padding
        self.extra = (left, right) if left != right else None
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel, stride=stride, padding=0 if self.extra else left
        )
        self.bn = nn.BatchNorm1d(out_channels, eps=bn_eps, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time')``."""
        if self.extra is not None:
            x = functional.pad(x, self.extra)
        return functional.relu(self.bn(self.conv(x)))  # (batch, out, time')

    def lines(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, 1, time)``, channels last in memory, as `forward` does before its ReLU.

        On a CPU, steps of training take half the time so. The stride is 1.
        """
        if self.extra is not None:
            x = functional.pad(x, self.extra)
        conv, bn = self.conv, self.bn
        kernel = conv.weight.unsqueeze(2)  # (out, in, 1, kernel)
        x = functional.conv2d(x, kernel, conv.bias, padding=(0, int(conv.padding[0])))
        normal: Tensor = functional.batch_norm(
            x, bn.running_mean, bn.running_var, bn.weight, bn.bias, bn.training,
            bn.momentum or 0.0, bn.eps,
        )  # fmt: skip
        return normal  # (batch, out, 1, time)


def same_padding(kernel: int) -> tuple[int, int]:
    """Zeros left and right that keep the length under stride 1, by the rule of TensorFlow."""
    left = (kernel - 1) // 2
    return left, kernel - 1 - left


class MelInput(nn.Module):
    """Standardises mel frames band by band, with the statistics of the training data."""

    def __init__(self, n_bands: int, *, eps: float) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(n_bands, eps=eps, momentum=0.01, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, band)`` to ``(batch, band, time)``."""
        standard: Tensor = self.bn(x.transpose(1, 2))  # (batch, band, time)
        return standard


class SampleCNN(nn.Module):
    """m^n-SampleCNN, and with mel frames in place of its first layer the baseline beside it.

    References
    ----------
    Lee, Park, Kim, Nam. "Sample-level deep convolutional neural networks for music auto-tagging
    using raw waveforms". SMC, 2017.
    """

    def __init__(self, config: SampleCNNConfig) -> None:
        super().__init__()
        self.config = config
        padding = (config.first_padding, config.first_padding)
        self.stem: nn.Module
        if config.bands:
            self.stem = MelInput(config.bands, eps=config.bn_eps)
        else:
            self.stem = ConvBlock(
                1,
                STEM_CHANNELS,
                config.kernel,
                stride=config.stride,
                padding=padding,
                bn_eps=config.bn_eps,
            )
        self.stages = nn.ModuleList()
        width = config.bands or STEM_CHANNELS
        for size, channels in zip(config.modules, config.channels, strict=True):
            self.stages.append(
                ConvBlock(width, channels, size, padding=same_padding(size), bn_eps=config.bn_eps)
            )
            width = channels
        self.top = ConvBlock(width, EMBEDDING_DIM, 1, bn_eps=config.bn_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(EMBEDDING_DIM, config.n_tags)

    def encode(self, y: Tensor) -> Levels:
        """Map inputs to the activations of the last three stages.

        Inputs are waveforms ``(batch, n_samples)`` or frames ``(batch, n_frames, n_bands)``.
        """
        x = self.stem(y if self.config.bands else y.unsqueeze(1))  # (batch, 128, n / stride)
        before = x
        for stage, size in zip(self.stages, self.config.modules, strict=True):
            before = x
            x = functional.max_pool1d(stage(x), size)  # (batch, channels, time / size)
        return Levels(l1=self.top(x), l2=x, l3=before)

    def embed(self, levels: Levels) -> Tensor:
        """Map the last three stages to the last hidden layer, ``(batch, 512)``."""
        return levels.l1.flatten(1)  # (batch, 512), one frame is left

    def classify(self, hidden: Tensor) -> Tensor:
        """Map the last hidden layer, ``(batch, 512)`` or ``(batch, 512, 1)``, to tag logits."""
        flat: Tensor = self.dropout(hidden.flatten(1))  # (batch, 512)
        logits: Tensor = self.head(flat)  # (batch, n_tags)
        return logits

    def forward(self, y: Tensor) -> Tensor:
        """Map inputs to tag logits ``(batch, n_tags)``."""
        return self.classify(self.embed(self.encode(y)))
