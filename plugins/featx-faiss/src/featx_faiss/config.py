"""Parameters of the indexes."""

from __future__ import annotations

from featx import param, params_class


@params_class
class IVFParams:
    """Parameters of ``faiss-ivf``."""

    cells: int = param(
        0, "Number of cells; 0 for four times the square root of the number of tracks.", ge=0
    )
    probes: int = param(64, "Number of cells that are searched for a query, > 0.", gt=0)


@params_class
class HNSWParams:
    """Parameters of ``faiss-hnsw``."""

    links: int = param(32, "Number of neighbours of a node in the graph, > 1.", gt=1)
    ef_build: int = param(80, "Number of candidates when a node is added, > 0.", gt=0)
    ef_search: int = param(
        128, "Number of candidates in a search, > 0; more give a higher recall.", gt=0
    )
    threads: int = param(
        1, "Number of threads that build the graph, > 0; with several, two builds may differ.", gt=0
    )


@params_class
class PQParams:
    """Parameters of ``faiss-pq``."""

    code_bytes: int = param(
        0,
        "Bytes per track that are compared first; 0 for an eighth of the dimension, at least 32.",
        ge=0,
    )
    rerank: int = param(
        20, "Number of candidates per neighbour that are compared exactly, > 0.", gt=0
    )
