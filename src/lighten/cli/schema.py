"""``lighten schema recipe|result|training|compression``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lighten.cli.guard import guarded


class Kind(StrEnum):
    """What there is a schema of."""

    recipe = "recipe"
    result = "result"
    training = "training"
    compression = "compression"


def schema(kind: Annotated[Kind, typer.Argument(help="What to describe.")]) -> None:
    """Print the JSON Schema of a recipe (for editors), or of the result.json of a build, a training, a compression."""
    with guarded():
        import json

        if kind is Kind.recipe:
            from lighten.recipe import recipe_json_schema as make
        elif kind is Kind.training:
            from lighten.pipeline.training_result import training_json_schema as make
        elif kind is Kind.compression:
            from lighten.pipeline.compression_result import compression_json_schema as make
        else:
            from lighten.pipeline.result import result_json_schema as make
        typer.echo(json.dumps(make(), indent=2))
