"""Data sets for segmentation, opened as KIND:PATH, and how samples of them reach a network."""

from archdsl.training.data.registry import open_data, register
from archdsl.training.data.sample import VOID, DataSet, Sample, Source

__all__ = ["VOID", "DataSet", "Sample", "Source", "open_data", "register"]
