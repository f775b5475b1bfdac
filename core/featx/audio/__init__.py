"""Audio files in, waveforms out: decoding with limits, down-mix, resampling, tags, hashes.

libsndfile reads WAV, FLAC, Ogg, MP3, AIFF, AU and CAF; M4A, AAC, WMA and the sound of videos
need the extra ``featx[av]``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
