"""Beats, downbeats and tempo for featx."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, MethodSpec, WeightsSpec, hookimpl
from featx_beat.config import BeatsParams, BeatTrainingParams, OnsetBeatsParams

__all__ = ["featx_extractors"]

_METHOD = MethodSpec(
    name="beats",
    summary="Beats and downbeats of every frame, binary cross-entropy",
    factory="featx_beat.method:BeatMethod",
    params=BeatTrainingParams,
    defaults={
        "steps": 2400,
        "batch_size": 8,
        "optimizer": "adam",
        "lr": 0.003,
        "lr_decay": 0.001,
        "schedule": "constant",
        "split_by": "song",
        "validate_every": 400,
        "clip_norm": 1.0,
        "augment_gain_db": (-20.0, 6.0),
        "augment_eq_db": 4.0,
        "augment_noise_db": (10.0, 60.0),
        "augment_band_limit": 0.3,
        "augment_band_masks": 1,
        "augment_band_shift": 2,
        "augment_share": 0.5,
    },
    reference=(
        "Davies, Böck. Temporal convolutional networks for musical audio beat tracking. EUSIPCO "
        "2019"
    ),
)


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractors ``beats`` and ``onset-beats``."""
    return [
        ExtractorSpec(
            name="beats",
            summary="Beats, downbeats and tempo, by a network and a bar pointer model",
            version="1",
            factory="featx_beat.extractor:BeatsExtractor",
            resolve="featx_beat.config:resolve",
            api=API_VERSION,
            params=BeatsParams,
            weights=WeightsSpec(
                name="beats",
                licence="CC BY 4.0; MIT for model=tcn",
                converter="featx_beat.convert:beatnet",
                source=(
                    "model_1_weights.pt from "
                    "https://github.com/mjhydri/BeatNet/tree/main/src/BeatNet/models"
                ),
                resource="featx_beat:weights/{model}.safetensors",
            ),
            short_input="Silence, noise and input with less than two beats have no beats.",
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT; weights CC BY 4.0",
            reference=(
                "Heydari, Cwitkowitz, Duan. BeatNet: CRNN and particle filtering for online joint "
                "beat, downbeat and meter tracking. ISMIR 2021, arXiv:2108.03576. Böck, Krebs, "
                "Widmer. Joint beat and downbeat tracking with recurrent neural networks. ISMIR "
                "2016"
            ),
            methods=(_METHOD,),
        ),
        ExtractorSpec(
            name="onset-beats",
            summary="Beats and tempo from onset strength alone, without weights",
            version="1",
            factory="featx_beat.onset_beats:OnsetBeats",
            resolve="featx_beat.config:resolve_onset",
            api=API_VERSION,
            params=OnsetBeatsParams,
            short_input="Silence, noise and input without a rhythm have no beats.",
            tolerance=1e-5,
            licence="MIT",
            reference=(
                "Ellis. Beat tracking by dynamic programming. Journal of New Music Research 2007. "
                "Krebs, Böck, Widmer. An efficient state-space model for joint tempo and meter "
                "tracking. ISMIR 2015"
            ),
        ),
    ]
