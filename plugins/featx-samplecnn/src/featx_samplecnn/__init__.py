"""SampleCNN for featx: tags and embeddings from the raw waveform."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_samplecnn.mlms_params import MLMSParams
from featx_samplecnn.params import SampleCNNParams
from featx_samplecnn.training_params import METHODS

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractors ``samplecnn`` and ``mlms``."""
    return [
        ExtractorSpec(
            name="samplecnn",
            summary="Tags and embeddings from the raw waveform (m^n-SampleCNN family)",
            version="1",
            factory="featx_samplecnn.extractor:SampleCNNExtractor",
            resolve="featx_samplecnn.params:resolve",
            api=API_VERSION,
            params=SampleCNNParams,
            weights=WeightsSpec(
                name="samplecnn",
                licence="MIT",
                converter="featx_samplecnn.convert:checkpoint",
                source=(
                    "checkpoint.pth of SampleCNN or SampleCNNSE from "
                    "https://github.com/minzwon/sota-music-tagging-models, Keras weights (.h5) of "
                    "https://github.com/tae-jun/resemul, or samplecnn.safetensors of featx train"
                ),
                resource="featx_samplecnn:weights/{model}.safetensors",
                required=False,
            ),
            short_input=(
                "Input shorter than one segment is repeated to fill it; silence is an input like "
                "any other."
            ),
            tolerance=1e-5,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Lee, Park, Kim, Nam. Sample-level deep convolutional neural networks for music "
                "auto-tagging using raw waveforms. SMC 2017, arXiv:1703.01789"
            ),
            methods=METHODS,
        ),
        ExtractorSpec(
            name="mlms",
            summary="Multi-level multi-scale feature of several networks of samplecnn",
            version="1",
            factory="featx_samplecnn.mlms:MLMSExtractor",
            resolve="featx_samplecnn.mlms_params:resolve",
            api=API_VERSION,
            params=MLMSParams,
            weights=WeightsSpec(
                name="mlms",
                licence="that of the checkpoints",
                converter="featx_samplecnn.mlms:bundle",
                source='members.json, an object of labels and checkpoints: {"3^9": "ckpt39/"}',
            ),
            short_input=(
                "Input shorter than one segment of a network is repeated to fill it; silence is "
                "an input like any other."
            ),
            tolerance=1e-5,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Lee, Nam. Multi-level and multi-scale feature aggregation using pretrained "
                "convolutional neural networks for music auto-tagging. IEEE Signal Processing "
                "Letters 2017"
            ),
        ),
    ]
