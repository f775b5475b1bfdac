"""One supervised child process with limits, for everything that may crash, hang or grow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
