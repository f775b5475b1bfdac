"""The plugin of docs/networks.md, exactly as it is printed there."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featx import ExtractorSpec
from featx.testing import check_extractor
from featx.testing.conformance.host import Session
from featx.testing.conformance.runner import find_target

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"
FILE = re.compile(r"^\*\*`src/(\S+)`\*\*\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SR = 22050
#: The front end has a hop of 512 samples and the network halves its rate.
HOP = 1024


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtractorSpec]:
    folder = tmp_path_factory.mktemp("example")
    files = FILE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(files) == 3
    for name, body in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(body, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("featx_onset_net").featx_extractors()[0]
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("featx_onset_net")]:
        del sys.modules[name]


def extract(spec: ExtractorSpec, y: np.ndarray) -> tuple[Session, dict[str, np.ndarray]]:
    session = Session(find_target("extractor", spec, params={}))
    with session.opened() as extractor:
        return session, dict(session.one(extractor, y.astype(np.float32)))


def test_extractor_file_is_short() -> None:
    files = dict(FILE.findall(PAGE.read_text(encoding="utf-8")))
    assert len(files["featx_onset_net/extractor.py"].splitlines()) <= 40


def test_example_conforms(spec: ExtractorSpec) -> None:
    check_extractor(spec)


@pytest.mark.parametrize("second", [0.5, 11.3, 23.77, 47.2, 59.0])
def test_click_comes_out_at_its_time(second: float, spec: ExtractorSpec) -> None:
    """Over three segments; padding is symmetric, and so are the frames that a click changes."""
    y = np.zeros(60 * SR)
    session, silent = extract(spec, y)
    click = round(second * SR)
    y[click] = 1.0
    _, found = extract(spec, y)
    changed = np.abs(found["activation"] - silent["activation"])[:, 0] > 0
    times = session.prepared.resolved.output("activation").times(len(changed), sr=SR)
    assert abs(times[changed].mean() - click / SR) <= HOP / SR
    assert times[changed].max() - times[changed].min() < 16 * HOP / SR


def test_embedding_is_mean_and_deviation_of_the_hidden_layer(
    spec: ExtractorSpec, rng: np.random.Generator
) -> None:
    _, found = extract(spec, rng.normal(0, 0.1, 30 * SR))
    assert found["embedding"].shape == (64,)
    assert (found["embedding"][32:] >= 0).all()
    # constant input has no deviation but at its padded ends
    _, silent = extract(spec, np.zeros(30 * SR))
    assert silent["embedding"][32:].max() < found["embedding"][32:].max()
