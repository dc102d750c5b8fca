"""What the user writes: task, data, model, budget, target, steps."""

from lighten.recipe.read import parse_recipe, read_recipe, recipe_json_schema
from lighten.recipe.schema import Budget, Data, Recipe, Search, Target

__all__ = ["Budget", "Data", "Recipe", "Search", "Target", "parse_recipe", "read_recipe", "recipe_json_schema"]
