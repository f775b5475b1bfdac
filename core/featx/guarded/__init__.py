"""One supervised child process with limits, for everything that may crash, hang or grow."""

from __future__ import annotations

from featx.guarded.messages import Answer, Channel, Request
from featx.guarded.process import Child, ChildDiedError

__all__ = ["Answer", "Channel", "Child", "ChildDiedError", "Request"]
