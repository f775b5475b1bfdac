"""``python -m featx.cli``, for environments without the console script."""

from __future__ import annotations

from featx.cli import run

run()
