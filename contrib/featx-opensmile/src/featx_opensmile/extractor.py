"""What openSMILE computes, in the shape of featx; imported when an extractor is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import opensmile

from featx import Context, Extractor, Features, Track


class _Functionals(Extractor):
    feature_set: ClassVar[opensmile.FeatureSet]

    def open(self, context: Context) -> None:
        """Read the configuration of the feature set."""
        super().open(context)
        self.smile = opensmile.Smile(
            feature_set=self.feature_set, feature_level=opensmile.FeatureLevel.Functionals
        )

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the functionals of whole tracks."""
        return [
            Features(functionals=np.asarray(self.smile(track.y, track.sr), np.float32).ravel())
            for track in tracks
        ]


class Egemaps(_Functionals):
    """``opensmile-egemaps``."""

    feature_set = opensmile.FeatureSet.eGeMAPSv02


class Compare(_Functionals):
    """``opensmile-compare``."""

    feature_set = opensmile.FeatureSet.ComParE_2016
