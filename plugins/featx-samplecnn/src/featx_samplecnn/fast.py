"""Inference: the same numbers as the network within rounding, in less time.

Batch normalisation is folded into the convolutions. On a CPU the m^n networks run time first, a
few thousand frames at a time: a convolution is then as many plain matrix products as its kernel
has taps, pooling reads whole rows, and a block never leaves the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from featx_samplecnn.model import ConvBlock, SampleCNN, levelled, same_padding
from featx_samplecnn.networks import Network
from featx_samplecnn.residual import Hidden, PlainConv

#: Inputs -> three levels ``(batch, sum of channels)``, hidden layer, logits.
Forward: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]

#: Frames per block: two blocks of 256 channels fill 2 MB.
BLOCK_FRAMES = 1024


def make_forward(network: Network, *, device: str = "cpu", precision: str = "float32") -> Forward:
    """Return the fastest way to run ``network`` on ``device`` that keeps its numbers.

    Parameters
    ----------
    network : module
        In evaluation mode, on ``device``.
    device : str
        torch device.
    precision : {'float32', 'bfloat16'}
        bfloat16 keeps three digits; it is for accelerators with units of their own for it.

    Returns
    -------
    callable
        Maps inputs ``(batch, n_samples)`` or ``(batch, n_frames, n_bands)`` to the last three
        stages, each its maximum over time, side by side; the hidden layer; and the logits; all
        float32. Waveforms are scaled to the level of the configuration first.
    """
    forward: Forward
    if device == "cpu" and precision == "float32" and isinstance(network, SampleCNN):
        forward = TimeFirst(network)
    else:
        forward = _plain(fold(network), device.partition(":")[0], precision)
    level = network.config.level
    return forward if level is None else lambda y: forward(levelled(y, level))


def _plain(network: Network, device: str, precision: str) -> Forward:
    def forward(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        short = precision == "bfloat16"
        with torch.autocast(device, dtype=torch.bfloat16) if short else nullcontext():
            levels = network.encode(y)
            hidden = network.embed(levels)
            logits = network.classify(hidden)
        pooled = torch.cat([level.amax(dim=2) for level in levels], dim=1)  # (batch, dims)
        return pooled.float(), hidden.float(), logits.float()

    return forward


def fold(network: Network) -> Network:
    """Return ``network`` with every normalisation folded into the layer before it.

    Layers that nothing is folded into are shared with the original.
    """
    leaves = {id(item): item for item in network.modules() if not list(item.children())}
    folded = copy.deepcopy(network, leaves)
    for module in list(folded.modules()):
        if isinstance(module, ConvBlock | PlainConv):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.add_module("bn", nn.Identity())
        elif isinstance(module, Hidden):
            module.linear = fuse_linear_bn_eval(module.linear, module.bn)
            module.add_module("bn", nn.Identity())
    return folded


def _folded(block: nn.Module) -> nn.Conv1d:
    assert isinstance(block, ConvBlock)
    return fuse_conv_bn_eval(block.conv, block.bn)


class _Layer:
    """A folded convolution as one matrix ``(in, out)`` per tap."""

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        conv = _folded(block).to(dtype)
        assert conv.bias is not None
        self.taps = [tap.t().contiguous() for tap in conv.weight.detach().unbind(dim=2)]
        self.bias = conv.bias.detach()

    def __call__(self, x: Tensor, first: int, stop: int) -> Tensor:
        """Return frames ``first..stop`` of the convolution of the padded ``x``, before the ReLU."""
        out = torch.addmm(self.bias, x[first:stop], self.taps[0])  # (time, out)
        for shift, tap in enumerate(self.taps[1:], start=1):
            out.addmm_(x[first + shift : stop + shift], tap)
        return out


class TimeFirst:
    """A `SampleCNN` on the CPU, see the module.

    ``dtype`` is that of the modules; the first layer reads samples and stays in float32.
    """

    def __init__(self, network: SampleCNN, *, dtype: torch.dtype = torch.float32) -> None:
        self.config = network.config
        self.dtype = dtype
        self.stem = network.stem
        self.first = None if self.config.bands else _folded(network.stem)
        self.layers = [_Layer(stage, dtype) for stage in network.stages]
        self.top = _Layer(network.top, dtype)
        self.head = network.head

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return levels, hidden layer and logits, see `make_forward`."""
        rows = [self._one(item) for item in y]
        levels = torch.stack([torch.cat(row) for row in rows])  # (batch, dims)
        hidden = torch.stack([row[0] for row in rows])  # (batch, 512)
        return levels, hidden, self.head(hidden)

    def frames(self, y: Tensor, stop: int) -> Tensor:
        """Map inputs to the frames after the first ``stop`` modules, ``(batch, channels, time)``.

        ``stop`` is less than the number of modules.
        """
        left, _ = same_padding(self.config.modules[stop])
        rows = []
        for item in y:
            x, _, n_frames = self._modules(item, stop)
            rows.append(x[left : left + n_frames])
        return torch.stack(rows).transpose(1, 2)  # (batch, channels, time)

    def _modules(self, y: Tensor, stop: int) -> tuple[Tensor, Tensor, int]:
        """Return what modules ``stop`` and ``stop - 1`` give, padded, and the frames of the one."""
        sizes = self.config.modules
        x = self._first(y, sizes[0])  # (padding + n_frames, 128)
        n_frames = len(x) - sizes[0] + 1
        before = x
        for i, (layer, size) in enumerate(zip(self.layers[:stop], sizes, strict=False)):
            before = x
            x = self._stage(x, n_frames // size, layer, size, next_size=(*sizes, 1)[i + 1])
            n_frames //= size
        return x, before, n_frames

    def _one(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = self.config.modules
        x, before, _ = self._modules(y, len(sizes))
        # the last stage leaves one frame, the one before it has ``left`` zeros of padding first
        left, right = same_padding(sizes[-1])
        l3 = before[left : len(before) - right].amax(dim=0)
        l1 = self.top(x, 0, 1).relu_()[0]
        return l1, x[0], l3

    def _first(self, y: Tensor, size: int) -> Tensor:
        """Return the frames of the first layer, with the zeros that the next one wants."""
        left, right = same_padding(size)
        config = self.config
        if self.first is None:
            frames = self.stem(y[None])[0].t()  # (time, band)
        elif config.kernel == config.stride and config.first_padding == 0:
            whole = y[: config.n_samples // config.stride * config.stride]
            assert self.first.bias is not None
            weight = self.first.weight[:, 0].t()  # (stride, 128)
            frames = torch.addmm(self.first.bias, whole.reshape(-1, config.stride), weight).relu_()
        else:
            frames = self.first(y[None, None])[0].relu_().t()  # (time, 128)
        shape = left + len(frames) + right, frames.shape[1]
        out: Tensor = frames.new_zeros(shape, dtype=self.dtype)
        out[left : left + len(frames)] = frames
        return out

    @staticmethod
    def _stage(x: Tensor, n_frames: int, layer: _Layer, size: int, *, next_size: int) -> Tensor:
        """Return ``n_frames`` pooled frames, with the zeros that the next stage wants."""
        left, right = same_padding(next_size)
        channels = len(layer.bias)
        out = x.new_zeros(left + n_frames + right, channels)
        step = max(BLOCK_FRAMES // size, 1)
        for start in range(0, n_frames, step):
            stop = min(start + step, n_frames)
            frames = layer(x, start * size, stop * size).view(-1, size, channels)
            # the maximum and the ReLU change places freely, and fewer values are left for it
            torch.amax(frames, dim=1, out=out[left + start : left + stop])
        return out.relu_()
