"""An index for featx. This module only describes; nothing heavy is imported here."""

from __future__ import annotations

from featx import API_VERSION, IndexSpec, hookimpl

from featx_example_name.config import ExampleNameParams

__all__ = ["featx_indexes"]


@hookimpl
def featx_indexes() -> list[IndexSpec]:
    """Return the index ``example-name``."""
    return [
        IndexSpec(
            name="example-name",
            summary="Cells around random centres; the nearest cells are looked into",
            version="1",
            factory="featx_example_name.index:ExampleName",
            api=API_VERSION,
            params=ExampleNameParams,
            licence="MIT",
        )
    ]
