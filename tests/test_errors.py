"""The error classes and the codes that the ledger uses."""

from __future__ import annotations

import pickle

import pytest

from featx import errors


@pytest.mark.parametrize("kind", [errors.AudioError, errors.ExtractionError])
def test_coded_error_survives_pickling_between_processes(kind: type[errors.AudioError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("truncated", "ends at 3.1 of 9.0 s")))
    assert (type(copy), copy.code, str(copy)) == (kind, "truncated", "ends at 3.1 of 9.0 s")


def test_coded_error_refuses_a_code_nobody_documents() -> None:
    with pytest.raises(errors.ParameterError, match="code must be one of"):
        errors.AudioError("weird", "no such code")


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_a_featx_error(name: str) -> None:
    value = getattr(errors, name)
    if isinstance(value, type):
        assert issubclass(value, errors.FeatxError)
    else:
        assert all(code == code.lower() and sentence for code, sentence in value.items())


def test_parameter_error_is_a_value_error() -> None:
    assert issubclass(errors.ParameterError, ValueError)


def test_many_names_are_cut_and_counted() -> None:
    assert errors.some("abc", most=3) == "a, b, c"
    assert errors.some("abcd", most=3) == "a, b, c, ... (4 in all)"
    assert errors.some([]) == "none"
