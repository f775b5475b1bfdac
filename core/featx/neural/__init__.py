"""What neural extractors share: segments, fixed batches, stitched frames, and seeded weights.

Names are resolved on first use: descriptions need no numpy. torch is imported inside functions
only.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
