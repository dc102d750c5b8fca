"""What the user writes: task, data, model, budget, target, steps, training."""

from lighten.recipe.generate import Generate
from lighten.recipe.parallel import Parallel
from lighten.recipe.read import parse_recipe, read_recipe, recipe_json_schema
from lighten.recipe.schema import Budget, Data, Recipe, Search, Target
from lighten.recipe.task import check_buildable
from lighten.recipe.train import Lora, Train

__all__ = [
    "Budget",
    "Data",
    "Generate",
    "Lora",
    "Parallel",
    "Recipe",
    "Search",
    "Target",
    "Train",
    "check_buildable",
    "parse_recipe",
    "read_recipe",
    "recipe_json_schema",
]
