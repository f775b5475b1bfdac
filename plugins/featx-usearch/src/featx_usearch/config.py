"""Parameters of the index."""

from __future__ import annotations

from featx import param, params_class


@params_class
class Params:
    """Parameters of ``usearch``."""

    links: int = param(32, "Neighbours of a node in the graph, > 1.", gt=1)
    ef_build: int = param(128, "Candidates held while a node is linked, > 0.", gt=0)
    ef_search: int = param(128, "Candidates held while searching, > 0; more find more.", gt=0)
    threads: int = param(
        1, "Threads that build the graph, > 0; with several, two builds may differ.", gt=0
    )
