"""featx: audio features from plugins, for ten files or ten million.

Everything here is resolved on first use, so that ``import featx`` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
