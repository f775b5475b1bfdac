"""Level in dB for featx. This module only describes; nothing heavy is imported here."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, hookimpl

from featx_example_name.config import ExampleNameParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``example-name``."""
    return [
        ExtractorSpec(
            name="example-name",
            summary="Level in dB: RMS per frame, and statistics per track",
            version="1",
            factory="featx_example_name.extractor:ExampleName",
            resolve="featx_example_name.config:resolve",
            api=API_VERSION,
            params=ExampleNameParams,
            short_input=(
                "Silence has the level floor_db; input shorter than a frame gives one frame, "
                "padded with zeros."
            ),
            licence="MIT",
        )
    ]
