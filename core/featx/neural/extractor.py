"""`NetworkExtractor`: a torch module as an extractor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from featx.errors import ParameterError
from featx.interfaces import Context, Extractor, Track
from featx.neural.descriptions import Segments, check_config
from featx.neural.segments import Frames, Statistics, run_segments, spans_of
from featx.neural.tensors import build, inference, initial_tensors, load_tensors
from featx.types import AnyArray, Features, FloatArray

if TYPE_CHECKING:
    import torch

    from featx.interfaces import Blocks


class NetworkExtractor(Extractor):
    """Base of extractors that run a network over the segments of a track.

    A subclass sets `segments` and returns its module from `network`. The module maps
    ``(batch, length)`` samples or ``(batch, length, n_bands)`` frames to one tensor, or to a
    mapping of output names to tensors: ``(batch, D)`` for one vector per segment, ``(batch, T, D)``
    for frames over time. Outputs of kind ``frames`` are stitched, outputs of kind ``clip`` are
    averaged over segments or frames (see `statistics`). The rest has defaults: weights are loaded
    strictly or drawn from the seed, inference runs in full float32 without gradients, in batches of
    one size.

    Examples
    --------
    >>> class Tagger(NetworkExtractor):
    ...     segments = Segments(length=128)
    ...
    ...     def network(self):
    ...         return TaggerNetwork(n_bands=96, n_tags=50)
    """

    #: How the network reads a track; set it here or in `open`.
    segments: Segments
    #: The module that `network` returned, with its tensors, once the extractor is open.
    model: Any
    #: Statistics of outputs of kind ``clip`` by name: of mean, std, min and max, side by side.
    statistics: ClassVar[Mapping[str, Sequence[str]]] = {}
    #: Segments per call of the network on a CPU, where one often fills the cache, and elsewhere.
    cpu_batch: ClassVar[int] = 1
    accelerator_batch: ClassVar[int] = 16
    #: Settings of `config` that may differ between weights and network.
    training_only: ClassVar[Collection[str]] = ("dropout",)

    @abstractmethod
    def network(self) -> torch.nn.Module:
        """Return the module; ``self.context`` is there. It is built without memory, see `build`."""

    def config(self) -> Mapping[str, Any]:
        """Return the configuration that weights must have been made for, plain values.

        It is compared with the entry ``model`` of the configuration stored with the weights.
        Nothing is compared by default.
        """
        return {}

    def initial(self, model: torch.nn.Module, generator: torch.Generator) -> Mapping[str, AnyArray]:
        """Draw the tensors of an untrained ``model`` from ``generator``."""
        return initial_tensors(model, generator)

    def tensors(self, weights: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
        """Return what ``model`` is to hold out of the weights, by the names of its state dict."""
        return weights

    def inputs(self, track: Track) -> FloatArray:
        """Return what the network reads of a track, ``(n, ...)``, time first.

        By default the only front end of `Resolved`, or the waveform if there is none.
        """
        front_end = self._front_end()
        return track.y if front_end is None else track.spectra(front_end)

    def input_blocks(self, track: Track) -> Blocks:
        """Return `inputs` of a long track in blocks, for networks that declare ``streaming``."""
        front_end = self._front_end()
        return track.blocks() if front_end is None else track.spectra_blocks(front_end)

    def _front_end(self) -> Any:
        """Return the only front end, or None."""
        front_ends = self.context.resolved.front_ends
        if len(front_ends) > 1:
            raise ParameterError(
                f"inputs must be defined by {type(self).__name__}: there are {len(front_ends)} "
                "front ends to choose from."
            )
        return front_ends[0] if front_ends else None

    def starts(self, n: int) -> Sequence[int]:
        """Return where the segments of ``n`` inputs (one segment at least) begin.

        For networks that give one vector per segment; by default all complete ones side by side.
        """
        return [span.start for span in spans_of(n, self.segments)]

    def forward(self, x: torch.Tensor) -> Mapping[str, torch.Tensor] | torch.Tensor:
        """Return the outputs for a batch of segments by name, or that of the only output."""
        outputs: Mapping[str, torch.Tensor] | torch.Tensor = self.model(x)
        return outputs

    def open(self, context: Context) -> None:
        """Build the network from weights, or from ``context.seed`` if there are none.

        Raises
        ------
        WeightsError
            If the weights are not those of this network.
        """
        import torch

        super().open(context)
        name = context.name or type(self).__name__
        model = build(self.network)
        if context.weights is None:
            tensors = self.initial(model, torch.Generator().manual_seed(context.seed))
        else:
            if config := self.config():
                check_config(
                    context.config.get("model"), config, name=name, ignore=self.training_only
                )
            tensors = self.tensors(context.weights)
        self.model = load_tensors(model, tensors, name=name, device=context.device)
        self.batch_size = self.cpu_batch if context.device == "cpu" else self.accelerator_batch

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the wanted outputs of every track."""
        with inference(threads=self.context.threads):
            return [self.extract_track(track) for track in tracks]

    def extract_track(self, track: Track) -> Features:
        """Return the wanted outputs of one track."""
        return Features(self.run(self.forward, self.inputs(track), self.segments, self.starts))

    def stream(self, track: Track) -> Features:
        """Return what `extract_track` returns, reading a long track in blocks."""
        with inference(threads=self.context.threads):
            blocks = self.input_blocks(track)
            return Features(self.run(self.forward, blocks, self.segments, self.starts))

    def run(
        self,
        forward: Callable[[torch.Tensor], Mapping[str, torch.Tensor] | torch.Tensor],
        x: FloatArray | Blocks,
        segments: Segments,
        starts: Callable[[int], Sequence[int]] | None = None,
    ) -> dict[str, FloatArray]:
        """Run ``forward`` over the segments of ``x`` and return the wanted outputs by name.

        For extractors of several networks; others have `extract_track`.
        """
        specs = [self.context.resolved.output(name) for name in self.context.features]
        collectors = {
            spec.name: Frames()
            if spec.kind == "frames"
            else Statistics(self.statistics.get(spec.name, ("mean",)))
            for spec in specs
        }
        return run_segments(
            self._named(forward),
            x,
            collectors,
            segments=segments,
            starts=starts,
            batch_size=self.batch_size,
            device=self.context.device,
        )

    def over_time(self, x: FloatArray, *names: str) -> dict[str, FloatArray]:
        """Return outputs of `forward` over all of ``x``, each ``(n_frames, D)``, wanted or not.

        For extractors whose features follow from frame-wise outputs of their network.
        """
        return run_segments(
            self._named(self.forward),
            x,
            {name: Frames() for name in names},
            segments=self.segments,
            batch_size=self.batch_size,
            device=self.context.device,
        )

    def _named(
        self, forward: Callable[[torch.Tensor], Mapping[str, torch.Tensor] | torch.Tensor]
    ) -> Callable[[torch.Tensor], Mapping[str, torch.Tensor]]:
        first = self.context.resolved.outputs[0].name

        def named(batch: torch.Tensor) -> Mapping[str, torch.Tensor]:
            values = forward(batch)
            return values if isinstance(values, Mapping) else {first: values}

        return named

    def close(self) -> None:
        """Drop the network and everything else that `open` made."""
        vars(self).clear()
