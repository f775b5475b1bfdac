"""Parameters of the index."""

from __future__ import annotations

from featx import param, params_class


@params_class
class ExampleNameParams:
    """Parameters of the index."""

    n_cells: int = param(
        0, "Number of cells; 0 takes the square root of the number of tracks.", ge=0
    )
    n_probe: int = param(12, "Cells that are looked into for a query.", ge=1)
