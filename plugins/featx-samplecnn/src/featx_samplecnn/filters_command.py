"""``featx plot filters``: what the layers of a SampleCNN listen to, as a picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx import ParameterError
from featx.commands import meter, overwrite_option, replacing

if TYPE_CHECKING:
    from featx.types import FloatArray
    from featx_samplecnn.model import SampleCNN

#: Samples of the inputs in the thesis.
_SAMPLES = 729
_SUFFIXES = (".png", ".pdf", ".svg")


@click.command("filters")
@click.option(
    "-w",
    "--weights",
    metavar="PATH|untrained",
    help="Checkpoint of samplecnn (file or folder) or 'untrained'; by default the same as for "
    "'featx run'.",
)
@click.option("--model", help="Model to draw, such as '3^9'; not needed for a checkpoint.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Image file to write: .png, .pdf or .svg.",
)
@click.option(
    "--layers", help="Layers to draw, such as '1,2,3'; by default all that the input reaches."
)
@click.option(
    "--samples",
    type=click.IntRange(min=8),
    default=_SAMPLES,
    show_default=True,
    help="Length of an input in samples.",
)
@click.option("--steps", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--dpi", type=click.IntRange(20, 1200), default=150, show_default=True)
@overwrite_option
def command(
    weights: str | None,
    model: str | None,
    output: Path,
    layers: str | None,
    samples: int,
    steps: int,
    seed: int,
    dpi: int,
    overwrite: bool,
) -> None:
    """Draw what every channel of SampleCNN responds to most.

    For each layer, inputs that excite one channel are found by gradient ascent from noise; a column
    of the picture is the magnitude spectrum of one of them, columns sorted by where they peak. In
    the first layers most peak at the rate divided by the stride, a repeated pattern of that length.
    """
    from featx.store import refuse_existing

    refuse_existing([output], overwrite=overwrite)
    if output.suffix not in _SUFFIXES:
        raise ParameterError(
            f"output must end in one of {', '.join(_SUFFIXES)}, got {output.name!r}."
        )
    network, title = _network(weights, model, seed)
    chosen = _layers(network, layers, samples)
    draw(
        network,
        output,
        layers=chosen,
        samples=samples,
        steps=steps,
        seed=seed,
        dpi=dpi,
        title=title,
    )
    click.echo(str(output))


def _network(weights: str | None, model: str | None, seed: int) -> tuple[SampleCNN, str]:
    """Return the network and a title that says whether it has learned anything."""
    import torch

    from featx import load_weights
    from featx.engine import match_params_and_weights
    from featx.neural import check_config, load_tensors
    from featx_samplecnn import featx_extractors
    from featx_samplecnn.extractor import SampleCNNExtractor
    from featx_samplecnn.model import SampleCNN
    from featx_samplecnn.networks import make_network, seeded_network

    spec = next(item for item in featx_extractors() if item.name == "samplecnn")
    settings = {} if model is None else {"model": model}
    params, path, _ = match_params_and_weights(
        "samplecnn", spec, settings, weights=weights, seed=seed
    )
    config = params.config()
    if path:
        tensors, stored = load_weights(path)
        ignored = SampleCNNExtractor.training_only
        check_config(stored.get("model"), config.to_json(), name="samplecnn", ignore=ignored)
        network = load_tensors(make_network(config), tensors, name="samplecnn")
        title = f"{params.model}, {Path(path).name}"
    else:
        network = seeded_network(config, torch.Generator().manual_seed(seed))
        title = f"UNTRAINED {params.model}: a random network, seed {seed}"
    if not isinstance(network, SampleCNN):
        raise ParameterError(f"model must be a SampleCNN to be drawn, got {params.model!r}.")
    return network, title


def _layers(network: SampleCNN, text: str | None, samples: int) -> tuple[int, ...]:
    from featx_samplecnn.filters import n_layers

    if text is None:
        last = min(n_layers(network, n_samples=samples), 1 + len(network.config.modules))
        return tuple(range(1, last + 1))
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ParameterError(f"layers must be numbers such as 1,2,3, got {text!r}.") from error


def draw(
    network: SampleCNN,
    output: Path,
    *,
    layers: tuple[int, ...],
    samples: int,
    steps: int,
    seed: int,
    dpi: int,
    title: str,
) -> None:
    """Write the picture of `command`.

    Raises
    ------
    ParameterError
        If matplotlib is missing, or the picture cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ParameterError(
            "plots require matplotlib, which comes with featx-plot. Run: pip install featx-plot"
        ) from error
    from featx_samplecnn.filters import sorted_spectra

    figure = Figure(figsize=(2.2 * len(layers) + 0.8, 3.4), layout="constrained")
    axes = figure.subplots(1, len(layers), squeeze=False)[0]
    nyquist = network.config.sr / 2
    inputs_of_layers = _inputs(network, layers, samples=samples, steps=steps, seed=seed)
    for axis, layer, inputs in zip(axes, layers, inputs_of_layers, strict=True):
        S, _ = sorted_spectra(inputs)
        axis.imshow(
            S.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0, len(S), 0, nyquist),
            interpolation="nearest",
        )
        axis.set_title(f"layer {layer}", fontsize=9)
        axis.set_xlabel("channel, sorted")
    axes[0].set_ylabel("frequency (Hz)")
    for axis in axes[1:]:
        axis.set_yticklabels([])
    figure.suptitle(title)
    with replacing(output) as temporary:
        figure.savefig(temporary, format=output.suffix[1:], dpi=dpi)


def _inputs(
    network: SampleCNN, layers: tuple[int, ...], *, samples: int, steps: int, seed: int
) -> list[FloatArray]:
    """Return what excites the channels of every layer; progress goes to stderr."""
    import torch

    from featx_samplecnn.filters import maximising_inputs

    counter = itertools.count(1)
    with meter("steps", steps * len(layers)) as shown:
        return [
            maximising_inputs(
                network,
                layer,
                generator=torch.Generator().manual_seed(seed),
                n_samples=samples,
                steps=steps,
                progress=lambda layer: shown.update(next(counter), f"layer {layer}"),
            )
            for layer in layers
        ]
