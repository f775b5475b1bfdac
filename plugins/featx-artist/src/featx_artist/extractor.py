"""The extractors: log-mel segments through the trunk, mean over segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.neural import NetworkExtractor, Segments
from featx_artist.config import JOINT, SIAMESE, ArtistConfig
from featx_artist.model import ArtistTrunk, normalised

if TYPE_CHECKING:
    from torch import Tensor


class ArtistExtractor(NetworkExtractor):
    """One embedding per track."""

    streaming = True
    architecture: ArtistConfig = SIAMESE
    segments = Segments(length=SIAMESE.n_frames)
    #: A 30 s preview has ten segments.
    cpu_batch = 10
    accelerator_batch = 10

    def network(self) -> ArtistTrunk:
        """Return the trunk."""
        return ArtistTrunk(self.architecture)

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the trunk."""
        return self.architecture.to_json()

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """Map segments of the front end to embeddings, which are also those of the segments."""
        embeddings: Tensor = self.model(normalised(x))
        return {"embedding": embeddings, "segments": embeddings}


class JointExtractor(ArtistExtractor):
    """The trunk with twice the filters."""

    architecture = JOINT
