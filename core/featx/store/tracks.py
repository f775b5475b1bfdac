"""The tracks of a store: what is known of them, and choosing some by their columns."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError, listed, meant, near, some
from featx.store.records import TrackRecord, column_values
from featx.store.sources import Source

if TYPE_CHECKING:
    import pandas


class TrackTable(Mapping[str, TrackRecord]):
    """The tracks of a store by id: path, content, size, duration, sr, channels, tags."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, track_id: str) -> TrackRecord:
        record = self._source.track(track_id)
        if record is not None and track_id in self._source.hidden:
            raise gone_error(track_id)
        if record is None:
            several = [name.strip() for name in track_id.split(",")]
            hint = (
                " Ids may hold commas: give one at a time."
                if len(several) > 1 and all(name in self for name in several)
                else near_name(track_id, self)
            )
            raise ParameterError(f"track_id must be one of the store's, got {track_id!r}.{hint}")
        return record

    def __contains__(self, track_id: object) -> bool:
        known = isinstance(track_id, str) and track_id not in self._source.hidden
        return known and self._source.track(str(track_id)) is not None

    def __iter__(self) -> Iterator[str]:
        return (record.track_id for record in self.records())

    def __len__(self) -> int:
        return self._source.count_tracks() - len(self._source.hidden)

    def records(self) -> Iterator[TrackRecord]:
        """Yield all records in the order of their ids."""
        hidden = self._source.hidden
        return (record for record in self._source.tracks() if record.track_id not in hidden)

    def column(self, name: str) -> list[Any]:
        """Return one field or tag of all tracks, such as ``duration`` or ``artist``."""
        return [
            getattr(record, name) if hasattr(record, name) else record.tags.get(name)
            for record in self.records()
        ]

    def to_frame(self, *, columns: Sequence[str] | None = None) -> pandas.DataFrame:
        """Return a table of pandas with a row per track and its id as index.

        Parameters
        ----------
        columns : sequence of str, optional
            Tags and fields; by default every tag, path, duration, rate and channels.

        Raises
        ------
        ParameterError
            If pandas is not installed, or the store knows no such column.
        """
        from featx.store.frames import track_frame

        return track_frame(self, columns=columns)

    def where(
        self,
        conditions: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        among: Container[object] | None = None,
        **tags: str,
    ) -> list[str]:
        """Return the ids of tracks whose columns have these values, such as ``artist="Bach"``.

        In the column ``tags`` it is one of the values between semicolons.

        Parameters
        ----------
        conditions : mapping or pairs of column and value, optional
            All must hold, those in ``tags`` too. Pairs may repeat a column: several tags.
        among : container of track ids, optional
            Tracks to choose from, such as a feature.

        Raises
        ------
        ParameterError
            If there is no such track; the message lists the known values or columns.
        """
        records = list(self.records())
        left = [record for record in records if among is None or record.track_id in among]
        pairs = conditions.items() if isinstance(conditions, Mapping) else conditions
        terms = [*pairs, *tags.items()]
        for place, (name, value) in enumerate(terms, start=1):
            held = [column_values(name, record.tags.get(name, "")) for record in left]
            left = [record for record, values in zip(left, held, strict=True) if value in values]
            if left:
                continue
            known = sorted({key for record in records for key in record.tags})
            values = sorted({one for several in held for one in several if one})
            close = near(value, values, most=3)
            if not known:
                hint = ": this store has no labels. Add them: featx tag STORE -m MANIFEST."
            elif name not in known:
                hint = f": this store has no such column. Its columns: {listed(known)}."
            else:
                hint = (
                    f".{meant(value, values)} "
                    f"Values of {name}: {some(dict.fromkeys([*close, *values]))}."
                )
            before = [f"{key}={text}" for key, text in terms[: place - 1]]
            which = f" with {' and '.join(before)}" if before else ""
            raise ParameterError(f"no track{which} has {name} {value!r}{hint}")
        return [record.track_id for record in left]


def gone_error(track_id: str) -> ParameterError:
    """Return the error for a track whose file is gone, if such tracks are not requested."""
    return ParameterError(
        f"track_id must be a track whose file exists, got {track_id!r}, which is gone. Its "
        "results are kept: use --gone, or open_store(path, gone=True)."
    )


def near_name(name: str, known: Any) -> str:
    """Return a hint at the known name that is nearest to ``name``, or nothing."""
    return meant(name, itertools.islice(known, 10_000))
