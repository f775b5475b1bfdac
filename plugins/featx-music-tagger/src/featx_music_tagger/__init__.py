"""Music tags for featx by the published models of Choi et al."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_music_tagger.config import MusicTaggerParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``music-tagger``."""
    return [
        ExtractorSpec(
            name="music-tagger",
            summary="50 tags of the Million Song Dataset from log-mel spectrograms",
            version="1",
            factory="featx_music_tagger.extractor:MusicTaggerExtractor",
            resolve="featx_music_tagger.config:resolve",
            api=API_VERSION,
            params=MusicTaggerParams,
            weights=WeightsSpec(
                name="music-tagger",
                licence="MIT",
                slot="model",
                converter="featx_music_tagger.convert:keras_tagger",
                source=(
                    "music_tagger_cnn_weights_tensorflow.h5 or "
                    "music_tagger_crnn_weights_tensorflow.h5 from "
                    "https://github.com/keunwoochoi/music-auto_tagging-keras/tree/master/data"
                ),
            ),
            short_input=(
                "Input shorter than 29.12 s is padded with silence at its end; silence is "
                "processed like other input."
            ),
            tolerance=1e-5,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Choi, Fazekas, Sandler. Automatic tagging using deep convolutional neural "
                "networks. ISMIR 2016, arXiv:1606.00298. Choi, Fazekas, Sandler, Cho. "
                "Convolutional recurrent neural networks for music classification. ICASSP 2017, "
                "arXiv:1609.04243"
            ),
        )
    ]
