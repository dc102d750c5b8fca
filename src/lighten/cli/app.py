"""The verbs together. What a verb needs is imported when it runs, so that ``--help`` stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from lighten import __version__
from lighten.cli.audit import audit
from lighten.cli.build import build
from lighten.cli.compare_attention import compare_attention
from lighten.cli.compress import compress
from lighten.cli.explain import explain
from lighten.cli.extend import extend
from lighten.cli.plan import plan
from lighten.cli.predict import predict
from lighten.cli.prepare import prepare
from lighten.cli.report import report
from lighten.cli.schema import schema
from lighten.cli.train import train
from lighten.cli.verify import verify

app = typer.Typer(
    name="lighten",
    help="Give it your data, a language model and a budget. It returns the best model that fits, the proof that it "
    "does, and a folder that is ready to deploy.",
    epilog="Exit status: 0 done and within budget; 1 internal error; 2 bad usage, recipe or input; 3 infeasible; "
    "130 interrupted, run the same command to go on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs a tenth of a second and does not pipe well
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    build,
    compress,
    train,
    prepare,
    audit,
    compare_attention,
    explain,
    extend,
    plan,
    predict,
    report,
    verify,
    schema,
):
    app.command()(verb)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"lighten {__version__}")


def _version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that come before a verb."""
