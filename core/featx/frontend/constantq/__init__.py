"""Constant-Q transforms: filters, tables, and the transform at several rates."""
