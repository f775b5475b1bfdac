"""The version of featx, and of nothing else."""

__version__ = "0.1.0"
