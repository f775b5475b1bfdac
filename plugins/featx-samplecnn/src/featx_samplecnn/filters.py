"""What the channels of a layer respond to: inputs found by gradient ascent, and their spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featx import ParameterError
from featx_samplecnn.fast import fold
from featx_samplecnn.model import SampleCNN

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Largest value of the noise that ascent begins with, and the length of a step, as RMS over the
#: input. After some tens of steps nothing of the noise is left to be seen.
NOISE = 0.03
STEP = 0.01


def n_layers(network: SampleCNN, *, n_samples: int) -> int:
    """Return how many layers of ``network`` give a frame or more of ``n_samples``, first one on."""
    config = network.config
    frames = (n_samples + 2 * config.first_padding - config.kernel) // config.stride + 1
    count = 0
    for size in (*config.modules, 1):
        if frames < 1:
            break
        count += 1
        # the module behind the frames pools them
        frames //= size
    return count


def maximising_inputs(
    network: SampleCNN,
    layer: int,
    *,
    generator: torch.Generator,
    n_samples: int,
    steps: int,
    progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """Find what every channel of a layer responds to most, by gradient ascent from noise.

    What is climbed is the mean over time of the channel before its ReLU (beyond it a silent
    channel would have no gradient); the gradient is divided by its RMS.

    Parameters
    ----------
    network : SampleCNN
        Of waveforms.
    layer : int
        1 is the first convolution, 2 that of the first module, and so on.
    generator : torch.Generator
        The noise is drawn from it alone.
    n_samples : int > 0
        Length of the inputs.
    steps : int > 0
        Steps upwards.
    progress : callable, optional
        Called after each step with the number of the layer.

    Returns
    -------
    float32 array, shape (n_channels, n_samples)

    Raises
    ------
    ParameterError
        If the network reads mel frames, or ``n_samples`` gives the layer no frame.

    References
    ----------
    Lee, Park, Kim, Nam. "SampleCNN: end-to-end deep convolutional neural networks using very
    small filters for music classification". Applied Sciences, 2018.
    """
    if network.config.bands:
        raise ParameterError("network must read waveforms to have filters, got one of mel frames.")
    last = n_layers(network, n_samples=n_samples)
    if not 1 <= layer <= last:
        raise ParameterError(
            f"layer must lie within 1..{last} with {n_samples} samples, got {layer}."
        )
    folded = fold(network)
    assert isinstance(folded, SampleCNN)
    channels = (128, *network.config.channels)[layer - 1]
    x = NOISE * (2.0 * torch.rand(channels, n_samples, generator=generator) - 1.0)
    with torch.enable_grad():
        for _ in range(steps):
            x.requires_grad_(True)
            response = _respond(folded, x, layer).mean(dim=2)  # (channels, channels)
            (slope,) = torch.autograd.grad(response.diagonal().sum(), x)
            rms = slope.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
            x = (x + STEP * slope / rms).detach()
            if progress is not None:
                progress(layer)
    inputs: FloatArray = x.numpy()
    return inputs


def _respond(folded: SampleCNN, x: Tensor, layer: int) -> Tensor:
    """Return the folded convolution of ``layer`` before its ReLU, ``(batch, channels, time)``."""
    blocks = [folded.stem, *folded.stages]
    sizes = (1, *folded.config.modules)
    y = x.unsqueeze(1)  # (batch, 1, n_samples)
    for block, size in zip(blocks[: layer - 1], sizes, strict=False):
        y = functional.max_pool1d(block(y), size)
    block = blocks[layer - 1]
    if block.extra is not None:
        y = functional.pad(y, block.extra)
    response: Tensor = block.conv(y)
    return response


def sorted_spectra(inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return magnitude spectra sorted by where they peak.

    Parameters
    ----------
    inputs : float32 array, shape (n_channels, n_samples)
        Of `maximising_inputs`.

    Returns
    -------
    S : float32 array, shape (n_channels, n_samples // 2 + 1)
        Each divided by its peak, lowest peak first.
    peaks : float32 array, shape (n_channels,)
        Where they peak, in cycles per sample, ascending.
    """
    S = np.abs(np.fft.rfft(inputs, axis=1))
    order = np.argsort(S.argmax(axis=1), kind="stable")
    S = S[order]
    highest = S.max(axis=1, keepdims=True)
    S = np.divide(S, highest, out=np.zeros_like(S), where=highest > 0)
    peaks = S.argmax(axis=1) / inputs.shape[1]
    return S.astype(np.float32), peaks.astype(np.float32)
