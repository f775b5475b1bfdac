"""Every network of the papers by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from featx import ParameterError
from featx_samplecnn.config import ModelConfig, ResConfig, ResSEConfig, SampleCNNConfig

#: Samples of the inputs of Table 3.2, whatever is made of them.
_TABLE_3_2 = 59049


def _power(m: int, n: int) -> SampleCNNConfig:
    return SampleCNNConfig(sr=22050, stride=m, modules=(m,) * n)


def _digits(sr: int, digits: str) -> SampleCNNConfig:
    stride, *modules = (int(digit) for digit in digits.split("-"))
    return SampleCNNConfig(sr=sr, stride=stride, modules=tuple(modules))


def _baseline(window: int, hop: int, *, bands: int = 0) -> SampleCNNConfig:
    n = 0
    while hop * 3**n < _TABLE_3_2:
        n += 1
    return SampleCNNConfig(
        sr=22050,
        stride=hop,
        modules=(3,) * n,
        window=0 if window == hop and not bands else window,
        bands=bands,
        first_padding=0 if bands else (window - hop) // 2,
    )


_FRAMES = ((729, 729), (729, 243), (243, 243), (243, 81), (81, 81))
_SAMPLES = ((27, 27), (9, 9), (3, 3))

# Table 3.7: name -> rate, input, blocks, stride, classes, activation
_DOMAINS = {
    "music": (39366, 9, 2, 50, "sigmoid"),
    "speech": (16000, 8, 2, 31, "softmax"),
    "scenes": (19683, 8, 3, 17, "sigmoid"),
}


def _family() -> dict[str, ModelConfig]:
    """Tables 3.4 (``m^n``, 22050 Hz), 3.3 (``sr<rate>``) and 3.2 (``<input>-<window>-<hop>``).

    Two rows of Table 3.3 lost a digit in the thesis (16000 and 20000 Hz); here they multiply to
    the printed input size.
    """
    models: dict[str, ModelConfig] = {
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
    for window, hop in _FRAMES:
        models[f"mel-{window}-{hop}"] = _baseline(window, hop, bands=128)
    for window, hop in (*_FRAMES, *_SAMPLES):
        models[f"raw-{window}-{hop}"] = _baseline(window, hop)
    return models


def _domains() -> dict[str, ModelConfig]:
    """Table 3.7, both rows, all at 16000 Hz."""
    models: dict[str, ModelConfig] = {}
    for name, (samples, n_blocks, stride, n_tags, activation) in _DOMAINS.items():
        models[name] = SampleCNNConfig(
            sr=16000,
            stride=stride,
            modules=(3,) * n_blocks,
            samples=samples,
            n_tags=n_tags,
            activation=activation,
        )
        models[f"rese-2-multi-{name}"] = ResConfig(
            sr=16000,
            block="rese",
            n_blocks=n_blocks,
            stride=stride,
            samples=samples,
            n_tags=n_tags,
            activation=activation,
        )
    return models


#: Short name of a block in the paper -> in `ResConfig`.
_BLOCKS = {"basic": "basic", "se": "se", "res-2": "res", "rese-2": "rese"}

MODELS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        **_family(),
        **{
            f"{name}{'-multi' if multi else ''}": ResConfig(sr=22050, block=block, multi=multi)
            for name, block in _BLOCKS.items()
            for multi in (True, False)
            # without blocks of its own it would be a SampleCNN with another classifier
            if multi or block != "basic"
        },
        **_domains(),
        # minzwon/sota-music-tagging-models
        "sota": SampleCNNConfig(
            sr=16000, stride=3, modules=(3,) * 9, widths="code", first_padding=1, bn_eps=1e-5
        ),
        "sota-se": ResSEConfig(sr=16000),
    }
)

#: Models of Table 3.4, whose levels the multi-level multi-scale feature joins.
TABLE_3_4 = ("3^9", "3^8", "2^13", "2^14", "4^6", "4^7", "5^5", "5^6")


def model_config(model: str, *, widths: str = "paper", first_padding: bool = False) -> ModelConfig:
    """Return the configuration called ``model``.

    Parameters
    ----------
    model : str
        Key of `MODELS`.
    widths : {'paper', 'code'}
        Channels, see `SampleCNNConfig.channels`; ``code`` is for SampleCNN only.
    first_padding : bool
        Pad the input of the first layer by half its kernel on both sides. The filters then see
        another phase; the extra frame that even kernels give is dropped by the pooling. Only where
        kernel and stride of the first layer agree.

    Raises
    ------
    ParameterError
        For an unknown model or width, or one that the model does not have.
    """
    if model not in MODELS:
        raise ParameterError(f"model must be one of {', '.join(MODELS)}, got {model!r}.")
    base = MODELS[model]
    if not isinstance(base, SampleCNNConfig):
        if widths != "paper" or first_padding:
            raise ParameterError(
                f"widths and first_padding must have their defaults for {model!r}, got "
                f"{widths!r} and "
                f"{first_padding}. They belong to SampleCNN."
            )
        return base
    if first_padding and (base.bands or base.window):
        raise ParameterError(
            f"first_padding must be false for {model!r}, got true. Its frames overlap or are "
            "those of a front end."
        )
    padding = base.stride // 2 if first_padding else base.first_padding
    chosen = base.widths if model == "sota" else widths
    return dataclasses.replace(base, widths=chosen, first_padding=padding)
