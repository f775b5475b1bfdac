"""The libraries that featx is compared with, each set up for the same numbers as featx.

Every contender names the front end of featx that computes what it computes: where a library has
conventions of its own (padding, window, mel scale, logarithm), featx follows them, so that ratios
compare equal work. How equal is shown by `correlation`. Libraries that are not installed are
listed, never silently dropped.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from featx.frontend import (
    PRESETS,
    Bins,
    Framing,
    FrontEnd,
    Ln,
    compute,
    cqt_magnitude,
    mel_filter_bank,
)

SR = 22050
LOG_MEL = PRESETS["fe-artist"]
STFT = FrontEnd(
    name="stft",
    sr=SR,
    framing=Framing(n_fft=2048, hop_length=512, pad_mode="constant"),
    power=1.0,
    bank=Bins(),
)
MFCC = PRESETS["librosa-mfcc"]
KALDI = PRESETS["kaldi"]
CQT_BINS, CQT_FMIN = 84, 32.70319566257483
#: least correlation with featx that counts as the same feature
ALIGNED = 0.999

#: peer -> the distribution that has it
DISTRIBUTIONS = {
    "librosa": "librosa",
    "scipy": "scipy",
    "torch": "torch",
    "nnAudio": "nnAudio",
    "Essentia": "essentia",
    "audioflux": "audioflux",
    "kaldi-native-fbank": "kaldi-native-fbank",
}
_MODULES = {"Essentia": "essentia", "kaldi-native-fbank": "kaldi_native_fbank"}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One peer on one feature, and what featx computes against it.

    ``run`` is what is timed; ``rows`` turns its result into (n_frames, dim). ``notes`` says
    in words where it differs from the front end that the feature is known by.
    """

    feature: str
    peer: str
    run: Callable[[np.ndarray], Any]
    rows: Callable[[Any], np.ndarray]
    ours: FrontEnd | str  # a front end, or "cqt"
    notes: str = ""

    @property
    def sr(self) -> int:
        return SR if isinstance(self.ours, str) else int(self.ours.sr or SR)


def featx_work(ours: FrontEnd | str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what featx does for a contender."""
    if isinstance(ours, FrontEnd):
        return partial(compute, front_end=ours, sr=int(ours.sr or SR))
    return partial(cqt_magnitude, sr=SR, fmin=CQT_FMIN, n_bins=CQT_BINS)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation over the frames that both have; a peer may add or drop one."""
    if a.shape[1] != b.shape[1] or abs(len(a) - len(b)) > 4:
        raise ValueError(f"two features must be of one shape, got {a.shape} and {b.shape}.")
    n = min(len(a), len(b))
    x, y = (np.abs(z[:n]) if np.iscomplexobj(z) else z[:n] for z in (a, b))
    return float(np.corrcoef(x.ravel().astype(np.float64), y.ravel().astype(np.float64))[0, 1])


def alignment(contender: Contender, y: np.ndarray) -> float:
    """Return the correlation of a contender's result with featx's on one clip."""
    return correlation(contender.rows(contender.run(y)), featx_work(contender.ours)(y))


def installed(peer: str) -> str:
    """Return the version of a peer, empty where it is not installed."""
    if importlib.util.find_spec(_MODULES.get(peer, peer)) is None:
        return ""
    return importlib.metadata.version(DISTRIBUTIONS[peer])


def contenders(peers: Iterable[str] = DISTRIBUTIONS) -> tuple[list[Contender], dict[str, str]]:
    """Return every contender at hand, and the version of every peer, empty for absent ones."""
    versions = {peer: installed(peer) for peer in peers}
    found = [item for peer, version in versions.items() if version for item in _BUILDERS[peer]()]
    return found, versions


# ---------------------------------------------------------------- shared pieces
def _turned(S: Any) -> np.ndarray:
    return np.asarray(S).T


def _plain(S: Any) -> np.ndarray:
    return np.asarray(S)


def _first(S: Any) -> np.ndarray:
    """(1, dim, n_frames) of torch to (n_frames, dim)."""
    return S[0].numpy().T


@lru_cache
def _mel(n_fft: int) -> np.ndarray:
    return mel_filter_bank(sr=SR, n_fft=n_fft, n_mels=128).astype(np.float32)


@lru_cache
def _hann(n: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)


def _log(S: Any) -> Any:
    return np.log10(1.0 + 10.0 * S)


def _decibel(S: np.ndarray, top_db: float = 80.0) -> np.ndarray:
    S = 10.0 * np.log10(np.maximum(S, 1e-10))
    return np.maximum(S, S.max() - top_db)


# ---------------------------------------------------------------- librosa, scipy
def _librosa() -> Iterator[Contender]:
    import librosa

    def log_mel(y: np.ndarray) -> np.ndarray:
        return _log(
            librosa.feature.melspectrogram(
                y=y, sr=SR, n_fft=1024, hop_length=512, power=1.0, pad_mode="reflect"
            )
        )

    def magnitude(y: np.ndarray) -> np.ndarray:
        return np.abs(librosa.stft(y))

    def cqt(y: np.ndarray) -> np.ndarray:
        return np.abs(librosa.cqt(y, sr=SR, fmin=CQT_FMIN, n_bins=CQT_BINS))

    of = partial(Contender, peer="librosa", rows=_turned)
    yield of(feature="log-mel", run=log_mel, ours=LOG_MEL)
    yield of(feature="STFT", run=magnitude, ours=STFT)
    yield of(feature="MFCC", run=partial(_librosa_mfcc, librosa), ours=MFCC)
    yield of(feature="CQT", run=cqt, ours="cqt")


def _librosa_mfcc(librosa: Any, y: np.ndarray) -> Any:
    return librosa.feature.mfcc(y=y, sr=SR)


def _scipy() -> Iterator[Contender]:
    import scipy.fft

    def spectra(y: np.ndarray, n_fft: int, mode: str) -> np.ndarray:
        padded = np.pad(y, n_fft // 2, mode=mode)
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::512]
        return scipy.fft.rfft(frames * _hann(n_fft))

    def log_mel(y: np.ndarray) -> np.ndarray:
        return _log(np.abs(spectra(y, 1024, "reflect")) @ _mel(1024).T)

    def magnitude(y: np.ndarray) -> np.ndarray:
        return np.abs(spectra(y, 2048, "constant"))

    def mfcc(y: np.ndarray) -> np.ndarray:
        X = spectra(y, 2048, "constant")
        bands = (X.real**2 + X.imag**2) @ _mel(2048).T
        return scipy.fft.dct(_decibel(bands), norm="ortho")[:, :20]

    of = partial(Contender, peer="scipy", rows=_plain, notes="rfft over a sliding window")
    yield of(feature="log-mel", run=log_mel, ours=LOG_MEL)
    yield of(feature="STFT", run=magnitude, ours=STFT)
    yield of(feature="MFCC", run=mfcc, ours=MFCC)


# ---------------------------------------------------------------- torch, nnAudio
def _dct(n_mfcc: int, n_bands: int) -> np.ndarray:
    k, n = np.arange(n_mfcc)[:, np.newaxis], np.arange(n_bands)
    basis = np.sqrt(2.0 / n_bands) * np.cos(np.pi * k * (2 * n + 1) / (2 * n_bands))
    basis[0] /= np.sqrt(2.0)
    return basis.astype(np.float32)


def _torch() -> Iterator[Contender]:
    import torch

    windows = {n: torch.from_numpy(_hann(n)) for n in (1024, 2048)}
    banks = {n: torch.from_numpy(_mel(n)) for n in (1024, 2048)}
    basis = torch.from_numpy(_dct(20, 128))

    def spectra(y: np.ndarray, n_fft: int, mode: str) -> torch.Tensor:
        return torch.stft(
            torch.from_numpy(y),
            n_fft,
            512,
            window=windows[n_fft],
            return_complex=True,
            pad_mode=mode,
        )

    def log_mel(y: np.ndarray) -> torch.Tensor:
        return torch.log10(1.0 + 10.0 * (banks[1024] @ spectra(y, 1024, "reflect").abs()))

    def magnitude(y: np.ndarray) -> torch.Tensor:
        return spectra(y, 2048, "constant").abs()

    def mfcc(y: np.ndarray) -> torch.Tensor:
        bands = banks[2048] @ spectra(y, 2048, "constant").abs().square()
        bands = 10.0 * torch.log10(bands.clamp(min=1e-10))
        return basis @ torch.maximum(bands, bands.max() - 80.0)

    of = partial(Contender, peer="torch", rows=_turned, notes="torch.stft, as torchaudio uses it")
    yield of(feature="log-mel", run=log_mel, ours=LOG_MEL)
    yield of(feature="STFT", run=magnitude, ours=STFT)
    yield of(feature="MFCC", run=mfcc, ours=MFCC)


def _nnaudio() -> Iterator[Contender]:
    import nnAudio.features as nn
    import torch

    def apply(layer: Any, after: Callable[[Any], Any] = lambda x: x) -> Callable[..., Any]:
        layer = layer.eval()

        def run(y: np.ndarray) -> torch.Tensor:
            with torch.inference_mode():
                return after(layer(torch.from_numpy(y)))

        return run

    size: dict[str, Any] = {"sr": SR, "n_fft": 2048, "hop_length": 512, "n_mels": 128}
    layers: dict[str, Any] = {
        "log-mel": nn.MelSpectrogram(**{**size, "n_fft": 1024}, power=1.0, verbose=False),
        "STFT": nn.STFT(
            n_fft=2048, hop_length=512, freq_scale="no", output_format="Magnitude",
            pad_mode="constant", verbose=False,
        ),
        "MFCC": nn.MFCC(n_mfcc=20, pad_mode="constant", verbose=False, **size),
    }  # fmt: skip
    ours: dict[str, FrontEnd] = {"log-mel": LOG_MEL, "STFT": STFT, "MFCC": MFCC}
    of = partial(Contender, peer="nnAudio", rows=_first, notes="convolutions in torch")
    for feature, layer in layers.items():
        after = (lambda x: torch.log10(1.0 + 10.0 * x)) if feature == "log-mel" else lambda x: x
        yield of(feature=feature, run=apply(layer, after), ours=ours[feature])
    cqt = nn.CQT1992v2(
        sr=SR, hop_length=512, fmin=CQT_FMIN, n_bins=CQT_BINS, pad_mode="constant", verbose=False
    )
    yield of(feature="CQT", run=apply(cqt), ours="cqt", notes="CQT1992v2, the faster of two")


# ---------------------------------------------------------------- Essentia
def _essentia() -> Iterator[Contender]:
    import essentia

    essentia.log.infoActive = False
    import essentia.standard as es

    def frames(y: np.ndarray, n_fft: int) -> Iterator[np.ndarray]:
        taper = es.Windowing(type="hann", size=n_fft, normalized=False, symmetric=False)
        spectrum = es.Spectrum(size=n_fft)
        for frame in es.FrameGenerator(y, frameSize=n_fft, hopSize=512, startFromZero=False):
            yield spectrum(taper(frame))

    bank: dict[str, Any] = {
        "sampleRate": SR, "numberBands": 128, "highFrequencyBound": SR / 2,
        "warpingFormula": "slaneyMel", "weighting": "linear", "normalize": "unit_tri",
    }  # fmt: skip
    bands = es.MelBands(inputSize=513, type="magnitude", **bank)
    cepstrum = es.MFCC(inputSize=1025, numberCoefficients=20, logType="dbpow", **bank)

    def log_mel(y: np.ndarray) -> np.ndarray:
        return _log(np.array([bands(S) for S in frames(y, 1024)]))

    def magnitude(y: np.ndarray) -> np.ndarray:
        return np.array(list(frames(y, 2048)))

    def mfcc(y: np.ndarray) -> np.ndarray:
        return np.array([cepstrum(S)[1] for S in frames(y, 2048)])

    # one transform as long as the longest filter; the others divide by the root of its length
    n_fft = 16384
    taper = es.Windowing(type="square", size=n_fft, normalized=False)
    constant_q = es.SpectrumCQ(sampleRate=SR, minFrequency=CQT_FMIN, numberBins=CQT_BINS)
    octaves = np.arange(CQT_BINS) / 12
    lengths = SR / (CQT_FMIN * 2.0**octaves) / (2.0 ** (1 / 12) - 1)

    def cqt(y: np.ndarray) -> np.ndarray:
        cut = es.FrameGenerator(y, frameSize=n_fft, hopSize=512, startFromZero=False)
        return np.array([constant_q(taper(frame)) for frame in cut]) / np.sqrt(lengths)

    of = partial(Contender, peer="Essentia", rows=_plain)
    zeros = LOG_MEL.but(name="log-mel, zeros at the ends", pad_mode="constant")
    yield of(feature="log-mel", run=log_mel, ours=zeros, notes="zeros at the ends")
    yield of(feature="STFT", run=magnitude, ours=STFT)
    open_ended = MFCC.but(name="mfcc without top_db", top_db=None)
    yield of(feature="MFCC", run=mfcc, ours=open_ended, notes="no top_db")
    yield of(
        feature="CQT", run=cqt, ours="cqt", notes="SpectrumCQ over the root of the filter lengths"
    )


# ---------------------------------------------------------------- audioflux
def _audioflux() -> Iterator[Contender]:
    import audioflux as af
    from audioflux.type import CepstralRectifyType as Rectify
    from audioflux.type import SpectralDataType as Data
    from audioflux.type import SpectralFilterBankNormalType as Norm
    from audioflux.type import SpectralFilterBankScaleType as Scale

    common: dict[str, Any] = {
        "samplate": SR, "low_fre": 0.0, "high_fre": SR / 2, "slide_length": 512,
        "normal_type": Norm.BAND_WIDTH,
    }  # fmt: skip
    mel = af.BFT(num=128, radix2_exp=10, scale_type=Scale.MEL, data_type=Data.MAG, **common)
    power = af.BFT(num=128, radix2_exp=11, scale_type=Scale.MEL, data_type=Data.POWER, **common)
    linear = af.BFT(num=1025, radix2_exp=11, scale_type=Scale.LINEAR, data_type=Data.MAG, **common)
    cepstrum = af.XXCC(num=128)
    constant_q = af.CQT(num=CQT_BINS, samplate=SR, low_fre=CQT_FMIN, slide_length=512)

    def log_mel(y: np.ndarray) -> np.ndarray:
        return _log(mel.bft(y, result_type=1))

    def magnitude(y: np.ndarray) -> np.ndarray:
        return linear.bft(y, result_type=1)

    def mfcc(y: np.ndarray) -> np.ndarray:
        S = power.bft(y, result_type=1)
        cepstrum.set_time_length(S.shape[-1])
        return cepstrum.xxcc(S, cc_num=20, rectify_type=Rectify.LOG)

    def cqt(y: np.ndarray) -> np.ndarray:
        return np.abs(constant_q.cqt(y))

    of = partial(Contender, peer="audioflux", rows=_turned)
    whole = "complete frames, HTK's mel scale"
    ours = LOG_MEL.but(name=f"log-mel, {whole}", center=False, scale="htk")
    yield of(feature="log-mel", run=log_mel, ours=ours, notes=whole)
    ours = STFT.but(name="stft, complete frames", center=False)
    yield of(feature="STFT", run=magnitude, ours=ours, notes="complete frames")
    ours = MFCC.but(name=f"mfcc, {whole}", center=False, scale="htk", top_db=None, amin=1e-8)
    # its power, not its magnitude, is twice as large with two threads: another floor of the log
    own = "log10 of power, at least 1e-8; one thread only"
    yield of(feature="MFCC", run=mfcc, ours=ours, notes=f"{whole}, {own}")
    yield of(feature="CQT", run=cqt, ours="cqt")


# ---------------------------------------------------------------- kaldi-native-fbank
def _kaldi() -> Iterator[Contender]:
    import kaldi_native_fbank as knf

    def framing(options: Any, n_fft: int) -> Any:
        frame = options.frame_opts
        frame.samp_freq, frame.dither = SR, 0.0
        frame.frame_length_ms, frame.frame_shift_ms = 1e3 * n_fft / SR, 1e3 * 512 / SR
        frame.preemph_coeff, frame.remove_dc_offset, frame.window_type = 0.0, False, "hann"
        bank = options.mel_opts
        bank.num_bins, bank.low_freq, bank.high_freq, bank.is_librosa = 128, 0.0, SR / 2, True
        return options

    def every_frame(computer: Any, y: np.ndarray, sr: int) -> np.ndarray:
        computer.accept_waveform(sr, y.tolist())
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    mel_options = framing(knf.FbankOptions(), 1024)
    mel_options.use_power, mel_options.use_log_fbank = False, False
    mfcc_options = framing(knf.MfccOptions(), 2048)
    mfcc_options.num_ceps, mfcc_options.use_energy, mfcc_options.cepstral_lifter = 20, False, 0.0
    own_options = knf.FbankOptions()
    own_options.frame_opts.dither = 0.0
    stft = knf.Stft(
        knf.StftConfig(
            n_fft=2048, hop_length=512, win_length=2048, window_type="hann", center=True,
            pad_mode="constant",
        )
    )  # fmt: skip

    def log_mel(y: np.ndarray) -> np.ndarray:
        return _log(every_frame(knf.OnlineFbank(mel_options), y, SR))

    def magnitude(y: np.ndarray) -> np.ndarray:
        X = stft.compute(y.tolist())
        return np.hypot(np.array(X.real, np.float32), np.array(X.imag, np.float32))

    def mfcc(y: np.ndarray) -> np.ndarray:
        return every_frame(knf.OnlineMfcc(mfcc_options), y, SR)

    def fbank(y: np.ndarray) -> np.ndarray:  # Kaldi counts in 16-bit integers
        return every_frame(knf.OnlineFbank(own_options), y * np.float32(32768.0), 16000)

    lists = "takes samples as a list of Python floats"
    of = partial(Contender, peer="kaldi-native-fbank", rows=_plain)
    ours = LOG_MEL.but(name="log-mel, complete frames", center=False)
    yield of(feature="log-mel", run=log_mel, ours=ours, notes=f"complete frames; {lists}")
    yield of(
        feature="STFT",
        run=magnitude,
        rows=lambda S: S.reshape(-1, 1025),
        ours=STFT,
        notes=f"{lists}, gives spectra as such lists",
    )
    logarithm = Ln(offset=0.0, amin=2.0**-23)
    ours = MFCC.but(name="mfcc, complete frames", center=False, compression=logarithm)
    yield of(feature="MFCC", run=mfcc, ours=ours, notes=f"complete frames, ln of power; {lists}")
    yield of(
        feature="Kaldi fbank",
        run=fbank,
        ours=KALDI,
        notes=f"featx's preset 'kaldi', 16 kHz; {lists}",
    )


_BUILDERS: dict[str, Callable[[], Iterator[Contender]]] = {
    "librosa": _librosa,
    "scipy": _scipy,
    "torch": _torch,
    "nnAudio": _nnaudio,
    "Essentia": _essentia,
    "audioflux": _audioflux,
    "kaldi-native-fbank": _kaldi,
}
