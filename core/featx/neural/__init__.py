"""What neural extractors share: tensors, segments, and seeded weights.

torch is imported inside functions only.
"""

from __future__ import annotations

from featx.neural.tensors import build, inference, load_tensors, map_segments, split_segments

__all__ = ["build", "inference", "load_tensors", "map_segments", "split_segments"]
