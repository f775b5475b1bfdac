"""Benchmarks for featx: music rendered with exact labels, evaluation protocols and reports."""

from __future__ import annotations

__all__: list[str] = []
