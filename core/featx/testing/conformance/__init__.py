"""The conformance kit: what an extractor, a loss or an index must do, checked item by item.

The behaviour is checked in child processes, under guards that watch files, network and pickle, so
that a crash is a result and not the end.
"""

from __future__ import annotations
