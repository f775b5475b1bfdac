"""The numba kernels. Arrays in, arrays out; callers allocate.

`kernel` and `part` are the decorators that plugins use for kernels of their own.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
