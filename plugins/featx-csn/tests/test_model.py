"""The networks, and what their blocks are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from featx.neural import seeded
from featx_csn.config import CSNConfig
from featx_csn.model import CSN, autocorrelation, block_masks, standardised, unit, unit_blocks
from featx_csn.scorers import Classifier, Prototypes, Proxies

#: Sums of some hundred float32 products in two orders.
ROUNDING = 1e-6
SIZES, COUNTS = (64, 96, 32, 64), (5, 3, 2, 4)


def network(**changes: object) -> CSN:
    config = CSNConfig(**{"backbone": "small", "sizes": SIZES, **changes})  # type: ignore[arg-type]
    return seeded(lambda: CSN(config), torch.Generator().manual_seed(0))


def segments(n: int = 3, *, gain: float = 1.0) -> Tensor:
    S = torch.rand(n, 129, 128, generator=torch.Generator().manual_seed(1)) ** 4
    return torch.log10(1 + 10 * gain * S)


def test_inception_has_the_parameters_of_the_specification() -> None:
    """With biases of convolutions, batch normalisation and the dense layer, without a head."""
    with torch.device("meta"):
        model = CSN(CSNConfig())
    assert sum(tensor.numel() for tensor in model.parameters()) == 4_175_424
    biases = sum(m.bias.numel() for m in model.modules() if isinstance(m, nn.Conv2d))
    assert 4_175_424 - biases == 4_172_096


def test_inception_ends_with_one_position() -> None:
    """128 bands by 129 frames, halved seven times: 64, 32, 16, 8, 4, 2, 1."""
    config = CSNConfig(stem=4, inception_branch=4, bottleneck_5x5=2, width=16)
    model = CSN(config)
    sizes = []
    for block in list(model.backbone.blocks)[::2]:
        block.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[2:])))
    assert model(segments()).shape == (3, 256)
    assert sizes == [(n, n) for n in (32, 16, 8, 4, 2, 1)]


@pytest.mark.parametrize("backbone", ["inception", "small"])
def test_embedding_does_not_depend_on_the_level(backbone: str) -> None:
    model = network(backbone=backbone)
    loud, quiet = model(segments()), model(segments(gain=1e-2))
    torch.testing.assert_close(loud, quiet, rtol=1e-3, atol=1e-3 * float(loud.abs().max()))
    kept = network(backbone=backbone, level="kept")
    assert not torch.allclose(kept(segments()), kept(segments(gain=1e-2)), rtol=0.1)


def test_kept_level_is_the_input_of_the_papers() -> None:
    x = segments()
    torch.testing.assert_close(standardised(x, level="kept"), (x - 0.2) / 0.25)


def test_silence_is_finite() -> None:
    model = network(n_tags=14, scores="cosine")
    z = model(torch.zeros(1, 129, 128))
    assert torch.isfinite(model.embedding(z)).all()
    assert torch.isfinite(model.tag_scores(z)).all()


def test_masks_are_disjoint_blocks_and_all_ones() -> None:
    masks = block_masks(SIZES)
    assert masks.sum(dim=1).tolist() == [*SIZES, 256]
    torch.testing.assert_close(masks[:-1].sum(dim=0), torch.ones(256))


def test_blocks_of_an_embedding_have_equal_length() -> None:
    embedding = network(embed_relu=False).embedding(torch.randn(3, 256))
    lengths = torch.stack([part.norm(dim=1) for part in embedding.split(SIZES, dim=1)])
    torch.testing.assert_close(lengths, torch.full((4, 3), 0.5))


def test_block_of_zeros_stays_zero() -> None:
    z = torch.randn(2, 256)
    z[0, :64] = 0
    blocks = unit_blocks(z, SIZES)
    assert torch.equal(blocks[0, :64], torch.zeros(64))
    assert torch.isfinite(blocks).all()


def test_autocorrelation_peaks_at_the_period() -> None:
    clicks = torch.zeros(1, 1, 129)
    clicks[0, 0, 3::20] = 1.0
    values = autocorrelation(clicks)[0, 0]
    assert int(values[:30].argmax()) + 2 == 20  # the first lag is 2
    moved = autocorrelation(clicks.roll(5, dims=2))[0, 0]
    torch.testing.assert_close(values[18], moved[18], rtol=0, atol=0.1)


# --------------------------------------------------------------------- equivalent objectives
class MultiTask(nn.Module):
    """Normalised multi-task classification as the paper draws it: a layer and classes per task."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Linear(n_in, size) for size in SIZES)
        self.classes = nn.ModuleList(
            nn.Linear(size, count, bias=False) for size, count in zip(SIZES, COUNTS, strict=True)
        )

    def forward(self, trunk: Tensor) -> Tensor:
        hidden = [torch.relu(dense(trunk)) for dense in self.dense]
        parts = [h / h.norm(dim=1, keepdim=True) for h in hidden]
        return torch.cat([c(p) for c, p in zip(self.classes, parts, strict=True)], dim=1)


def test_masked_proxies_are_normalised_multi_task_classification() -> None:
    """Equations 5.14 to 5.16 of the thesis, forwards and backwards, to 1e-6."""
    model, x = network(), segments(8)
    proxies = Proxies(SIZES, COUNTS)
    classifier = Classifier(SIZES, COUNTS, norm=True)
    tasks = MultiTask(model.head.in_features)
    with torch.no_grad():
        weight, bias = model.head.weight.split(SIZES), model.head.bias.split(SIZES)
        blocks = proxies.table()[0].split(COUNTS)
        start = 0
        for task, size in enumerate(SIZES):
            tasks.dense[task].weight.copy_(weight[task])  # type: ignore[union-attr, operator]
            tasks.dense[task].bias.copy_(bias[task])  # type: ignore[union-attr, operator]
            own = blocks[task][:, start : start + size]
            for layer in (tasks.classes[task], classifier.layers[task]):
                layer.weight.copy_(own)  # type: ignore[union-attr, operator]
            start += size
    trunk = model.backbone(standardised(x, level="free"))
    expected, z = tasks(trunk), model(x)
    for scorer in (proxies, classifier):
        torch.testing.assert_close(scorer.scores(z), expected, rtol=0, atol=ROUNDING)
        torch.testing.assert_close(scorer.table()[0], proxies.table()[0])
    model.requires_grad_(True)
    gradients = []
    for scorer in (proxies, classifier):
        loss = torch.sigmoid(scorer.scores(model(x))).square().sum()
        gradients.append(torch.autograd.grad(loss, model.head.weight)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=ROUNDING)


@pytest.mark.parametrize(
    ("scorer", "scores", "sizes"),
    [
        (Proxies(SIZES, COUNTS), "unit", SIZES),
        (Proxies((256,), (14,)), "unit", (256,)),
        (Classifier(SIZES, COUNTS, norm=True), "unit", SIZES),
        (Classifier((256,), (14,), norm=True), "unit", (256,)),
        (Classifier((256,), (14,), norm=False), "linear", (256,)),
    ],
)
def test_extracted_probabilities_are_those_of_the_training(
    scorer: nn.Module, scores: str, sizes: tuple[int, ...]
) -> None:
    model = network(n_tags=14, scores=scores, sizes=sizes)
    weight, bias = scorer.table()  # type: ignore[operator]
    model.tags.weight.data, model.tags.bias.data = weight.detach(), bias.detach()
    z = model(segments())
    expected = torch.sigmoid(scorer.scores(z))  # type: ignore[operator]
    torch.testing.assert_close(model.tag_scores(z), expected, rtol=0, atol=1e-5)


def test_prototypes_are_the_mean_of_their_block() -> None:
    masks = block_masks(SIZES)[torch.tensor([0, 0, 1])]
    prototypes = Prototypes(masks)
    vectors = unit_blocks(torch.rand(6, 256), SIZES)
    tags = torch.tensor([0, 0, 2, -1, 0, 2])
    for _ in range(400):
        prototypes.follow(vectors, tags)
    expected = vectors[tags == 0].mean(dim=0) * masks[0]
    torch.testing.assert_close(prototypes.table()[0][0], expected, rtol=1e-2, atol=1e-3)
    assert torch.equal(prototypes.table()[0][1], torch.zeros(256))  # never drawn
    model = network(n_tags=3, scores="cosine")
    model.tags.weight.data = prototypes.table()[0]
    scores = model.tag_scores(vectors)
    by_hand = (unit(vectors[:, :64]) * unit(expected[:64])).sum(dim=1)
    torch.testing.assert_close(scores[:, 0], by_hand, rtol=0, atol=1e-3)
