"""For people who write plugins: music with known truth, test signals, and the conformance kit.

Names are resolved on first use, like those of `featx` itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
