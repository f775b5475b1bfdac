from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fake_plugins import BROKEN, GOOD, install

import featx
from featx.cli import COMMANDS, main
from featx.cli.root import RootGroup
from featx.commands import parse_settings
from featx.errors import AudioError, ParameterError, PluginError, StoreError, WeightsError

HEAVY = ("numpy", "scipy", "numba", "h5py", "torch", "rich", "soundfile", "soxr")

COMMAND = """
import click

@click.command()
def command():
    "A command of a plugin."
    click.echo("it ran")
"""


def run(*args: str, site: Path | None = None, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "featx.cli", *args],
        env={**os.environ, **({"PYTHONPATH": str(site)} if site else {}), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def modules_after(code: str, site: Path | None = None) -> set[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)",
        ],
        env={**os.environ, **({"PYTHONPATH": str(site)} if site else {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


# ------------------------------------------------------------------------------- light import
CALL = "from featx.cli import main\ntry:\n    main({args!r})\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    "code",
    [
        "import featx",
        "import featx.cli, featx.commands, featx.registry",
        CALL.format(args=["--help"]),
        CALL.format(args=["plugins"]),
    ],
)
def test_command_line_starts_light(tmp_path, code):
    install(tmp_path, "fine", GOOD)
    for how, (source, _) in BROKEN.items():
        install(tmp_path, how, source)
    assert sorted({*HEAVY} & modules_after(code, tmp_path)) == []


def test_help_imports_no_plugin_and_no_pluggy(tmp_path):
    install(tmp_path, "fine", GOOD)
    modules = modules_after(CALL.format(args=["--help"]), tmp_path)
    assert not {"dummy_fine_fine", "pluggy"} & modules


# ------------------------------------------------------------------------------- the root group
def test_help_lists_every_command_with_its_help():
    text = CliRunner().invoke(main, ["--help"]).output
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in text
        assert summary.split(".")[0][:20] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists(name):
    command = main.get_command(click.Context(main), name)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_version_is_told():
    from featx import __version__

    assert CliRunner().invoke(main, ["--version"]).output == f"featx, version {__version__}\n"


def test_unknown_command_suggests_the_nearest():
    done = CliRunner().invoke(main, ["plugin"])
    assert done.exit_code == 2
    assert "Did you mean 'plugins'?" in done.output


# ------------------------------------------------------------------------------- errors
def group_that_raises(error: BaseException) -> RootGroup:
    group = RootGroup("featx", table={}, packages={})

    @group.command("fail")
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("k must be > 0, got 0."), 2),
        (PluginError("unknown"), 2),
        (WeightsError("missing"), 2),
        (AudioError("empty", "no frames"), 3),
        (StoreError("damaged"), 4),
    ],
)
def test_errors_are_one_line_and_an_exit_code(monkeypatch, error, code):
    monkeypatch.delenv("FEATX_DEBUG", raising=False)
    done = CliRunner().invoke(group_that_raises(error), ["fail"])
    assert done.exit_code == code
    assert done.stderr == f"Error: {error}\n"


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("FEATX_DEBUG", "1")
    done = CliRunner().invoke(group_that_raises(PluginError("unknown")), ["fail"])
    assert done.exit_code == 2
    assert "Traceback" in done.stderr


def test_debug_option_shows_the_traceback():
    done = run("--debug", "info", "no-such-extractor")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "Traceback" not in run("info", "no-such-extractor").stderr


def test_other_exceptions_are_not_hidden(monkeypatch):
    done = CliRunner().invoke(group_that_raises(ZeroDivisionError()), ["fail"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_interrupt_ends_with_130(monkeypatch):
    done = CliRunner().invoke(group_that_raises(KeyboardInterrupt()), ["fail"])
    assert done.exit_code == 130
    assert "Interrupted." in done.stderr


def test_interrupt_while_loading_names_the_plugin(tmp_path):
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(30)"
    install(tmp_path, "slow", source)
    done = run("plugins", site=tmp_path)
    assert done.returncode == 130
    assert "--no-plugin slow" in done.stderr


# ------------------------------------------------------------------------------- plugin commands
def test_command_of_a_plugin_is_listed_and_runs(tmp_path):
    install(tmp_path, "extra", COMMAND, group="featx.commands")
    entries = tmp_path / "dummy_extra-1.0.dist-info" / "entry_points.txt"
    entries.write_text(entries.read_text().rstrip() + ":command\n")
    assert "From dummy-extra 1.0." in run("--help", site=tmp_path).stdout
    assert run("extra", site=tmp_path).stdout == "it ran\n"
    assert run("dummy-extra:extra", site=tmp_path).stdout == "it ran\n"
    done = run("--no-plugin", "dummy-extra", "extra", site=tmp_path)
    assert done.returncode == 2


@pytest.mark.parametrize("source", ["import no_such_module", "import sys; sys.exit(1)", "x = 1"])
def test_broken_command_of_a_plugin_breaks_nothing_else(tmp_path, source):
    install(tmp_path, "extra", source, group="featx.commands")
    assert "extra" in run("--help", site=tmp_path).stdout
    assert run("plugins", site=tmp_path).returncode == 0
    done = run("extra", site=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: command 'extra' of dummy-extra 1.0 must be")


def test_two_plugins_with_one_command_name_are_both_named(tmp_path):
    for distribution in ("dummy-a", "dummy-b"):
        install(tmp_path, "extra", COMMAND, group="featx.commands", distribution=distribution)
    done = run("extra", site=tmp_path)
    assert "'dummy-a:extra' and 'dummy-b:extra'" in done.stderr
    assert "From dummy-a 1.0 and dummy-b 1.0." in run("--help", site=tmp_path).stdout


def test_first_party_command_that_is_not_installed_names_its_package():
    done = run("--no-plugin", "featx-bench", "bench", "retrieval")
    assert done.returncode == 2
    assert "Run: pip install featx-bench" in done.stderr
    without = run("--no-plugin", "featx-bench", "--help").stdout
    assert "Needs featx-bench." in " ".join(without.split())
    assert "Needs" not in run("--help").stdout


# ------------------------------------------------------------------------------- completion
def test_shell_completion_script_is_written():
    done = run(_FEATX_COMPLETE="bash_source")
    assert "_featx_completion" in done.stdout


def test_shell_completes_commands_and_extractors(tmp_path):
    install(tmp_path, "dummy-fine", GOOD, distribution="dummy-fine")
    commands = run(_FEATX_COMPLETE="bash_complete", COMP_WORDS="featx plu", COMP_CWORD="1")
    assert commands.stdout == "plain,plugins\n"
    names = run(
        site=tmp_path,
        _FEATX_COMPLETE="bash_complete",
        COMP_WORDS="featx info dummy",
        COMP_CWORD="2",
    )
    assert names.stdout == "plain,dummy-fine\n"


# ------------------------------------------------------------------------------- --set
@pytest.mark.parametrize(
    ("pairs", "extractors", "expected"),
    [
        (["n=1"], ["mfcc"], {"mfcc": {"n": "1"}}),
        (
            ["mfcc.n=1", "chroma.m=a=b"],
            ["mfcc", "chroma"],
            {"mfcc": {"n": "1"}, "chroma": {"m": "a=b"}},
        ),
        (["x:mfcc.n=1"], ["mfcc"], {"mfcc": {"n": "1"}}),
        (["mfcc.n=1"], ["x:mfcc"], {"x:mfcc": {"n": "1"}}),
        (["mfcc.f=0.5"], ["mfcc"], {"mfcc": {"f": "0.5"}}),
        ([], ["mfcc"], {"mfcc": {}}),
    ],
)
def test_settings_go_to_their_extractor(pairs, extractors, expected):
    assert parse_settings(pairs, extractors) == expected


@pytest.mark.parametrize(
    ("pair", "extractors", "message"),
    [
        ("n=1", ["mfcc", "chroma"], "must name the extractor"),
        ("mfcc.n", ["mfcc"], "must look like"),
        ("=1", ["mfcc"], "must look like"),
        ("other.n=1", ["mfcc"], "one of the extractors"),
        ("mfcc.n=1", ["a:mfcc", "b:mfcc"], "one of the extractors"),
    ],
)
def test_settings_refuse(pair, extractors, message):
    with pytest.raises(ParameterError, match=message):
        parse_settings([pair], extractors)


# ------------------------------------------------------------------------------- info
RESOLVE = """
from dataclasses import replace
from fractions import Fraction
from featx import (Column, ExtractorSpec, FeatureSpec, LossSpec, Resolved, WeightsSpec, hookimpl,
                   param)
from featx import params_class

@params_class
class Params:
    n: int = param(13, "Number of things.", ge=1, le=40)
    mode: str = param("a", "Which way.", choices=["a", "b"])
    net: str = param("m-0", 20 * "Long " + "net.", choices=[f"m-{i}" for i in range(42)])
    names: tuple[str, ...] = param((), "What they are called.")

def resolve(params, native_sr):
    frames = FeatureSpec(name="frames", kind="frames", dim=params.n, unit="dB",
                         hop=Fraction(441, 2), frame_length=512, description="What changes.",
                         aspects={"low": (0, 1)})
    beats = FeatureSpec(name="beats", kind="events", columns=(Column("time", "s"),))
    return Resolved(sr=22050, outputs=(frames, beats), front_ends=("fe-artist",))

def read(path):
    import numpy as np
    return {"w": np.frombuffer(path.read_bytes(), dtype=np.uint8)}, {"answer": 42}

@hookimpl
def featx_extractors():
    return [ExtractorSpec(
        name="rich", summary="Much to tell.", version="3", api=1, factory="{module}:Class",
        resolve="{module}:resolve", params=Params, min_duration=0.5, tolerance=1e-5,
        licence="MIT", reference="A paper.", short_input="Zeros.",
        weights=WeightsSpec(name="rich-weights", converter="{module}:read", source="model.bin"),
    )]

@hookimpl
def featx_losses():
    return [LossSpec(name="hinge", summary="A loss.", version="1", api=1, factory="{module}:Class",
                     inputs="triplet")]
"""


@pytest.fixture
def rich(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    install(tmp_path / "site", "dummy-rich", RESOLVE, distribution="dummy-rich")
    return tmp_path / "site"


def test_info_tells_parameters_outputs_and_weights(rich):
    done = run("info", "rich", site=rich)
    assert done.returncode == 0, done.stderr
    for text in (
        "rich: Much to tell.",
        "dummy-rich:rich",
        ">= 1 and <= 40",
        "441/2 samples = 10.00 ms",
        "time (s)",
        "Aspects: low 0:1.",
        "rich-weights (licence not stated), missing. Run: featx weights import rich-weights",
        "0.5 s, shorter tracks are skipped",
        "fe-artist",
        "A paper.",
    ):
        assert text in done.stdout


def test_info_follows_settings(rich):
    told = json.loads(run("info", "rich", "--set", "rich.n=20", "--json", site=rich).stdout)
    assert told["outputs"][0]["dim"] == 20
    assert told["params"][0]["value"] == 20
    assert told["params"][0]["default"] == 13


def test_info_lists_many_values_below_the_table(rich):
    names = [f"name-{i}" for i in range(30)]
    done = run("info", "rich", "--set", f"rich.names={','.join(names)}", site=rich)
    lines = done.stdout.partition("Parameters\n")[2].partition("\nOutputs")[0].splitlines()
    assert max(map(len, lines)) < 120
    table = {line.split()[0]: line for line in lines[: lines.index("")]}
    assert table["net"].endswith("m-0, m-1, m-2, m-3, ... (42 in all)")
    assert "name-0, name-1, name-2, name-3, ... (30 in all)" in table["names"]
    told = " ".join(" ".join(lines[lines.index("") :]).split())
    assert f"net. Allowed: {', '.join(f'm-{i}' for i in range(42))} names:" in told
    assert told.endswith(f"Value: {', '.join(names)}")


@pytest.mark.parametrize("pair", ["n=0", "n=x", "m=1", "mode=c"])
def test_info_refuses_bad_settings(rich, pair):
    done = run("info", "rich", "--set", pair, site=rich)
    assert done.returncode == 2
    assert "must be" in done.stderr


def test_info_knows_losses(rich):
    assert json.loads(run("info", "hinge", "--json", site=rich).stdout)["kind"] == "loss"


# ------------------------------------------------------------------------------- weights
def test_weights_are_imported_listed_and_converted(rich, tmp_path):
    listed = json.loads(run("weights", "list", "--json", site=rich).stdout)
    assert [item["status"] for item in listed if item["name"] == "rich-weights"] == ["missing"]
    source = tmp_path / "model.bin"
    source.write_bytes(b"abc")
    done = run("weights", "import", "rich", str(source), site=rich)
    assert done.returncode == 0, done.stderr
    assert "Licence of the weights rich-weights: not stated by their plugin." in done.stderr
    assert Path(done.stdout.strip()) == tmp_path / "cache" / "weights" / "rich-weights.safetensors"
    listed = json.loads(run("weights", "list", "--json", site=rich).stdout)
    (mine,) = [item for item in listed if item["name"] == "rich-weights"]
    assert (mine["status"], mine["extractors"]) == ("cached", "rich")
    target = tmp_path / "out.safetensors"
    done = run("weights", "convert", "rich-weights", str(source), str(target), site=rich)
    assert done.stdout == f"{mine['sha256']}  {target}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["fetch", "rich-weights"], "cannot be fetched. Run: featx weights import rich-weights"),
        (["fetch", "rich-wights"], "Did you mean 'rich-weights'?"),
        (["fetch"], "Name weights to fetch"),
    ],
)
def test_weights_errors_say_what_to_do(rich, args, message):
    done = run("weights", *args, site=rich)
    assert done.returncode == 2
    assert message in done.stderr


def test_weights_are_fetched_from_a_url(tmp_path, monkeypatch):
    from featx import save_weights

    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    sha256 = save_weights(tmp_path / "w.safetensors", {"x": [1.0, 2.0]}, {})
    url = (tmp_path / "w.safetensors").as_uri()
    weights = f"WeightsSpec(name='far', licence='CC0-1.0', urls=({url!r},), sha256={sha256!r})"
    source = GOOD.replace("import ", "import WeightsSpec, ").replace(
        "api=1", f"api=1, weights={weights}"
    )
    install(tmp_path / "site", "dummy-far", source)
    done = run("weights", "fetch", "dummy-far", site=tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "Licence of the weights far: CC0-1.0." in done.stderr
    assert Path(done.stdout.strip()).read_bytes() == (tmp_path / "w.safetensors").read_bytes()


# --------------------------------------------------------------------- what is installed
def test_plugins_lists_what_has_commands_only(tmp_path):
    install(tmp_path, "fine", GOOD)
    folder = tmp_path / "featx_sings-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: featx-sings\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[featx.commands]\nsing = featx_sings:command\nplot.song = featx_sings:song\n"
    )
    lines = run("plugins", site=tmp_path).stdout.splitlines()
    (row,) = (line for line in lines if line.startswith(" ") and "featx-sings" in line)
    assert row.split() == ["featx-sings", "1.0", "command", "plot", "song,", "sing", "ok"]
    told = json.loads(run("plugins", "--json", site=tmp_path).stdout)
    records = {item["distribution"]: item for item in told}
    assert records["featx-sings"]["commands"] == ["plot song", "sing"]
    assert records["dummy-fine"]["commands"] == []
    off = run("plugins", "--no-plugin", "featx-sings", site=tmp_path).stdout
    assert "featx-sings" not in off


def test_frozen_plugins_are_in_step_with_themselves(tmp_path):
    site = tmp_path / "site"
    install(site, "killer", "import os\nos._exit(9)")
    lock = tmp_path / "plugins.lock"
    lock.write_text(run("plugins", "freeze", site=site).stdout, encoding="utf-8")
    assert f"featx=={featx.__version__}\n" in lock.read_text(encoding="utf-8")
    assert "dummy-killer==1.0\n" in lock.read_text(encoding="utf-8")
    done = run("plugins", "sync", str(lock), site=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert "are installed, and no other plugins" in done.stdout


def test_sync_names_what_is_missing_other_and_extra(tmp_path):
    site = tmp_path / "site"
    for name, version in (("one", "1.0"), ("two", "2.0"), ("three", "3.0")):
        install(site, name, GOOD, version=version)
    lock = tmp_path / "plugins.lock"
    frozen = run("plugins", "freeze", site=site).stdout
    text = frozen.replace("dummy-two==2.0", "Dummy_Two==2.1").replace("dummy-three==3.0", "")
    lock.write_text(f"# ours\n{text}dummy-four==4.0\n", encoding="utf-8")
    done = run("plugins", "sync", str(lock), "--json", site=site)
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert [(item["distribution"], item["state"]) for item in told["differences"]] == [
        ("dummy-four", "missing"),
        ("dummy-three", "extra"),
        ("dummy-two", "other version"),
    ]
    assert told["commands"] == [
        "pip install dummy-four==4.0 dummy-two==2.1",
        "pip uninstall dummy-three",
    ]
    assert "pip install dummy-four==4.0" in run("plugins", "sync", str(lock), site=site).stdout


def test_lock_with_another_line_is_refused(tmp_path):
    lock = tmp_path / "plugins.lock"
    lock.write_text("featx\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["plugins", "sync", str(lock)])
    assert result.exit_code == 2
    assert "line 1 must look like" in result.output


# ------------------------------------------------------------------------------- doctor
def test_doctor_lists_every_package_once():
    from featx.cli.doctor import _dependencies

    for finding in _dependencies():
        names = [told.split()[0] for told in finding.detail.split(", ")]
        assert len(names) == len(set(names)), finding.check


def test_doctor_names_the_plugins_that_kill_block_or_break(tmp_path):
    killers = {
        "exit": ("import os; os._exit(7)", "the process ended itself with exit code 7"),
        "crash": (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "the process died by SIGSEGV",
        ),
        "hang": ("import time; time.sleep(600)", "no answer within 3 s"),
        "misspelt": (BROKEN["misspelt"][0], "BROKEN: misspells a hook"),
        "heavy": ("import numpy\n" + GOOD, "imports numpy when it is listed"),
        "off": ("import os; os._exit(7)", "disabled by --no-plugin"),
    }
    for name, (source, _) in killers.items():
        install(tmp_path, name, source)
    done = run("doctor", "--json", "--timeout", "3", "--no-plugin", "off", site=tmp_path)
    assert done.returncode == 3
    told = {item["check"]: item for item in json.loads(done.stdout)}
    for name, (_, reason) in killers.items():
        finding = told[f"plugin dummy-{name}:{name}"]
        assert reason in finding["detail"]
        assert finding["status"] == ("note" if name in {"heavy", "off"} else "FAILED")
    assert told["sound to features"]["status"] == "ok"
    assert "FLAC" in told["libsndfile"]["detail"]
    assert told["devices"]["detail"].startswith(("cpu (", "torch is not installed"))


def test_doctor_holds_plugins_to_what_they_require(tmp_path, monkeypatch):
    from featx.cli.doctor import _requirements

    pytest.importorskip("packaging")
    for name, requirements in {
        "fine": ["numpy>=1", "nobody-has-this; extra == 'more'", "nor-this; python_version < '3'"],
        "wanting": ["nobody-has-this>=2", "numpy>=99"],
    }.items():
        install(tmp_path, name, GOOD)
        metadata = tmp_path / f"dummy_{name}-1.0.dist-info" / "METADATA"
        lines = "".join(f"Requires-Dist: {item}\n" for item in requirements)
        metadata.write_text(metadata.read_text().replace("\n\n", f"\n{lines}\n", 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    findings = {item.check: item for item in _requirements()}
    assert "requirements of dummy-fine" not in findings
    found = findings["requirements of dummy-wanting"]
    assert found.status == "FAILED"
    assert "nobody-has-this is missing; numpy>=99 is required, " in found.detail
    assert found.detail.endswith("Run: pip install --upgrade dummy-wanting")


def test_info_says_what_differs_from_a_preset():
    from click.testing import CliRunner

    pytest.importorskip("featx_spectral")

    def front_ends(*arguments):
        lines = CliRunner().invoke(main, ["info", *arguments]).output.splitlines()
        return next(line for line in lines if line.startswith("front ends:")).split(maxsplit=2)[2]

    assert front_ends("mfcc") == "librosa-mfcc with n_mfcc=13"
    assert front_ends("mfcc", "--set", "n_mfcc=20") == "librosa-mfcc"
    assert front_ends("chroma") == "fe-chroma-stft"


def test_info_leaves_out_what_means_nothing_for_a_front_end():
    from click.testing import CliRunner

    lines = CliRunner().invoke(main, ["info", "fe-btc"]).output.splitlines()
    shown = {line.split()[0] for line in lines[3:]}
    assert {"sr", "hop_length", "n_bands", "bands_per_octave", "fmin", "bank"} <= shown
    assert not {"n_fft", "window", "fmax", "scale", "sigma", "exponent", "lifter"} & shown


def test_info_shows_presets_of_front_ends():
    from click.testing import CliRunner

    from featx.frontend import PRESETS

    def info(*arguments):
        return CliRunner().invoke(main, ["info", *arguments])

    lines = info("--presets").output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(PRESETS)
    assert "hop_length     512" in info("fe-artist").output
    told = json.loads(info("fe-artist", "--json").output)
    assert (told["kind"], told["sr"]) == ("front end", 22050)
    told = info("fe-artits").output
    assert "Did you mean the front end 'fe-artist'" in told
    assert "featx info --presets" in told
    assert "'fe-btc'" in info("fe-bct").output
    assert info().exit_code == 2
