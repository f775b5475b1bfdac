"""Parameters of the indexes."""

from __future__ import annotations

from featx import param, params_class


@params_class
class IVFParams:
    """Parameters of ``faiss-ivf``."""

    cells: int = param(0, "Cells; 0 takes four times the root of the number of tracks.", ge=0)
    probes: int = param(64, "Cells that are searched for a query, > 0.", gt=0)


@params_class
class HNSWParams:
    """Parameters of ``faiss-hnsw``."""

    links: int = param(32, "Neighbours of a node in the graph, > 1.", gt=1)
    ef_build: int = param(80, "Candidates held while a node is linked, > 0.", gt=0)
    ef_search: int = param(128, "Candidates held while searching, > 0; more find more.", gt=0)
    threads: int = param(
        1, "Threads that build the graph, > 0; with several, two builds may differ.", gt=0
    )


@params_class
class PQParams:
    """Parameters of ``faiss-pq``."""

    code_bytes: int = param(32, "Bytes per track that are compared first, > 0.", gt=0)
    rerank: int = param(20, "Candidates per neighbour that are compared exactly, > 0.", gt=0)
