"""``python -m featx_bench.render``: the same as ``featx bench render``."""

import sys

import click

from featx.errors import FeatxError
from featx_bench.render.command import command

if __name__ == "__main__":
    try:
        command(prog_name="python -m featx_bench.render")
    except FeatxError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
