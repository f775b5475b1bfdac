"""The root group: turns errors into one line and an exit code, and names what is not installed."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from featx.commands import EXIT_INTERRUPTED, CommandGroup, exit_code
from featx.errors import FeatxError, meant


class RootGroup(CommandGroup):
    """The group behind ``featx``.

    Parameters
    ----------
    packages : mapping of str to (distribution, help)
        Commands that come with other first-party distributions, which may not be installed.
    """

    def __init__(self, *args: Any, packages: Mapping[str, tuple[str, str]], **settings: Any):
        super().__init__(*args, **settings)
        self.packages = packages

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, but say for an unknown command what was probably meant."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            if name in self.packages:
                package, _ = self.packages[name]
                ctx.fail(
                    f"Command {name!r} comes with {package}, which is not installed or is "
                    f"disabled. Run: pip install {package}"
                )
            hint = meant(name, [*self.list_commands(ctx), *self.packages])
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def plugin_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return first-party commands with their help, then others with where they come from."""
        installed = dict(super().plugin_rows(ctx))
        rows = [
            (name, text if name in installed else f"Needs {package}. {text}")
            for name, (package, text) in self.packages.items()
        ]
        return rows + [row for row in installed.items() if row[0] not in self.packages]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; errors end in one line on stderr and an exit code."""
        run = functools.partial(
            super().main, args, prog_name, complete_var, standalone_mode=False, **extra
        )
        if not standalone_mode:
            return run()
        try:
            result: Any = run()
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort as abort:
            interrupt = abort.__cause__
            for note in getattr(interrupt, "__notes__", ["Interrupted."]):
                click.echo(note, err=True)
            sys.exit(EXIT_INTERRUPTED)
        except FeatxError as error:
            _fail(error, args)
        except OSError as error:
            _fail(error, args, said=_of_system(error))
        sys.exit(result if isinstance(result, int) else 0)


def _computed_by(extractor: str, feature: str) -> str:
    """Return how a feature gets into a store, if an installed extractor has such an output."""
    from featx.engine.planning.resolving import resolve_checked
    from featx.registry import load_registry

    with contextlib.suppress(FeatxError):  # a broken plugin is no remedy
        known = load_registry(name=extractor)
        spec = known.extractor(extractor).spec
        if any(item.name == feature for item in resolve_checked(spec, spec.params(), None).outputs):
            name = known.shortest_name(extractor)
            return f" Compute it: featx run -p {name} --features {name}.{feature} -o STORE MUSIC"
    return ""


def _of_system(error: OSError) -> str:
    """Return what the operating system refused, and what helps where no space is left."""
    what = error.strerror or str(error)
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    full = {errno.ENOSPC, errno.EDQUOT}
    if error.errno in full or "temporary directory" in what:
        return f"{place}{what}. Free some space, or set TMPDIR to a folder that has some."
    return f"{place}{what}."


def _fail(error: Exception, args: Sequence[str] | None, *, said: str = "") -> NoReturn:
    words = sys.argv[1:] if args is None else args
    if "--debug" in words or os.environ.get("FEATX_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    else:
        unstored = getattr(error, "unstored", None)
        remedy = _computed_by(*unstored) if unstored else ""
        click.echo(f"Error: {said or error}{remedy}", err=True)
    sys.exit(exit_code(error))
