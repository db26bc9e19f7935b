"""Dilation rates as differentiable parameters."""
