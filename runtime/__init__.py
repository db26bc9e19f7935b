"""What a deployed model needs, and nothing more: artifacts, engines, compiled models."""

from archdsl.runtime.engines import ENGINES, Engine, Program, Unavailable, eager, register
from archdsl.runtime.model import CompiledModel, load

__all__ = ["ENGINES", "CompiledModel", "Engine", "Program", "Unavailable", "eager", "load", "register"]
