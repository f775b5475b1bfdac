"""The numba kernels and their plain numpy twins. Arrays in, arrays out; callers allocate."""
