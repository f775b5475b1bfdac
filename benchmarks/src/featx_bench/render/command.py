"""``featx bench render``."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import counted, echo_json, json_option, progress, split_names


@click.command("render")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--midi",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of songs in the format of POP909.",
)
@click.option("--artists", type=click.IntRange(0), default=40, show_default=True)
@click.option("--valid-artists", type=click.IntRange(0), default=5, show_default=True)
@click.option("--test-artists", type=click.IntRange(0), default=10, show_default=True)
@click.option("--songs-per-artist", type=click.IntRange(1), default=10, show_default=True)
@click.option("--albums", type=click.IntRange(1), default=2, show_default=True, help="Per artist.")
@click.option("--duration", type=float, default=30.0, show_default=True, help="Seconds.")
@click.option("--sr", type=int, default=22050, show_default=True, help="Rate in Hz.")
@click.option("--channels", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option(
    "--format", "format_", type=click.Choice(["ogg", "flac"]), default="ogg", show_default=True
)
@click.option(
    "--parts",
    multiple=True,
    callback=split_names,
    default=["lead,second,comp,bass,drums"],
    show_default=True,
    help="Parts that play; 'lead' alone gives solo lines.",
)
@click.option(
    "--rhythms",
    type=click.Choice(["plain", "varied"]),
    default="plain",
    show_default=True,
    help="plain: even 4/4 with the groove of the album; varied: random metre, groove and timing "
    "for every track.",
)
@click.option(
    "--soundfont",
    "soundfonts",
    multiple=True,
    default=["FluidR3_GM.sf2"],
    show_default=True,
    help="Sound font for training and validation: a path, or a name in the system's folders. May "
    "be repeated.",
)
@click.option(
    "--test-soundfont",
    "test_soundfonts",
    multiple=True,
    default=["TimGM6mb.sf2"],
    show_default=True,
    help="Sound font for the test split. May be repeated.",
)
@click.option(
    "--real",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Manifest of real recordings to add.",
)
@click.option(
    "--real-under", multiple=True, metavar="PREFIX", help="Only paths of --real with this prefix."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@json_option
def command(
    out: Path,
    midi: Path,
    artists: int,
    valid_artists: int,
    test_artists: int,
    songs_per_artist: int,
    albums: int,
    duration: float,
    sr: int,
    channels: int,
    format_: str,
    parts: tuple[str, ...],
    rhythms: str,
    soundfonts: tuple[str, ...],
    test_soundfonts: tuple[str, ...],
    real: Path | None,
    real_under: tuple[str, ...],
    seed: int,
    workers: int,
    as_json: bool,
) -> None:
    """Render MIDI songs into OUT as labelled music of virtual artists.

    Run it again to resume after an interruption, or to add artists.
    """
    from featx_bench.render.planning import RenderOptions
    from featx_bench.render.running import render

    options = RenderOptions(
        artists=(artists, valid_artists, test_artists),
        songs_per_artist=songs_per_artist,
        albums=albums,
        seed=seed,
        duration=duration,
        sr=sr,
        channels=channels,
        format=format_,
        parts=parts,
        soundfonts=soundfonts,
        test_soundfonts=test_soundfonts,
        rhythms=rhythms,
    )
    with progress("tracks") as advance:
        done = render(
            out, midi, options, workers=workers, real=real, real_under=real_under, progress=advance
        )
    if as_json:
        echo_json(
            {
                "manifest": str(done.manifest),
                "rendered": done.rendered,
                "found": done.found,
                "real": done.real,
                "seconds": round(done.seconds, 3),
            }
        )
        return
    each = f" ({done.seconds / done.rendered:.2f} s each)" if done.rendered else ""
    also = f", {counted(done.real, 'real recording')} listed" if done.real else ""
    click.echo(
        f"{counted(done.rendered, 'track')} rendered in {done.seconds:.1f} s{each}, {done.found} "
        f"rendered before{also}: {done.manifest}"
    )
