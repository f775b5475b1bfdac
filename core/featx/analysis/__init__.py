"""What several analysers need: onset strength, pitch, separation, and best paths.

On top of the front end and its kernels; arrays in, arrays out, time first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
