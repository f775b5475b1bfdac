"""Parameter classes: validation, parsing of ``--set`` strings, helpful errors."""

from __future__ import annotations

import dataclasses
import json

import pytest

from featx.errors import ParameterError
from featx.interfaces import Resolved
from featx.params import NoParams, param, params_class, parse_params
from featx.types import FeatureSpec


@params_class
class Params:
    """A bit of everything."""

    n_mfcc: int = param(13, "Number of coefficients.", ge=1, le=128)
    fmin: float = param(0.0, "Lowest frequency in Hz.", ge=0)
    fmax: float | None = param(None, "Highest frequency in Hz; None is half the rate.", gt=0)
    preset: str = param("librosa", "Front end.", choices=("librosa", "htk"))
    center: bool = param(True, "Centre the frames.")
    bands: tuple[int, ...] = param((1, 2), "Bands.")


def test_params_are_frozen_and_keyword_only() -> None:
    with pytest.raises(TypeError):
        Params(20)  # type: ignore[call-arg, misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Params().n_mfcc = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_mfcc": 0}, "n_mfcc must be >= 1, got 0"),
        ({"n_mfcc": 129}, "n_mfcc must be <= 128"),
        ({"n_mfcc": 2.5}, "n_mfcc must be int"),
        ({"n_mfcc": True}, "n_mfcc must be int"),
        ({"fmax": 0.0}, "fmax must be > 0"),
        ({"preset": "kaldi"}, "preset must be one of"),
    ],
)
def test_a_value_that_breaks_its_rule_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Params(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"n_mfcc": "20"}, Params(n_mfcc=20)),
        ({"fmin": "20"}, Params(fmin=20.0)),
        ({"fmax": "none"}, Params(fmax=None)),
        ({"fmax": "8e3"}, Params(fmax=8000.0)),
        ({"center": "false"}, Params(center=False)),
        ({"bands": "3,4,5"}, Params(bands=(3, 4, 5))),
        ({"preset": "htk"}, Params(preset="htk")),
    ],
)
def test_set_strings_are_parsed_by_annotation(text: dict[str, str], expected: Params) -> None:
    assert parse_params(Params, text) == expected


@pytest.mark.parametrize("settings", [{"n_mfcc": "many"}, {"center": "maybe"}])
def test_set_strings_that_do_not_parse_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(settings))} must be"):
        parse_params(Params, settings)


def test_unknown_parameter_suggests_the_nearest() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'n_mfcc'"):
        parse_params(Params, {"nmfcc": "20"})


def test_params_survive_json() -> None:
    params = Params(n_mfcc=20, bands=(7,))
    assert parse_params(Params, json.loads(json.dumps(dataclasses.asdict(params)))) == params


def test_a_class_may_check_fields_against_each_other() -> None:
    @params_class
    class Range:
        low: float = param(0.0, "Low.")
        high: float = param(1.0, "High.")

        def __post_init__(self) -> None:
            if self.low >= self.high:
                raise ParameterError(f"low must be below high, got {self.low}.")

    with pytest.raises(ParameterError, match="low must be below high"):
        Range(low=2.0)


def test_no_params_accepts_nothing() -> None:
    with pytest.raises(ParameterError, match="parameter must be one of"):
        parse_params(NoParams, {"x": 1})


def test_resolved_names_its_outputs_when_asked_for_another() -> None:
    resolved = Resolved(sr=22050, outputs=(FeatureSpec(name="embedding", kind="clip", dim=2),))
    with pytest.raises(ParameterError, match=r"one of embedding"):
        resolved.output("emb")


def test_whole_numbers_are_floats_where_floats_are_meant() -> None:
    @params_class
    class Gain:
        gain: float = param(1.0, "Factor.")

    assert repr(parse_params(Gain, {"gain": 2})) == repr(parse_params(Gain, {"gain": "2"}))
