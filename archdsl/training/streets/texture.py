"""Noise, as arrays that repeat or that cover a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]


def grain(generator: np.random.Generator, height: int, width: int) -> Floats:
    """Noise by the pixel, [H,W], from -1 to 1 with most of it near 0."""
    size = height * width
    words = np.frombuffer(generator.bytes(2 * size), np.uint8).reshape(2, height, width)
    return (words[0].astype(np.float32) - words[1]) / np.float32(255)


def clumps(generator: np.random.Generator, height: int, width: int, cells: tuple[int, int]) -> Floats:
    """Smooth noise [H,W] from -1 to 1, with `cells` bumps down and across the picture."""
    down, across = cells
    small = np.frombuffer(generator.bytes(down * across), np.uint8).reshape(down, across)
    large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32) / np.float32(127.5) - np.float32(1)


def tile(generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Two textures [128,128] from -1 to 1 that repeat without a seam: fine grain, and soft patches."""
    fine = grain(generator, 128, 128)
    coarse = fine.reshape(16, 8, 16, 8).mean(axis=(1, 3)) * 4
    patches: Floats = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
    for axis in (0, 1):
        patches = np.stack([np.roll(patches, shift, axis) for shift in range(-4, 4)]).mean(axis=0, dtype=np.float32)
    return fine, patches
