"""Names of the classes of the published classifiers."""

from __future__ import annotations

#: Order of the columns of ``tags``: the 50 most frequent tags of MagnaTagATune.
TAGS: tuple[str, ...] = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "noVocals", "harpsichord", "loud", "quiet", "flute", "woman", "maleVocal",
    "noVocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice", "newAge",
    "dance", "maleVoice", "femaleVocal", "beats", "harp", "cello", "noVoice", "weird", "country",
    "femaleVoice", "metal", "choral",
)  # fmt: skip
