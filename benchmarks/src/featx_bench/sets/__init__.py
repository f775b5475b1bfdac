"""Public sets that users own: from a folder of audio to the manifest of a task."""

from __future__ import annotations

from featx_bench.sets.preparing import SETS, PublicSet, prepare_set, prepared_manifest

__all__ = ["SETS", "PublicSet", "prepare_set", "prepared_manifest"]
