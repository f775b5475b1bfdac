"""Time-frequency representations: named presets, filter banks, and what computes them.

Presets and geometry are plain values and arithmetic; numpy and numba load with the first
computation, so that listing and planning stay light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
