"""The network: mel bands of 3 s in, an embedding whose blocks stand for notions out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_csn.config import (
    FREE_GAIN,
    FREE_MEAN,
    FREE_STD,
    INPUT_MEAN,
    INPUT_STD,
    N_BANDS,
    CSNConfig,
)

#: The least length that a vector is divided by.
EPS = 1e-8
#: Lags of the autocorrelation in frames: 47 ms to 1.5 s.
FIRST_LAG, LAST_LAG = 2, 64
#: Length of the transforms, no less than a segment and the last lag together.
_N_FFT = 256


def unit(x: Tensor) -> Tensor:
    """Return vectors along the last axis at length 1; zeros stay zeros."""
    length: Tensor = x.norm(dim=-1, keepdim=True)
    return x / length.clamp(min=EPS)


def unit_blocks(z: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return every block of the embeddings ``(..., dim)`` at length 1."""
    return torch.cat([unit(block) for block in torch.split(z, list(sizes), dim=-1)], dim=-1)


def block_masks(sizes: Sequence[int]) -> Tensor:
    """Return one row per block, 1 in its own dimensions, and a row of ones: (n + 1, dim)."""
    numbers = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    masks = (numbers == torch.arange(len(sizes)).unsqueeze(1)).float()  # (n, dim)
    return torch.cat([masks, torch.ones(1, masks.shape[1])])


def standardised(x: Tensor, *, level: str) -> Tensor:
    """Return segments of the front end ``(batch, time, band)`` as the backbones read them.

    With ``level='free'`` magnitudes are divided by the mean of their segment, then compressed
    again; silence stays silence.
    """
    if level == "kept":
        return (x - INPUT_MEAN) / INPUT_STD
    S = torch.expm1(x * math.log(10.0))  # magnitudes times the gain, which falls out
    mean = S.mean(dim=(1, 2), keepdim=True)
    scale = torch.where(mean > 0, FREE_GAIN / mean.clamp(min=torch.finfo(S.dtype).tiny), 0.0)
    return (torch.log1p(S * scale) * (1 / math.log(10.0)) - FREE_MEAN) / FREE_STD


class Convolution(nn.Sequential):
    """Convolution that keeps the size up to its stride, normalisation, ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )


# --------------------------------------------------------------------------- Inception
class NaiveModule(nn.Module):
    """1 x 1, 3 x 3 and 5 x 5 convolutions and max-pooling side by side, all by stride 2."""

    def __init__(self, n_in: int, config: CSNConfig) -> None:
        super().__init__()
        width = config.inception_branch
        self.convs = nn.ModuleList(Convolution(n_in, width, kernel, 2) for kernel in (1, 3, 5))
        self.n_out = 3 * width + n_in

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, band, time)`` to ``(batch, 3 branch + in, band / 2, time / 2)``."""
        pooled = functional.max_pool2d(x, 3, stride=2, padding=1)
        return torch.cat([*(conv(x) for conv in self.convs), pooled], dim=1)


class ReductionModule(nn.Module):
    """The same with stride 1, every branch behind (or before) a 1 x 1 convolution."""

    def __init__(self, n_in: int, config: CSNConfig) -> None:
        super().__init__()
        width, narrow = config.inception_branch, config.bottleneck_5x5
        self.one = Convolution(n_in, width, 1)
        self.three = nn.Sequential(Convolution(n_in, width, 1), Convolution(width, width, 3))
        self.five = nn.Sequential(Convolution(n_in, narrow, 1), Convolution(narrow, width, 5))
        self.pooled = Convolution(n_in, config.width - 3 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, band, time)`` to ``(batch, width, band, time)``."""
        pooled = self.pooled(functional.max_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.one(x), self.three(x), self.five(x), pooled], dim=1)


class Inception(nn.Module):
    """The backbone of the papers: six pairs of modules, each halving bands and frames.

    References
    ----------
    Lee, Bryan, Salamon, Jin, Nam. "Disentangled multidimensional metric learning for music
    similarity". ICASSP, 2020. Szegedy et al. "Going deeper with convolutions". CVPR, 2015.
    """

    def __init__(self, config: CSNConfig) -> None:
        super().__init__()
        self.stem = Convolution(1, config.stem, 5)
        self.blocks = nn.Sequential()
        width = config.stem
        for _ in range(config.blocks):
            naive = NaiveModule(width, config)
            self.blocks.append(naive)
            self.blocks.append(ReductionModule(naive.n_out, config))
            width = config.width
        self.n_out = width

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, band)`` to ``(batch, width)``."""
        x = self.stem(x.transpose(1, 2).unsqueeze(1))  # (batch, stem, band, time)
        x = self.blocks(functional.max_pool2d(x, 2))  # (batch, width, 1, 1)
        return x.flatten(1)


# ------------------------------------------------------------------------------- small
class SmallBackbone(nn.Module):
    """Three paths side by side: shapes in the spectrum, its statistics, and its rhythm.

    The first is a stack of convolutions by strides over bands and frames in pairs, of which the
    mean and the maximum over time remain. The second reads mean and variance of every band. The
    third learns a few onset curves; their autocorrelation says how often something recurs, and not
    when.
    """

    def __init__(self, config: CSNConfig) -> None:
        super().__init__()
        c, hidden = config.channels, config.hidden
        self.shapes = nn.Sequential(
            Convolution(1, c, 5, 2), Convolution(c, 2 * c, 3, 2), Convolution(2 * c, 4 * c, 3, 2)
        )
        self.over_time = nn.Conv1d(4 * c * (N_BANDS // 16), hidden, 3, padding=1)
        self.over_time_norm = nn.BatchNorm1d(hidden)
        self.statistics = nn.Linear(2 * N_BANDS, hidden)
        self.onsets = nn.Conv1d(N_BANDS, config.onsets, 5, padding=2)
        self.onsets_norm = nn.BatchNorm1d(config.onsets)
        self.rhythm = nn.Linear(config.onsets * (LAST_LAG - FIRST_LAG), hidden)
        self.n_out = 4 * hidden

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, band)`` to ``(batch, 4 hidden)``."""
        shapes = self.shapes(functional.avg_pool2d(x.unsqueeze(1), 2))  # (batch, 4 c, time, band)
        shapes = shapes.transpose(2, 3).flatten(1, 2)  # (batch, 4 c * 8, 8)
        shapes = functional.relu(self.over_time_norm(self.over_time(shapes)))
        mean = x.mean(dim=1)  # (batch, band)
        spread = ((x * x).mean(dim=1) - mean * mean).clamp(min=0)
        statistics = functional.relu(self.statistics(torch.cat([mean, spread], dim=1)))
        onsets = functional.relu(
            self.onsets_norm(self.onsets(x.transpose(1, 2)))
        )  # (batch, onsets, time)
        rhythm = functional.relu(self.rhythm(autocorrelation(onsets).flatten(1)))
        return torch.cat([shapes.mean(dim=2), shapes.amax(dim=2), statistics, rhythm], dim=1)


def autocorrelation(x: Tensor) -> Tensor:
    """Return the autocorrelation of curves at all lags over that at 0.

    Parameters
    ----------
    x : tensor, shape (batch, curves, time)

    Returns
    -------
    tensor, shape (batch, curves, LAST_LAG - FIRST_LAG)
        Within -1..1; 0 for a curve that is constant.
    """
    x = x - x.mean(dim=2, keepdim=True)
    spectrum = torch.fft.rfft(x, n=_N_FFT)
    full = torch.fft.irfft(spectrum.abs().square(), n=_N_FFT)
    values: Tensor = full[:, :, FIRST_LAG:LAST_LAG] / full[:, :, :1].clamp(min=1e-6)
    return values


# ---------------------------------------------------------------------------- together
class CSN(nn.Module):
    """A backbone, the embedding, and the table of tags."""

    def __init__(self, config: CSNConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = (Inception if config.backbone == "inception" else SmallBackbone)(config)
        self.head = nn.Linear(self.backbone.n_out, config.dim)
        if config.n_tags:
            self.tags = nn.Linear(config.dim, config.n_tags)

    def forward(self, x: Tensor) -> Tensor:
        """Map segments ``(batch, 129, 128)`` to embeddings ``(batch, dim)`` of any length."""
        z: Tensor = self.head(self.backbone(standardised(x, level=self.config.level)))
        return functional.relu(z) if self.config.embed_relu else z

    def embedding(self, z: Tensor) -> Tensor:
        """Return embeddings with blocks of equal length, which is 1 in all unless one is 0."""
        sizes = self.config.sizes
        return unit_blocks(z, sizes) / math.sqrt(len(sizes))

    def tag_scores(self, z: Tensor) -> Tensor:
        """Return a probability or cosine for every tag, shape ``(batch, n_tags)``."""
        if self.config.scores == "linear":
            return torch.sigmoid(self.tags(z))
        blocks = unit_blocks(z, self.config.sizes)
        if self.config.scores == "unit":
            return torch.sigmoid(self.tags(blocks))
        # a prototype is 0 outside the block of its tag, so that this is the cosine in the block
        cosines: Tensor = blocks @ unit(self.tags.weight).T
        return cosines
