"""Parameters of the loss: plain values, no torch."""

from __future__ import annotations

from featx import param, params_class


@params_class
class ExampleNameParams:
    """Parameters of the loss."""

    margin: float = param(0.2, "Margin of the cosine, > 0.", gt=0)
