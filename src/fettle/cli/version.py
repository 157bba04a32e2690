"""``fettle version``."""

import typer

from fettle import __version__
from fettle.cli.output import AsJson, show

app = typer.Typer()


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    show({"version": __version__}, as_json=as_json, text=f"fettle {__version__}")
