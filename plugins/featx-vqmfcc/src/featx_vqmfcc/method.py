"""Training: k-means over frames, one pass a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import TrainingError
from featx.training import CropSpec, FitMethod, Fitted
from featx_vqmfcc.codebook import Codebook
from featx_vqmfcc.config import FRONT_END, KMeansParams

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Frames of a mini-batch, and those that the first codewords are drawn from.
BATCH, INITIAL = 10_000, 100_000
#: Frames per codeword at least.
FRAMES_PER_WORD = 39
#: A pass that lowers the mean distance by less than this share is the last one.
TOLERANCE = 1e-4


class KMeans(FitMethod):
    """Mini-batch k-means from k-means++; one step is one pass over the sample.

    References
    ----------
    Sculley. "Web-scale k-means clustering". WWW, 2010.
    Arthur, Vassilvitskii. "k-means++: the advantages of careful seeding". SODA, 2007.
    """

    params: KMeansParams

    def crops(self) -> CropSpec:
        """Whole songs."""
        return CropSpec(front_end=FRONT_END, length=0)

    def fit(
        self, vectors: FloatArray, arrays: Mapping[str, AnyArray], rng: np.random.Generator
    ) -> Fitted:
        """Run one pass; see `FitMethod`."""
        if not arrays:
            arrays = self._start(vectors, rng)
        scale, passes = arrays["scale"], int(arrays["passes"])
        # every pass so far counts as if it had found what the last one found
        centres = _one_pass(vectors, scale, arrays["centres"], passes * arrays["counts"], rng)
        counts, distance = _measured(centres, vectors, scale)
        before = float(arrays["distance"])
        return Fitted(
            arrays={
                "centres": centres,
                "counts": counts,
                "scale": scale,
                "passes": np.array(passes + 1),
                "distance": np.array(distance),
            },
            metrics={"distance": distance, "unused": float((counts == 0).mean())},
            done=abs(before - distance) < TOLERANCE * before,
        )

    def _start(self, vectors: FloatArray, rng: np.random.Generator) -> dict[str, AnyArray]:
        from sklearn.cluster import kmeans_plusplus

        k, most = self.params.codewords, len(vectors) // FRAMES_PER_WORD
        if k > most:
            raise TrainingError(
                f"codewords must be <= {most}, one per {FRAMES_PER_WORD} of the {len(vectors)} "
                f"frames drawn, got {k}. Add songs, or lower codewords."
            )
        dim = vectors.shape[1]
        deviations = vectors.std(axis=0, dtype=np.float64)
        scale = np.ones(dim) if not self.params.whiten else 1 / np.maximum(deviations, 1e-12)
        scale = scale.astype(np.float32)
        subset = rng.choice(len(vectors), min(INITIAL, len(vectors)), replace=False)
        seed = int(rng.integers(2**31))
        centres, _ = kmeans_plusplus(vectors[np.sort(subset)] * scale, k, random_state=seed)
        return {
            "centres": centres.astype(np.float32),
            "counts": np.zeros(k, np.int64),
            "passes": np.array(0),
            "scale": scale,
            "distance": np.array(np.inf),
        }

    def evaluate(self, arrays: Mapping[str, AnyArray], vectors: FloatArray) -> dict[str, float]:
        """Return the mean squared distance to the nearest codeword."""
        return {"distance": _measured(arrays["centres"], vectors, arrays["scale"])[1]}

    def export(self, arrays: Mapping[str, AnyArray]) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return codewords in the unit of the frames times ``scale``, and ``scale``."""
        tensors = {"codewords": arrays["centres"], "scale": arrays["scale"]}
        return tensors, {"params": {"codewords": self.params.codewords}}


def _one_pass(
    vectors: FloatArray,
    scale: FloatArray,
    centres: FloatArray,
    counts: AnyArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the codewords after all mini-batches, drawn in an order of ``rng``."""
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(
        len(centres),
        init=centres,
        n_init=1,
        compute_labels=False,
        random_state=int(rng.integers(2**31)),
    )
    if counts.any():
        # the codewords themselves, as often as frames were theirs, restore the learning rates
        model.set_params(reassignment_ratio=0.0)
        model.partial_fit(centres, sample_weight=counts.astype(np.float32))
        model.set_params(reassignment_ratio=0.01)
    for batch in np.array_split(rng.permutation(len(vectors)), -(-len(vectors) // BATCH)):
        model.partial_fit(vectors[np.sort(batch)] * scale)
    learned: FloatArray = model.cluster_centers_.astype(np.float32)
    return learned


def _measured(
    centres: FloatArray, vectors: FloatArray, scale: FloatArray
) -> tuple[AnyArray, float]:
    """Return how many frames each codeword is nearest to, and the mean squared distance."""
    codebook = Codebook(centres)
    counts, total = np.zeros(len(centres), np.int64), 0.0
    for start in range(0, len(vectors), 16 * BATCH):
        block = vectors[start : start + 16 * BATCH] * scale
        labels = codebook.nearest(block)
        counts += np.bincount(labels, minlength=len(centres))
        total += float(codebook.distances(block, labels).sum())
    return counts, total / len(vectors)
