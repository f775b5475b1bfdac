"""``featx plot``: pictures by name; what is none of their names is a recording."""

from __future__ import annotations

import click

from featx.commands import CommandGroup

#: picture -> (module, one-line help)
_TABLE = {
    "recording": ("featx_plot.recording", "A recording with features and events (the default)."),
    "map": ("featx_plot.map_command", "The tracks of a store as points of a plane."),
}


class PlotGroup(CommandGroup):
    """Pictures by name; entry points of plugins called ``plot.NAME`` are among them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what does not begin with the name of a picture as a recording."""
        if args and args[0] not in ("-h", "--help", *self.list_commands(ctx)):
            args = ["recording", *args]
        return super().parse_args(ctx, args)


@click.group("plot", cls=PlotGroup, table=_TABLE, prefix="plot.")
def command() -> None:
    """Draw a recording, or another plot by its name.

    \b
    featx plot song.flac
    featx plot map features/ -p mfcc --color artist

    'featx plot recording --help' lists the options of the default.
    """  # noqa: D301  (click reads the backspace)
