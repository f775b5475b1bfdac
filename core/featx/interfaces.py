"""What plugins describe and subclass: specs, parameters, Extractor, Loss, Index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from featx.errors import ParameterError, listed
from featx.params import NoParams
from featx.types import Features, FeatureSpec, WeightsSpec

if TYPE_CHECKING:
    from featx.frontend import FrontEnd
    from featx.types import AnyArray, DoubleArray, FloatArray

#: Version of the spec dataclasses below. A plugin states the one it was written for.
API_VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What an extractor needs and gives, once its parameters are fixed.

    Parameters
    ----------
    sr : int or None
        Rate in Hz at which `Track.y` is delivered; None for the file's own rate.
    outputs : tuple of FeatureSpec
        Every output, in the order in which they are listed.
    front_ends : tuple of FrontEnd or str
        Presets (by name) or derived presets that will be requested from `Track.spectra`.
    """

    sr: int | None
    outputs: tuple[FeatureSpec, ...]
    front_ends: tuple[FrontEnd | str, ...] = ()

    def output(self, name: str) -> FeatureSpec:
        """Return the output called ``name``."""
        for spec in self.outputs:
            if spec.name == name:
                return spec
        raise ParameterError(
            f"feature must be one of {listed(spec.name for spec in self.outputs)}, got {name!r}."
        )


@dataclass(frozen=True, kw_only=True)
class LossRoles:
    """How a method calls its loss; `LossSpec` says the same of losses.

    Parameters
    ----------
    inputs : {'triplet', 'labels', 'views'}
        The roles that it gives.
    labels : {'classes', 'tags'}
        What its labels are.
    many_negatives : bool
        Whether its negatives are ``(batch, n_negatives, dim)``.
    logits : bool
        Whether its embeddings are scores of classes, which a loss that compares rows cannot take.
    """

    inputs: str
    labels: str = "classes"
    many_negatives: bool = False
    logits: bool = False


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """The light description of one way to train the weights of an extractor.

    Parameters
    ----------
    name : str
        Short name within the extractor, ``[a-z][a-z0-9-]*``; what ``featx train --method`` takes.
    summary : str
        One line.
    factory : str
        ``package.module:Class`` of a `featx.training.GradientMethod` or `featx.training.FitMethod`,
        called with the parameters as its only argument; resolved only when used.
    kind : {'gradient', 'fit'}
        Which of the two: steps over batches, or a fit to one sample of vectors.
    params : type
        A `params_class`: what ``--set`` changes about model, labels and crops. No field may have a
        name of the options that follow.
    defaults : mapping
        Options (`featx.training.GradientParams` or `featx.training.FitParams`) whose defaults
        differ for this method, such as ``{"lr": 0.01, "schedule": "stages"}``.
    reference : str
        The paper.
    loss : LossRoles or None
        How a gradient method calls its loss, where ``--set loss=NAME`` may choose another one. The
        chosen one is ``self.loss``; None is the method's own.
    """

    name: str
    summary: str
    factory: str
    kind: str = "gradient"
    params: type = NoParams
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    reference: str = ""
    loss: LossRoles | None = None


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """The light description of an extractor; what ``featx plugins`` and ``featx info`` show.

    Parameters
    ----------
    name : str
        Short name, ``[a-z][a-z0-9-]*``; the full name is ``<distribution>:<name>``.
    summary : str
        One line.
    version : str
        Bump whenever the numbers change; part of the recipe.
    factory : str
        ``package.module:Class`` of an `Extractor`, resolved only when used.
    resolve : str
        ``package.module:function``, called as ``resolve(params, native_sr) -> Resolved`` without
        torch or numba. ``native_sr`` is None while planning.
    api : int
        The spec version this was written for: `API_VERSION` of the featx it was developed with.
    params : type
        A `params_class`.
    weights : WeightsSpec or None
        None for extractors without weights.
    min_duration : float >= 0
        Seconds; shorter tracks are skipped(too-short). 0 when every length has an answer.
    short_input : str
        What silence and sub-window input give, in one sentence.
    tolerance : float >= 0
        Largest absolute difference allowed between batch sizes and repeated runs; 0 is bitwise.
    devices : tuple of str
        Subset of ``('cpu', 'cuda', 'mps')``.
    licence : str
        Of the code and, where there are any, the shipped weights.
    reference : str
        The paper.
    methods : tuple of MethodSpec
        How its weights can be trained; empty where they cannot.
    """

    name: str
    summary: str
    version: str
    factory: str
    resolve: str
    api: int = field(kw_only=True)
    params: type = NoParams
    weights: WeightsSpec | None = None
    min_duration: float = 0.0
    short_input: str = ""
    tolerance: float = 0.0
    devices: tuple[str, ...] = ("cpu",)
    licence: str = ""
    reference: str = ""
    methods: tuple[MethodSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """The light description of a loss; ``factory`` is called with the parameters as keywords.

    Parameters
    ----------
    name, summary, version, api, licence, reference : str or int
        As in `ExtractorSpec`.
    factory : str
        ``package.module:Class`` of a `Loss`, or a function that returns one.
    inputs : str
        Roles it is called with: ``'triplet'`` (anchors, positives, negatives: each ``(batch,
        dim)``), ``'labels'`` (embeddings ``(batch, dim)`` and labels) or ``'views'`` (views
        ``(batch, n_views, dim)``, two at least).
    labels : str
        What labels are: ``'classes'``, integers ``(batch,)`` from 0 on, or ``'tags'``, zeros and
        ones ``(batch, n_tags)``.
    many_negatives : bool
        Whether negatives may also be ``(batch, n_negatives, dim)``.
    pairwise : bool
        Whether rows are compared with each other, so that a batch of one has nothing to learn from;
        False where every row has a loss of its own, as in classification.
    params : type
        A `params_class`. Where the loss is trained itself, such as proxies, the fields ``dim`` and
        ``n_classes`` give the sizes of what it holds.
    """

    name: str
    summary: str
    version: str
    factory: str
    inputs: str
    api: int
    params: type = NoParams
    licence: str = ""
    reference: str = ""
    labels: str = "classes"
    many_negatives: bool = False
    pairwise: bool = True


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """The light description of a nearest-neighbour index; ``exact`` says whether it is one.

    ``factory`` is called with the parameters as keywords.
    """

    name: str
    summary: str
    version: str
    factory: str
    api: int
    exact: bool = False
    params: type = NoParams
    licence: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Blocks:
    """An array in blocks along time, which are made anew whenever it is iterated over.

    There is one block at least, which may be empty; their lengths differ and mean nothing. Blocks
    are valid as long as they are held, and may be read-only.

    Parameters
    ----------
    n : int >= 0
        Samples or frames of all blocks, also ``len``.
    read : callable
        Returns an iterator over the blocks, ``(k, ...)``.
    """

    n: int
    read: Callable[[], Iterator[FloatArray]]

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[FloatArray]:
        return self.read()


class Track(Protocol):
    """One recording as an extractor sees it; files and padding are the host's business."""

    @property
    def y(self) -> FloatArray:
        """Mono waveform at the resolved rate, shape ``(n_samples,)``, read-only."""

    @property
    def sr(self) -> int:
        """Rate of ``y`` in Hz."""

    @property
    def duration(self) -> float:
        """Length in seconds."""

    def spectra(self, front_end: FrontEnd | str) -> FloatArray:
        """Return the representation ``(n_frames, n_bands)``, computed once per track, read-only.

        The front end must be one that `Resolved` declares.
        """

    def blocks(self) -> Blocks:
        """Return ``y`` in blocks, also where it is too long to be held."""

    def spectra_blocks(self, front_end: FrontEnd | str) -> Blocks:
        """Return ``spectra`` in blocks, also where they are too long to be held.

        Frames of a long track are computed again, and its file decoded again, whenever the blocks
        are iterated over; they have the same bits as those of ``spectra``.
        """

    def times(self, front_end: FrontEnd | str) -> DoubleArray:
        """Return the centres of the frames of ``spectra`` in seconds, shape ``(n_frames,)``."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an extractor gets when a worker opens it.

    ``weights`` holds numpy arrays by name, or None where the extractor has none or runs untrained;
    ``config`` is the JSON configuration stored with them. ``threads`` is the number of threads the
    extractor may use. ``seed`` seeds untrained weights. ``name`` is the extractor's, for messages.
    """

    params: Any
    resolved: Resolved
    features: tuple[str, ...]
    weights: Mapping[str, AnyArray] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    name: str = ""


class Extractor(ABC):
    """Maps tracks to features. One instance lives in one worker; it is never pickled.

    In a plugin the `ExtractorSpec` describes it, and nothing here has to be set. A class without a
    package describes itself by these attributes and is used as it is:
    ``featx.run("music", "features", extractors=[MyExtractor])``.

    Attributes
    ----------
    name : str
        Short name; by default that of the class in lower case, ``OnsetRate`` is ``onset-rate``.
    sr : int or None
        Rate in Hz of `Track.y`; None for the file's own.
    outputs : tuple of FeatureSpec
        What `extract` returns.
    front_ends : tuple of FrontEnd or str
        What `extract` asks `Track.spectra` for.
    params : type
        A `params_class`; an instance is `Context.params`.
    version : str
        Bump it to recompute; edits of the class do so by themselves.
    min_duration : float >= 0
        Seconds; shorter tracks are skipped.
    streaming : bool
        Whether `stream` can be called. A class from a package sets it here, too.
    """

    name: ClassVar[str] = ""
    sr: ClassVar[int | None] = None
    outputs: ClassVar[tuple[FeatureSpec, ...]] = ()
    front_ends: ClassVar[tuple[FrontEnd | str, ...]] = ()
    params: ClassVar[type] = NoParams
    version: ClassVar[str] = "1"
    min_duration: ClassVar[float] = 0.0
    streaming: ClassVar[bool] = False

    @classmethod
    def resolve(cls, params: Any, native_sr: int | None) -> Resolved:  # noqa: ARG003
        """Return rate, outputs and front ends; override where they depend on parameters."""
        return Resolved(sr=cls.sr, outputs=cls.outputs, front_ends=cls.front_ends)

    def open(self, context: Context) -> None:
        """Prepare for extraction: build the model, take the device. Called once per worker."""
        self.context = context

    @abstractmethod
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return one `Features` per track, in order.

        ``context.features`` names the outputs that are wanted; others may be omitted. A result
        must not depend on the other tracks of the call beyond the tolerance of the spec.
        """

    def stream(self, track: Track) -> Features:
        """Return what `extract` returns for one track, which is too long to be held.

        Called instead of `extract` for long tracks if ``streaming`` is true. ``track`` has `blocks`
        and `spectra_blocks`; ``y`` and ``spectra`` raise `ParameterError`.
        """
        raise NotImplementedError(f"{type(self).__name__} declares streaming without stream.")

    def close(self) -> None:  # noqa: B027  (optional for subclasses)
        """Release what `open` took."""


class Loss(ABC):
    """A training objective built from parts: distance, miner, reducer.

    Called with named roles, returns a scalar tensor; no valid pair gives 0 that has a gradient.
    """

    @abstractmethod
    def __call__(self, **roles: Any) -> Any:
        """Return the scalar loss for ``anchors, positives, negatives`` or another set of roles."""


class Index(ABC):
    """Nearest neighbours of vectors under cosine distance ``1 - cos``."""

    @abstractmethod
    def build(self, vectors: FloatArray, ids: Sequence[str]) -> None:
        """Take ``vectors`` (n, dim) float32 and their ids. All-zero rows have cosine 0 to all."""

    @abstractmethod
    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """Return ids and distances ``(n_queries, min(k, n))``, nearest first.

        An index whose spec says ``exact=True`` gives equal distances in ascending order of their
        ids, whatever the order of the vectors.
        """

    @abstractmethod
    def save(self, folder: Path, store_digest: str) -> None:
        """Write the index to ``folder``, bound to the state of the store it came from."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, store_digest: str) -> Index:
        """Read what `save` wrote; another digest raises `DigestError`."""
