"""Nearest-neighbour indexes of faiss for featx."""

from __future__ import annotations

from featx import API_VERSION, IndexSpec, hookimpl
from featx_faiss.config import HNSWParams, IVFParams, PQParams

__all__ = ["featx_indexes"]

_REFERENCE = "Douze et al. The Faiss library. arXiv:2401.08281, 2024"


@hookimpl
def featx_indexes() -> list[IndexSpec]:
    """Return the indexes ``faiss-flat``, ``faiss-ivf``, ``faiss-hnsw`` and ``faiss-pq``."""
    return [
        IndexSpec(
            name="faiss-flat",
            summary="Compares a query with every vector in float32, with several threads.",
            version="2",
            factory="featx_faiss.index:Flat",
            api=API_VERSION,
            licence="MIT",
            reference=_REFERENCE,
        ),
        IndexSpec(
            name="faiss-ivf",
            summary="Searches the cells of the collection that are nearest to a query.",
            version="1",
            factory="featx_faiss.index:IVF",
            params=IVFParams,
            api=API_VERSION,
            licence="MIT",
            reference=_REFERENCE,
        ),
        IndexSpec(
            name="faiss-hnsw",
            summary="Searches a layered graph of neighbours.",
            version="1",
            factory="featx_faiss.index:HNSW",
            params=HNSWParams,
            api=API_VERSION,
            licence="MIT",
            reference=(
                "Malkov, Yashunin. Efficient and robust approximate nearest neighbor search using "
                "hierarchical navigable small world graphs. IEEE TPAMI 2020, arXiv:1603.09320"
            ),
        ),
        IndexSpec(
            name="faiss-pq",
            summary="Compares short codes, then the best candidates exactly; needs little memory.",
            version="1",
            factory="featx_faiss.index:PQ",
            params=PQParams,
            api=API_VERSION,
            licence="MIT",
            reference=(
                "Jégou, Douze, Schmid. Product quantization for nearest neighbor search. "
                "IEEE TPAMI 2011"
            ),
        ),
    ]
