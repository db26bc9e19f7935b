"""Scores of segmentation: confusion, intersection over union, accuracy, boundary F1."""

from archdsl.training.metrics.boundary import BoundaryScore
from archdsl.training.metrics.confusion import Confusion

__all__ = ["BoundaryScore", "Confusion"]
