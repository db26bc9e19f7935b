"""Losses of segmentation. Each takes logits [N, K, H, W] and labels [N, H, W], and may be used alone."""

from archdsl.training.losses.criterion import Criterion
from archdsl.training.losses.overlap import dice, lovasz
from archdsl.training.losses.pixelwise import cross_entropy, focal, ohem
from archdsl.training.losses.weights import enet_weights, inverse_weights

__all__ = ["Criterion", "cross_entropy", "dice", "enet_weights", "focal", "inverse_weights", "lovasz", "ohem"]
