"""Kernels of our own, each beside the plain PyTorch that says what it computes."""
