"""Labels of events as a store keeps them: codes among the values, texts beside them.

A column of labels holds numbers of texts in a vocabulary that one dataset per feature lists: that
of the spec in its order where it is closed, else the texts that occur, sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from featx.annotations.tables import check_labels, label_table
from featx.errors import ParameterError
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Texts by column.
Vocabularies: TypeAlias = Mapping[str, Sequence[str]]


def label_columns(spec: FeatureSpec) -> Iterator[tuple[int, str]]:
    """Yield number and name of the columns that hold labels."""
    return ((n, column.name) for n, column in enumerate(spec.columns) if column.is_label)


def encode(spec: FeatureSpec, tables: Sequence[AnyArray]) -> tuple[list[AnyArray], Vocabularies]:
    """Return tables of several tracks as float64 ``(n, k)`` with codes, and the vocabularies.

    Raises `ParameterError` if a label cannot be stored, or is not in the vocabulary of its column.
    """
    rows = [np.empty((len(table), spec.dim)) for table in tables]
    vocabularies: dict[str, Sequence[str]] = {}
    for number, column in enumerate(spec.columns):
        if not column.is_label:
            for row, table in zip(rows, tables, strict=True):
                row[:, number] = table[column.name]
            continue
        texts = sorted({str(text) for table in tables for text in np.unique(table[column.name])})
        check_labels(spec.name, column, texts)
        known: Sequence[str] = texts if column.labels in {None, "open"} else column.labels or ()
        codes = {text: code for code, text in enumerate(known)}
        for row, table in zip(rows, tables, strict=True):
            row[:, number] = [codes[text] for text in table[column.name].tolist()]
        vocabularies[column.name] = list(known)
    return rows, vocabularies


def decode(spec: FeatureSpec, values: AnyArray, vocabularies: Vocabularies) -> AnyArray:
    """Return the structured array that `encode` was given."""
    columns: dict[str, AnyArray] = {}
    for number, column in enumerate(spec.columns):
        columns[column.name] = values[:, number]
        if column.is_label:
            known = vocabularies[column.name]
            texts = [known[code] for code in values[:, number].astype(np.int64).tolist()]
            columns[column.name] = np.array(texts, str) if texts else np.zeros(0, "U1")
    return label_table(spec, columns)


def join(spec: FeatureSpec, parts: Sequence[Vocabularies]) -> Vocabularies:
    """Return the vocabularies that hold all of several."""
    joined: dict[str, Sequence[str]] = {}
    for _, name in label_columns(spec):
        texts = {text: None for part in parts for text in part[name]}
        same = len(parts) > 0 and len(texts) == len(parts[0][name])
        joined[name] = list(parts[0][name]) if same else sorted(texts)
    return joined


def recode(
    spec: FeatureSpec, values: AnyArray, source: Vocabularies, target: Vocabularies
) -> AnyArray:
    """Return ``values`` with the codes of another vocabulary; themselves where nothing changes."""
    for number, name in label_columns(spec):
        if list(source[name]) == list(target[name]):
            continue
        codes = {text: code for code, text in enumerate(target[name])}
        table = np.array([codes[text] for text in source[name]], np.float64)
        values = values.copy()
        values[:, number] = table[values[:, number].astype(np.int64)]
    return values


def check_codes(spec: FeatureSpec, values: AnyArray, vocabularies: Vocabularies) -> None:
    """Raise `ParameterError` unless every code is that of a text."""
    for number, name in label_columns(spec):
        codes, size = values[:, number], len(vocabularies[name])
        wrong = codes[~((codes >= 0) & (codes < size) & (codes == np.floor(codes)))]
        if wrong.size:
            raise ParameterError(
                f"codes of {spec.name}.{name} must be numbers of its {size} labels, "
                f"got {wrong[0]:g}."
            )


def check_vocabularies(spec: FeatureSpec, vocabularies: object) -> Vocabularies:
    """Return vocabularies read from a file; raise `ParameterError` unless they fit ``spec``."""
    names = [name for _, name in label_columns(spec)]
    if not isinstance(vocabularies, dict) or sorted(vocabularies) != sorted(names):
        raise ParameterError(f"labels of {spec.name} must be lists for the columns {names}.")
    for number, name in label_columns(spec):
        column, texts = spec.columns[number], vocabularies[name]
        if not isinstance(texts, list):
            raise ParameterError(f"labels of {spec.name}.{name} must be a list.")
        check_labels(spec.name, column, texts)
        expected = sorted(set(texts)) if column.labels == "open" else list(column.labels or ())
        if texts != expected:
            raise ParameterError(
                f"labels of {spec.name}.{name} must be those of its description, or sorted."
            )
    return vocabularies


def value_digest(
    values: AnyArray, spec: FeatureSpec | None = None, vocabularies: Vocabularies | None = None
) -> bytes:
    """Return 16 bytes of BLAKE2b over dtype, shape and the little-endian values of one track.

    Labels enter as texts, whatever their codes: codes are replaced by places in the sorted list of
    the track's own labels, and these follow, each preceded by its length in 8 bytes.
    """
    texts: list[str] = []
    if spec is not None and vocabularies:
        for number, name in label_columns(spec):
            codes, places = np.unique(values[:, number], return_inverse=True)
            used = [vocabularies[name][int(code)] for code in codes]
            order = sorted(range(len(used)), key=used.__getitem__)
            values = values.copy()
            values[:, number] = np.argsort(order)[places] if used else 0.0
            texts += [used[i] for i in order]
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    digest = hashlib.blake2b(f"{plain.dtype.str}{plain.shape}".encode(), digest_size=16)
    digest.update(plain.reshape(-1).data)  # the array itself: hours of frames are not copied
    for text in texts:
        data = text.encode("utf-8")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
