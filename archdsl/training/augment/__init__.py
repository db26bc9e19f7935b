"""Augmentation: planned per sample from random numbers, carried out on batches, on any device."""

from archdsl.training.augment.batch import augment
from archdsl.training.augment.plan import Plan, Planner
from archdsl.training.augment.warp import warp

__all__ = ["Plan", "Planner", "augment", "warp"]
