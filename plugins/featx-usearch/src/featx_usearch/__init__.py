"""The nearest-neighbour index of usearch for featx."""

from __future__ import annotations

from featx import API_VERSION, IndexSpec, hookimpl
from featx_usearch.config import Params

__all__ = ["featx_indexes"]


@hookimpl
def featx_indexes() -> list[IndexSpec]:
    """Return the index ``usearch``."""
    return [
        IndexSpec(
            name="usearch",
            summary="Searches a layered graph of neighbours; a saved index is memory-mapped.",
            version="1",
            factory="featx_usearch.index:USearch",
            params=Params,
            api=API_VERSION,
            licence="MIT",
            reference=(
                "Malkov, Yashunin. Efficient and robust approximate nearest neighbor search using "
                "hierarchical navigable small world graphs. IEEE TPAMI 2020, arXiv:1603.09320"
            ),
        )
    ]
