"""Training: manifests and stores in, checkpoints out; the loop that all methods share.

Names are resolved on first use: listing plugins and their options needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
