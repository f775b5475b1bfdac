"""A loss for featx. This module only describes; nothing heavy is imported here."""

from __future__ import annotations

from featx import API_VERSION, LossSpec, hookimpl

from featx_example_name.config import ExampleNameParams

__all__ = ["featx_losses"]


@hookimpl
def featx_losses() -> list[LossSpec]:
    """Return the loss ``example-name``."""
    return [
        LossSpec(
            name="example-name",
            summary="Hinge loss on the cosines of triplets, mean over all",
            version="1",
            factory="featx_example_name.loss:ExampleName",
            inputs="triplet",
            many_negatives=True,
            api=API_VERSION,
            params=ExampleNameParams,
            licence="MIT",
        )
    ]
