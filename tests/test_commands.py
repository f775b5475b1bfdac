"""The public toolkit of commands, and the command plugin of docs/hooks.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fake_plugins import install

import featx.commands
from featx.cli import main
from featx.commands import (
    CommandGroup,
    Session,
    echo_table,
    exit_code,
    meter,
    one_output,
    output_option,
    parse_mapping,
    parse_pairs,
    parse_size,
    parse_weights,
    printable,
    progress,
    split_names,
)
from featx.errors import AudioError, ParameterError, StoreError, TrainingError

HOOKS = Path(__file__).parents[1] / "docs" / "hooks.md"


def test_every_public_name_exists():
    assert [name for name in featx.commands.__all__ if not hasattr(featx.commands, name)] == []


# ------------------------------------------------------------------------------- the example
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Install the plugin as docs/hooks.md writes it."""
    folder = tmp_path_factory.mktemp("site")
    text = HOOKS.read_text(encoding="utf-8")
    (source,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if "src/featx_rank" in block
    ]
    install(folder, "rank", source, distribution="featx-rank", group="featx.commands")
    entries = next(folder.glob("*.dist-info")) / "entry_points.txt"
    entries.write_text(f"{entries.read_text().rstrip()}:command\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    import numpy as np
    import soundfile

    import featx

    folder = tmp_path_factory.mktemp("music")
    for hertz in (200, 2000, 600):
        tone = 0.5 * np.sin(2 * np.pi * hertz / 22050 * np.arange(22050))
        soundfile.write(folder / f"{hertz}.wav", tone, 22050)
    words = ("run", "-p", "spectral", folder, "-o", folder / "store", "-j", "1")
    subprocess.run([sys.executable, "-m", "featx.cli", *map(str, words)], check=True)
    assert featx.open_store(folder / "store")["spectral"]["summary"].ids
    return folder / "store"


def rank(site: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "featx.cli", "rank", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_example_command_lists_tracks(site, store):
    done = rank(site, store, "spectral.summary", "centroid_mean", "-n", "2")
    assert done.returncode == 0, done.stderr
    heading, *rows, last = done.stdout.splitlines()
    assert heading.split() == ["track", "centroid_mean"]
    assert [row.split()[0] for row in rows] == ["2000.wav", "600.wav"]
    assert last == "2 tracks of 3"


def test_example_command_writes_json(site, store):
    done = rank(site, store, "spectral.summary", "centroid_mean", "--json")
    assert [item["track"] for item in json.loads(done.stdout)] == [
        "2000.wav",
        "600.wav",
        "200.wav",
    ]


def test_example_command_refuses_in_one_line(site, store):
    done = rank(site, store, "spectral.summary", "loudness")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: column must be one of")
    assert len(done.stderr.splitlines()) == 1


# ------------------------------------------------------------------------------- groups
def test_group_takes_subcommands_of_plugins(tmp_path, monkeypatch):
    source = "import click\n@click.command()\ndef command(): click.echo('found')"
    install(tmp_path, "pictures.extra", source, group="featx.commands", distribution="dummy-x")
    (module,) = tmp_path.glob("*.py")
    module.rename(tmp_path / "dummy_x_module.py")
    entries = next(tmp_path.glob("*.dist-info")) / "entry_points.txt"
    entries.write_text("[featx.commands]\npictures.extra = dummy_x_module:command\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    group = CommandGroup("pictures", table={}, prefix="pictures.")
    assert "extra" in group.list_commands(click.Context(group))
    assert "From dummy-x 1.0." in CliRunner().invoke(group, ["--help"]).output
    assert CliRunner().invoke(group, ["extra"]).output == "found\n"
    assert CliRunner().invoke(group, ["dummy-x:extra"]).output == "found\n"
    assert CliRunner().invoke(group, ["bench"]).exit_code == 2  # a command of the root group


# ------------------------------------------------------------------------------- options
def test_pairs_are_split_at_the_first_equals_sign():
    assert parse_pairs("--where", ["a=b=c", "a=d"]) == [("a", "b=c"), ("a", "d")]
    assert parse_mapping("--set", ["a=1", "b=2", "a=1"]) == {"a": "1", "b": "2"}
    with pytest.raises(ParameterError, match=r"--set must give a once, got '1' and '2'"):
        parse_mapping("--set", ["a=1", "a=2"])


@pytest.mark.parametrize("text", ["a", "=b", "a="])
def test_pairs_need_name_and_value(text):
    with pytest.raises(ParameterError, match="--where must look like name=value"):
        parse_pairs("--where", [text])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), (["w"], "w"), (["a=w", "b=v"], {"a": "w", "b": "v"})],
)
def test_weights_are_one_path_or_one_for_each_extractor(values, expected):
    assert parse_weights(values) == expected


@pytest.mark.parametrize("values", [["w", "v"], ["w", "a=v"]])
def test_weights_refuse_a_bare_path_beside_others(values):
    with pytest.raises(ParameterError, match="--weights must be one path"):
        parse_weights(values)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10", 10), ("2K", 2048), ("1.5 MiB", 3 * 2**19), ("2g", 2**31), ("1TB", 2**40)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "2X", "1 2"])
def test_sizes_refuse(text):
    with pytest.raises(click.BadParameter, match="is not a size"):
        parse_size(text)


def test_names_are_split_at_commas_once_each(tmp_path):
    context = click.Context(click.Command("x"))
    option = click.Option(["-f", "--features"])
    script = tmp_path / "a, b.py"
    script.touch()
    names = ["a, b", f"{script}:Mean", "b,c"]
    assert split_names(context, option, names) == ("a", "b", f"{script}:Mean", "c")
    with pytest.raises(ParameterError, match="--features must be names"):
        split_names(context, option, ["a,,b"])


#: Repeatable options whose values may hold commas: paths, patterns, ids, labels, settings.
WITH_COMMAS = {
    *("--events", "--exclude", "--expect", "--from", "--pip", "--query-where", "--real-under"),
    *("--set", "--soundfont", "--test-soundfont", "--track", "--weights", "--where", "--with"),
}


def repeatable_options(group, context):
    """Yield the repeatable options of all commands of a group."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from repeatable_options(command, context)
        yield from (item for item in command.params if getattr(item, "multiple", False))


def test_repeatable_options_take_names_between_commas():
    options = [*repeatable_options(main, click.Context(main))]
    split = [item for item in options if not WITH_COMMAS & set(item.opts)]
    assert {"--plugin", "--features", "--spectrogram"} <= {name for o in split for name in o.opts}
    for option in split:
        context = click.Context(click.Command("x"), obj=Session())
        value = option.process_value(context, ["a.b,c.d"])
        assert value == ("a.b", "c.d") or context.obj.disabled == ["a.b", "c.d"], option


@pytest.mark.parametrize(
    ("words", "written"), [(["x"], "x"), (["-o", "y"], "y"), ([], ""), (["x", "-o", "y"], "")]
)
def test_output_is_given_once(words, written):
    @click.command()
    @output_option(dir_okay=False, help="Where.")
    def command(out: Path | None, output: Path | None) -> None:
        click.echo(one_output(out, output), nl=False)

    done = CliRunner().invoke(command, words)
    assert done.exit_code == (0 if written else 2)
    assert done.stdout == written


# ------------------------------------------------------------------------------- output
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("x"), 2),
        (AudioError("empty", "x"), 3),
        (TrainingError("x"), 3),
        (StoreError("x"), 4),
    ],
)
def test_errors_have_exit_codes(error, code):
    assert exit_code(error) == code


def test_tables_spell_control_characters_out(capsys):
    echo_table(("name",), [("a\x1b[31mb\n",)])
    assert capsys.readouterr().out.splitlines()[1] == r"a\x1b[31mb\n"
    assert printable("caf\u00e9 \udcff") == r"café \udcff"


def test_meter_ends_also_after_an_error(monkeypatch):
    states = []

    class Recorder:
        def begin(self, total, done=0):
            states.append(("begin", total))

        def update(self, done, detail=""):
            states.append(("update", done))

        def end(self):
            states.append(("end",))

    monkeypatch.setattr("featx.progress.choose_meter", lambda unit: Recorder())

    def fail():
        with meter("steps", 3) as shown:
            shown.update(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with progress("files") as advance:
        advance(1, 2)
        advance(2, 2)
    assert states == [
        ("begin", 3), ("update", 1), ("end",),
        ("begin", 2), ("update", 1), ("update", 2), ("end",),
    ]  # fmt: skip
