"""Trained weights: safetensors files with their configuration inside, in a cache folder.

No pickle is read anywhere. Importers turn other people's formats into ours once; everything that
extracts reads safetensors only.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
