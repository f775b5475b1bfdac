"""A network for featx. This module only describes; nothing heavy is imported here."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``example-name``."""
    return [
        ExtractorSpec(
            name="example-name",
            summary="Activation and embedding of a small convolutional network",
            version="1",
            factory="featx_example_name.extractor:ExampleName",
            resolve="featx_example_name.config:resolve",
            api=API_VERSION,
            weights=WeightsSpec(name="example-name", licence="MIT", required=False),
            short_input="The shortest input gives one frame; silence is an input like any other.",
            tolerance=1e-5,
            devices=("cpu", "cuda"),
            licence="MIT",
        )
    ]
