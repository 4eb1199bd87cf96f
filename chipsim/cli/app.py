"""The commands by name. Each module below imports what it needs when a command runs, so that help stays quick."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from . import bench as cli_bench
from . import chips as cli_chips
from . import convert as cli_convert
from . import demo as cli_demo
from . import inspect as cli_inspect
from . import learn as cli_learn
from . import run as cli_run
from . import sweep as cli_sweep

app = typer.Typer(
    name="chipsim",
    help="A neuromorphic chip on a laptop: map a spiking network onto a chip, run it bit for bit, see what it costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from chipsim import __version__

        typer.echo(f"chipsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of all commands."""
    from chipsim.errors import ChipsimWarning

    warnings.filterwarnings("ignore", category=ChipsimWarning)  # commands print what a program says of itself


app.command("demo")(cli_demo.demo)
app.command("chips")(cli_chips.chips)
app.command("map")(cli_run.map_network)
app.command("run")(cli_run.run)
app.command("report")(cli_run.report)
app.command("convert")(cli_convert.convert)
app.command("inspect")(cli_inspect.inspect)
app.command("learn")(cli_learn.learn)
app.command("sweep")(cli_sweep.sweep)
app.command("bench")(cli_bench.bench)
