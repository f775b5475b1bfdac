"""Nearest neighbours of what a store holds, through exact search or any index of a plugin."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
