"""``featx info``: everything that an extractor, loss or index declares."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx._version import __version__
from featx.commands import (
    complete_extractor,
    echo_json,
    echo_table,
    json_option,
    local_class,
    no_plugin_option,
    parse_settings,
    printable,
    registry,
    set_option,
)
from featx.errors import ParameterError, PluginError, WeightsError, listed, near, some
from featx.registry import Registered, import_object

if TYPE_CHECKING:
    from featx.frontend import FrontEnd
    from featx.interfaces import Resolved
    from featx.registry import Registry
    from featx.types import Column, FeatureSpec

_MANY_COLUMNS, _MANY_VALUES = 8, 4
#: Columns of prose in pipes and files.
_PIPE_WIDTH = 100


@click.command("info")
@click.argument("name", required=False, shell_complete=complete_extractor)
@set_option
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Describe the extractor with these weights.",
)
@click.option("--method", metavar="NAME", help="Show the settings of this training method.")
@click.option("--presets", is_flag=True, help="List the presets of front ends.")
@json_option
@no_plugin_option
def command(
    name: str | None,
    settings: tuple[str, ...],
    weights: Path | None,
    method: str | None,
    presets: bool,
    as_json: bool,
) -> None:
    """Show parameters, outputs, weights and training methods of an extractor.

    NAME is the short or full name of an extractor, loss or index, a preset of a front end, or
    my/file.py:MyClass for an extractor without a package.
    Outputs can depend on parameters; --set shows the outputs for other values. --method shows
    the settings of a training method, which 'featx train --set' changes.
    """
    from featx.frontend import PRESETS

    if presets:
        _show_presets(list(PRESETS.values()), as_json)
        return
    if name is None:
        raise click.UsageError("Missing argument 'NAME' (or --presets).")
    known = registry()
    if name in PRESETS and not settings and not _is_known(known, name):
        _show_preset(PRESETS[name], as_json)
        return
    if method is not None:
        _show_method(known, name, method, parse_settings(settings, [name])[name], as_json)
        return
    description = describe(known, name, parse_settings(settings, [name])[name], weights)
    if as_json:
        echo_json(description)
    else:
        _show(description)


def describe(
    known: Registry, name: str, settings: dict[str, str], weights: Path | None = None
) -> dict[str, Any]:
    """Return what ``featx info --json`` writes."""
    from featx.interfaces import ExtractorSpec
    from featx.registry.specs import spec_to_json

    kind, item = _find(known, name)
    spec = item.spec
    params = _params(name, spec, settings, weights)
    versions = {(plugin.name, plugin.distribution): plugin.version for plugin in known.plugins}
    versions["featx", "featx"] = __version__
    plain = {
        **spec_to_json(spec),
        "full_name": item.full_name,
        "kind": kind,
        "plugin": item.plugin,
        "distribution": item.distribution,
        "distribution_version": versions.get((item.plugin, item.distribution), ""),
        "params": [_param(field, params) for field in dataclasses.fields(params)],
    }
    if kind == "loss":
        from featx.training.losses import why_not

        plain["methods"] = [
            f"{known.shortest_name(full_name)} --method {method.name}"
            for full_name, other in known.extractors.items()
            for method in other.spec.methods
            if not why_not(method, spec)
        ]
    if isinstance(spec, ExtractorSpec):
        resolved: Resolved = import_object(spec.resolve)(params, None)
        plain |= {
            "sr": resolved.sr,
            "outputs": [output.to_json() for output in resolved.outputs],
            "front_ends": [
                front_end if isinstance(front_end, str) else front_end.to_json()
                for front_end in resolved.front_ends
            ],
        }
        if spec.weights is not None:
            from featx.weights import state

            plain["weights"] = dataclasses.asdict(
                state(spec.weights, override=weights, params=params, extractor=spec)
            )
    return plain


def _params(name: str, spec: Any, settings: dict[str, str], weights: Path | None) -> Any:
    """Return the parameters that hold, those of the weights at hand included."""
    from featx.interfaces import ExtractorSpec
    from featx.params import parse_params

    if not isinstance(spec, ExtractorSpec) or spec.weights is None:
        if weights is not None:
            raise ParameterError(f"--weights must be omitted for {name!r}, which uses no weights.")
        return parse_params(spec.params, settings)
    from featx.engine.planning.preparing import match_params_and_weights

    try:
        return match_params_and_weights(name, spec, settings, weights=weights).params
    except WeightsError:  # the state reports missing or damaged ones
        if weights is not None:
            raise
        return parse_params(spec.params, settings)


def _find(known: Registry, name: str) -> tuple[str, Registered[Any]]:
    if cls := local_class(name):
        from featx.registry.local import local_extractor

        return "extractor", local_extractor(cls)
    if name in ("exact", "featx:exact"):
        from featx.index.hosting import registered_index

        return "index", registered_index(name)
    try:
        return "extractor", known.extractor(name)
    except PluginError as unknown:
        for kind, find in (("loss", known.loss), ("index", known.index)):
            try:
                return kind, find(name)
            except PluginError:
                continue
        from featx.frontend import PRESETS

        front_ends = near(name, PRESETS, most=3)
        hint = f" Did you mean the front end {' or '.join(map(repr, front_ends))}?"
        hint *= bool(front_ends)
        raise PluginError(
            f"{unknown}{hint} Front ends are listed by: featx info --presets"
        ) from None


def _is_known(known: Registry, name: str) -> bool:
    try:
        _find(known, name)
    except PluginError:
        return False
    return True


def _param(field: dataclasses.Field[Any], params: Any) -> dict[str, Any]:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {field.metadata[key]}" for key, sign in signs.items() if key in field.metadata
    ]
    choices = field.metadata.get("choices")
    return {
        "name": field.name,
        "type": field.type if isinstance(field.type, str) else field.type.__name__,
        "default": field.default,
        "value": getattr(params, field.name),
        "range": " and ".join(bounds),
        "choices": None if choices is None else list(choices),
        "doc": field.metadata.get("doc", ""),
    }


def _show(plain: dict[str, Any]) -> None:
    click.echo(f"{plain['name']}: {plain['summary']}\n")
    facts = {
        "full name": plain["full_name"],
        "kind": plain["kind"],
        "version": plain["version"]
        + " (in {distribution} {distribution_version})".format(**plain)
        * bool(plain["distribution_version"]),
        "licence": plain["licence"],
        "reference": plain["reference"],
    }
    if plain["kind"] == "extractor":
        facts |= _extractor_facts(plain)
    if plain["kind"] == "loss":
        facts["roles"] = _roles(plain)
        methods = plain.pop("methods")
        facts["taken by"] = ", ".join(methods) or "no installed method"
    for label, text in facts.items():
        if text:
            click.echo(f"{label + ':':<14}{text}")
    if plain["params"]:
        click.echo("\nParameters")
        _show_params(plain["params"])
    if plain.get("outputs"):
        click.echo("\nOutputs")
        columns = ("name", "kind", "dim", "unit", "hop", "meaning")
        echo_table(columns, [_output_row(output, plain["sr"]) for output in plain["outputs"]])
    if plain.get("methods"):
        click.echo("\nMethods of 'featx train'")
        rows = [(item["name"], item["summary"]) for item in plain["methods"]]
        echo_table(("name", "summary"), rows)
        click.echo(f"See: featx info {plain['name']} --method {rows[0][0]}")


def _roles(plain: dict[str, Any]) -> str:
    """Return roles and shapes in one line."""
    labels = {"classes": "(batch,) integers", "tags": "(batch, n_tags) of 0 and 1"}[plain["labels"]]
    many = " or (batch, n_negatives, dim)" if plain["many_negatives"] else ""
    return {
        "triplet": f"anchors and positives (batch, dim), negatives (batch, dim){many}",
        "labels": f"embeddings (batch, dim), labels {labels}",
        "views": "views (batch, n_views, dim)",
    }[str(plain["inputs"])]


def _show_method(
    known: Registry, name: str, method: str, settings: dict[str, str], as_json: bool
) -> None:
    """Show what ``--set`` changes about a training: parameters of the method, then of every one."""
    from featx.params import parse_params
    from featx.training.losses import choose_loss, why_not
    from featx.training.options import TrainingParams, find_method, options_class, split_settings

    spec = find_method(known, known.extractor(name).spec, method)
    losses = [full_name for full_name, item in known.losses.items() if not why_not(spec, item.spec)]
    _, chosen_loss = choose_loss(known, spec, settings)
    own, shared = split_settings(spec, settings)
    chosen: list[tuple[str, Any]] = [("params", parse_params(spec.params, own))]
    options = options_class(spec)
    # the end of a training may be left to the user, so that it has to be given
    assumed = {"epochs": 1} if spec.kind == "gradient" else {}
    chosen.append(("options", parse_params(options, {**assumed, **shared})))
    tables = {
        key: [_param(field, values) for field in dataclasses.fields(values)]
        for key, values in chosen
    }
    general = {field.name for field in dataclasses.fields(TrainingParams)}
    tables["options"].sort(key=lambda row: (row["name"] in general, row["name"][:8] == "augment_"))
    for row in tables["options"]:
        if row["name"] in spec.defaults:
            row["default"] = spec.defaults[row["name"]]
        elif row["name"] == "epochs" and "epochs" not in settings:
            row["value"] = None
    if as_json:
        about = {"name": spec.name, "summary": spec.summary, "reference": spec.reference}
        more = {"losses": losses, "loss": chosen_loss}
        echo_json({"kind": "method", "extractor": name, **about, **tables, **more})
        return
    click.echo(f"{name}, method {spec.name}: {spec.summary}\n")
    if spec.reference:
        click.echo(f"reference: {spec.reference}\n")
    if losses:
        click.echo(f"losses: {listed(losses)}; choose one with --set loss=NAME\n")
    for key, title in (("params", "Parameters of the method"), ("options", "Of every training")):
        click.echo(title)
        _show_params(tables[key])
        click.echo()


def _extractor_facts(plain: dict[str, Any]) -> dict[str, str]:
    front_ends = [fe if isinstance(fe, str) else _against_preset(fe) for fe in plain["front_ends"]]
    weights = plain["weights"]
    shortest = plain["min_duration"]
    return {
        "rate": "that of each file" if plain["sr"] is None else f"{plain['sr']} Hz",
        "front ends": ", ".join(front_ends),
        "weights": "" if weights is None else _weights_line(weights),
        "trained on": "" if weights is None else "; ".join(weights["origins"].values()),
        "min duration": f"{shortest:g} s, shorter tracks are skipped" if shortest else "",
        "short input": plain["short_input"],
        "tolerance": f"{plain['tolerance']:g}" if plain["tolerance"] else "0 (bitwise)",
        "devices": ", ".join(plain["devices"]),
    }


def _against_preset(front_end: dict[str, Any]) -> str:
    """Return the name of a front end, and what differs from the preset of this name."""
    from featx.frontend import PRESETS

    name = str(front_end["name"])
    if name not in PRESETS:
        return name
    preset = _flat(PRESETS[name].to_json())
    changed = [
        f"{key}={value}" for key, value in _flat(front_end).items() if value != preset.get(key)
    ]
    return f"{name} with {', '.join(changed)}" if changed else name


def _show_presets(presets: list[FrontEnd], as_json: bool) -> None:
    if as_json:
        echo_json([preset.to_json() for preset in presets])
        return
    columns = ("name", "sr", "n_fft", "hop_length", "bank", "n_bands", "n_mfcc", "dim")
    rows = [{**_flat(preset.to_json()), "dim": preset.dimension()} for preset in presets]
    echo_table(columns, [[_cell(row.get(key)) for key in columns] for row in rows])


def _show_preset(front_end: FrontEnd, as_json: bool) -> None:
    plain = front_end.to_json()
    if as_json:
        echo_json({"kind": "front end", **plain})
        return
    click.echo(f"{plain.pop('name')}: a preset of a front end\n")
    echo_table(("parameter", "value"), [(key, _cell(value)) for key, value in _flat(plain).items()])


def _flat(front_end: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a front end and of its parts in one mapping; a part is its id."""
    flat: dict[str, Any] = {}
    for name, value in front_end.items():
        if isinstance(value, dict):
            flat |= {name: value["id"]} | {key: value[key] for key in value if key != "id"}
        else:
            flat[name] = value
    return flat


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _weights_line(weights: dict[str, Any]) -> str:
    origin = weights["note"] or f"{weights['path']} ({weights['sha256'][:16]})"
    licence = weights["licence"] or "licence not stated"
    return f"{weights['name']} ({licence}), {weights['status']}. {origin}"


def _show_params(params: list[dict[str, Any]]) -> None:
    """Write a table, and below it what would make its lines long: meanings, and many values."""
    columns = ("name", "type", "default", "value", "allowed")
    echo_table(columns, [_param_row(param) for param in params])
    click.echo()
    for param in params:
        click.echo(_wrapped(f"{param['name']}: {param['doc']}"))
        for label, values in (("Allowed", param["choices"]), ("Value", param["value"])):
            if isinstance(values, (list, tuple)) and len(values) > _MANY_VALUES:
                click.echo(_wrapped(f"    {label}: {listed(values)}"))


def _wrapped(text: str) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
    return textwrap.fill(
        printable(text),
        width,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _param_row(param: dict[str, Any]) -> tuple[str, ...]:
    allowed = param["range"]
    if param["choices"] is not None:
        allowed = some(param["choices"], most=_MANY_VALUES)
    return (
        param["name"],
        param["type"],
        _shown(param["default"]),
        _shown(param["value"]),
        allowed,
    )


def _shown(value: Any) -> str:
    """Return a value as a table shows it, the first few of a long tuple."""
    many = isinstance(value, tuple) and len(value) > _MANY_VALUES
    return some(value, most=_MANY_VALUES) if many else str(value)


def _output_row(output: dict[str, Any], sr: int | None) -> tuple[str, ...]:
    from featx.types import FeatureSpec

    spec: FeatureSpec = FeatureSpec.from_json(output)
    hop = ""
    if spec.hop is not None:
        seconds = f" = {1000 * float(spec.hop) / sr:.2f} ms" if sr else ""
        hop = f"{spec.hop} samples{seconds}"
    meaning = spec.description
    if spec.aspects:
        slices = ", ".join(f"{name} {a}:{b}" for name, (a, b) in spec.aspects.items())
        meaning = f"{meaning} Aspects: {slices}.".strip()
    return (spec.name, spec.kind, str(spec.dim), _units(spec), hop, meaning)


def _units(spec: FeatureSpec) -> str:
    """Name the columns with their units, the first few where there are many."""
    if all(column.labels is None and column.unit == "1" for column in spec.columns):
        return spec.unit
    names = [_column(column) for column in spec.columns]
    return ", ".join(names if len(names) <= _MANY_COLUMNS else [*names[:_MANY_COLUMNS], "..."])


def _column(column: Column) -> str:
    if column.labels is None:
        return column.name if column.unit == "1" else f"{column.name} ({column.unit})"
    kind = "text" if column.labels == "open" else f"one of {len(column.labels)} labels"
    return f"{column.name} ({kind})"
