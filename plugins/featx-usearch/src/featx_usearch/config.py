"""Parameters of the index."""

from __future__ import annotations

from featx import param, params_class


@params_class
class Params:
    """Parameters of ``usearch``."""

    links: int = param(32, "Number of neighbours of a node in the graph, > 1.", gt=1)
    ef_build: int = param(128, "Number of candidates when a node is added, > 0.", gt=0)
    ef_search: int = param(
        128, "Number of candidates in a search, > 0; more give a higher recall.", gt=0
    )
    threads: int = param(
        1, "Number of threads that build the graph, > 0; with several, two builds may differ.", gt=0
    )
