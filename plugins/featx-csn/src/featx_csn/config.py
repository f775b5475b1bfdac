"""What the network reads and gives: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.frontend import frames_spec
from featx.neural import NetworkConfig, pooled_spec
from featx_csn.notions import blocks_of

SR = 22050
#: 128 mel bands, log10(1 + 10 S) of magnitudes S; hop 512.
FRONT_END = "fe-csn"
#: Frames of a segment, 3 s.
N_FRAMES = 129
N_BANDS = 128
#: What the papers standardise the front end by.
INPUT_MEAN, INPUT_STD = 0.2, 0.25
#: The same for log10(1 + 1000 S) of magnitudes over their mean: a knee 60 dB below it.
FREE_GAIN, FREE_MEAN, FREE_STD = 1000.0, 2.0, 0.9

BACKBONES = ("inception", "small")
#: What tags are computed from: nothing; a classifier of the embedding, or of its blocks at unit
#: length; cosines with prototypes.
SCORES = ("none", "linear", "unit", "cosine")


@dataclass(frozen=True, kw_only=True)
class CSNConfig(NetworkConfig):
    """One network.

    Parameters
    ----------
    backbone : {'inception', 'small'}
        That of the papers, or one that two cores can train.
    level : {'kept', 'free'}
        Whether magnitudes are divided by the mean of their segment.
    sizes : tuple of int > 0
        Dimensions of every notion; a single one if there are no notions.
    n_tags : int >= 0
        Rows of the table that tags are computed from.
    scores : {'none', 'linear', 'unit', 'cosine'}
        How they are.
    embed_relu : bool
        Embeddings are not negative, as in the thesis; cosines then lie within 0..1.
    stem, inception_branch, bottleneck_5x5, width, blocks : int > 0
        Channels of the Inception backbone and its number of blocks.
    channels, onsets, hidden : int > 0
        Those of the small one: of its first convolution, of onset channels, of its last layers.
    """

    backbone: str = "inception"
    level: str = "free"
    sizes: tuple[int, ...] = (64, 64, 64, 64)
    n_tags: int = 0
    scores: str = "none"
    embed_relu: bool = True
    stem: int = 64
    inception_branch: int = 64
    bottleneck_5x5: int = 32
    width: int = 256
    blocks: int = 6
    channels: int = 12
    onsets: int = 8
    hidden: int = 128

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return sum(self.sizes)


@params_class
class BackboneParams:
    """What extraction and training share."""

    backbone: str = param(
        "inception",
        "Network: that of the papers, or a small one for two cores.",
        choices=BACKBONES,
    )
    level: str = param(
        "free",
        "free divides magnitudes by the mean of their 3 s; kept is the input of the papers.",
        choices=("free", "kept"),
    )
    embed_relu: bool = param(True, "Embeddings are not negative, as in the thesis.")


@params_class
class CSNParams(BackboneParams):
    """Parameters of the extractor ``csn``; all of them come with the weights."""

    notions: tuple[str, ...] = param(
        ("genre=64", "mood=64", "instruments=64", "tempo=64"),
        "Names and dimensions of the notions in their order; empty for an embedding without.",
    )
    dim: int = param(256, "Length of an embedding without notions, > 0.", gt=0)
    tags: tuple[str, ...] = param((), "Tags, each as notion/tag or as the tag alone.")
    scores: str = param(
        "none",
        "What tags are computed from: a classifier of the embedding (linear) or of blocks of unit "
        "length (unit), or cosines with prototypes.",
        choices=SCORES,
    )

    def __post_init__(self) -> None:
        sizes = self.sizes
        if len(sizes) < len(self.notions):
            raise ParameterError(f"notions must differ from each other, got {self.notions}.")
        if (self.scores == "none") != (not self.tags):
            raise ParameterError(
                f"scores must be 'none' where there are no tags and only there, got "
                f"{self.scores!r} for {len(self.tags)} tags."
            )

    @property
    def sizes(self) -> dict[str, int]:
        """Dimensions by notion."""
        sizes = {}
        for text in self.notions:
            name, _, size = text.partition("=")
            if not name or not size.isdecimal() or int(size) < 1:
                raise ParameterError(f"notions must be written as name=size, got {text!r}.")
            sizes[name] = int(size)
        return sizes

    def config(self) -> CSNConfig:
        """Return the configuration these parameters name."""
        return CSNConfig(
            backbone=self.backbone,
            level=self.level,
            embed_relu=self.embed_relu,
            sizes=tuple(self.sizes.values()) or (self.dim,),
            n_tags=len(self.tags),
            scores=self.scores,
        )


def resolve(params: CSNParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return the input and outputs of ``csn``; they do not depend on the rate of the file."""
    dim = params.config().dim
    aspects = blocks_of(params.sizes)
    outputs = [
        FeatureSpec(
            name="embedding",
            kind="clip",
            dim=dim,
            aspects=aspects,
            description="Blocks of unit length over their number, mean over segments of 3 s.",
        ),
        pooled_spec(
            frames_spec("mel", FRONT_END),
            ratio=N_FRAMES,
            name="frames",
            dim=dim,
            columns=(),
            aspects=aspects,
            description="The same for every 3 s.",
        ),
    ]
    if params.tags:
        what = "Cosine with the prototype" if params.scores == "cosine" else "Probability"
        outputs.append(
            FeatureSpec(
                name="tags",
                kind="clip",
                dim=len(params.tags),
                columns=tuple(Column(tag.rpartition("/")[2]) for tag in params.tags),
                description=f"{what} of every tag, mean over segments of 3 s.",
            )
        )
    return Resolved(sr=SR, front_ends=(FRONT_END,), outputs=tuple(outputs))
