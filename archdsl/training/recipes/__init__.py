"""How a network is trained, as TOML: a schema, the recipes that ship, and how one is read and overridden."""

from archdsl.training.recipes.read import overridden, read_recipe, recipe_names
from archdsl.training.recipes.schema import Recipe

__all__ = ["Recipe", "overridden", "read_recipe", "recipe_names"]
