"""A feature of a store as a data set of torch: vectors or frames, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.store.frames import label_array

if TYPE_CHECKING:
    from featx.store.views import FeatureView


class FeatureDataset:
    """A map-style data set for `torch.utils.data.DataLoader`.

    Item i is the tensor of track ``ids[i]``: ``(D,)`` of a clip feature, ``(T, D)`` of frames; with
    labels the pair of it and an index into ``classes``. Made by `FeatureView.dataset`.
    """

    def __init__(
        self,
        view: FeatureView,
        *,
        label: str | None = None,
        n_frames: int | None = None,
        among: Sequence[str] | None = None,
    ) -> None:
        kind = view.spec.kind
        if kind == "events":
            raise ParameterError(
                f"dataset must be made of a clip or frames feature, got {kind!r}. "
                "Events of a track are feature[track_id]."
            )
        if n_frames is not None and (kind != "frames" or n_frames < 1):
            raise ParameterError(
                f"n_frames must be an integer > 0, of frames, got {n_frames} for {kind!r}."
            )
        self.view = view
        self.n_frames = n_frames
        selection = None if among is None else set(among)
        rows = [row for row, name in enumerate(view.ids) if selection is None or name in selection]
        #: Track ids, in the order of the items.
        self.ids = tuple(view.ids[row] for row in rows)
        #: Distinct labels in ascending order; empty without labels.
        self.classes: tuple[str, ...] = ()
        self._targets: list[int] | None = None
        if label is not None:
            texts = label_array(view, label)[rows]
            missing = [name for name, text in zip(self.ids, texts, strict=True) if not text]
            if missing:
                raise ParameterError(
                    f"label {label!r} must be known for every track, but {len(missing)} have none, "
                    f"such as {missing[0]!r}. Choose tracks with among=."
                )
            classes, targets = np.unique(texts, return_inverse=True)
            self.classes = tuple(classes.tolist())
            self._targets = targets.tolist()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, item: int) -> Any:
        """Return the tensor of one track, or the pair of it and the index of its class."""
        import torch

        name = self.ids[item]
        values = self.view[name] if self.n_frames is None else self._part(name, self.n_frames)
        tensor = torch.from_numpy(np.array(values))
        return tensor if self._targets is None else (tensor, self._targets[item])

    def _part(self, name: str, n_frames: int) -> Any:
        """Return ``n_frames`` rows from a random place; zeros follow a shorter track."""
        import torch

        length = len(self.view.times(name))
        start = int(torch.randint(max(1, length - n_frames + 1), ()))
        part = self.view.part(name, start, start + n_frames)
        return np.pad(part, ((0, n_frames - len(part)), (0, 0)))
