"""Street scenes drawn from a seed: pictures with labels for training, out of nothing.

They are what `streets` means as a data set. A street is laid out in metres by chance, drawn with a pinhole camera far
to near, and lit by a weather. One cue needs a wide view: road and pavement are paved with the same materials, and
only the kerbs, the markings and what stands around tell which is which.
"""

from archdsl.training.streets.classes import CLASSES, PALETTE, Class
from archdsl.training.streets.scene import Scene, scene

__all__ = ["CLASSES", "PALETTE", "Class", "Scene", "scene"]
