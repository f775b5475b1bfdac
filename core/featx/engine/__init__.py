"""The engine: from inputs to a store, through supervised child processes.

Plan and run share one plan; shards of tracks are handed to any `concurrent.futures.Executor`;
everything that may crash happens in a child process that says which track it holds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
