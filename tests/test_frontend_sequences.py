"""Best paths through states and chains of beats: enumeration, properties, and librosa's numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from featx.analysis import Transitions, link_beats, viterbi
from featx.analysis import sequence as sequences
from featx.errors import ParameterError

#: Of a log probability in float32 steps.
LOG_RTOL = 1e-6


@pytest.fixture(params=["", "0"])
def lanes(request, monkeypatch) -> str:
    """With vectors and without."""
    if request.param:
        monkeypatch.setenv("FEATX_LANES", request.param)
    return request.param


def model(rng, n_states: int, n_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    transition = np.log(rng.dirichlet(np.ones(n_states), n_states))
    observed = np.log(rng.random((n_steps, n_states))).astype(np.float32)
    return observed, transition, np.log(rng.dirichlet(np.ones(n_states)))


def enumerate_paths(observed, transition, initial) -> tuple[tuple[int, ...], float]:
    n_steps, n_states = observed.shape

    def score(path) -> float:
        steps = itertools.pairwise(path)
        seen = sum(float(observed[t, j]) for t, j in enumerate(path))
        return initial[path[0]] + seen + sum(transition[i, j] for i, j in steps)

    best = max(itertools.product(range(n_states), repeat=n_steps), key=score)
    return best, score(best)


@pytest.mark.parametrize(("n_states", "n_steps"), [(1, 1), (1, 4), (2, 8), (3, 6), (5, 5)])
def test_best_paths_are_the_best_of_all(n_states: int, n_steps: int, lanes, rng) -> None:
    observed, transition, initial = model(rng, n_states, n_steps)
    path, log_probability = viterbi(observed, transitions=transition, log_initial=initial)
    expected, score = enumerate_paths(observed, transition, initial)
    assert tuple(path) == expected
    assert log_probability == pytest.approx(score, rel=LOG_RTOL)


@pytest.mark.parametrize("n_states", [2, 25, 65, 170])
def test_best_paths_are_librosas(n_states: int, lanes, rng) -> None:
    librosa = pytest.importorskip("librosa")
    transition = rng.dirichlet(np.ones(n_states), n_states)
    observed = rng.dirichlet(np.ones(n_states), 200)
    expected, score = librosa.sequence.viterbi(observed.T, transition, return_logp=True)
    path, log_probability = viterbi(
        np.log(observed).astype(np.float32), transitions=np.log(transition)
    )
    np.testing.assert_array_equal(path, expected)
    assert log_probability == pytest.approx(float(score[0]), rel=LOG_RTOL)


def band(n_states: int, reach: int, rng) -> Transitions:
    """Every state leads to its neighbours, and to those of the state half-way round."""
    i, j = np.indices((n_states, n_states))
    near = np.abs(i - j) <= reach
    near |= np.abs(np.abs(i - j) - n_states // 2) <= reach
    weights = np.where(near, np.log(rng.random((n_states, n_states)) + 0.01), -np.inf)
    return Transitions.from_dense(weights)


@pytest.mark.parametrize("n_states", [64, 100, 333])
@pytest.mark.parametrize("reach", [0, 1, 4, 400])
@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("kind", ["dense", "banded"])
def test_layouts_change_no_bit(n_states, reach, width, kind, monkeypatch, rng) -> None:
    transitions = band(n_states, reach, rng)
    # few levels, so that there are ties
    observed = -rng.integers(0, 4, (90, n_states)).astype(np.float32)
    monkeypatch.setenv("FEATX_LANES", "0")
    path, score = viterbi(observed, transitions=transitions)
    monkeypatch.setenv("FEATX_LANES", str(width))
    transitions._layouts[width] = transitions._lay_out(width, kind=kind)
    other, other_score = viterbi(observed, transitions=transitions)
    np.testing.assert_array_equal(other, path)
    assert other_score == score


def test_patterns_choose_their_layout(rng) -> None:
    chain = Transitions.from_edges(np.arange(999), np.arange(1, 1000), np.zeros(999), n_states=1000)
    scattered = Transitions.from_edges(
        np.arange(1000), rng.permutation(1000), np.zeros(1000), n_states=1000
    )
    assert chain.layout(16)[0] == "banded"
    assert band(600, 25, rng).layout(16)[0] == "banded"
    assert scattered.layout(16)[0] == "sparse"
    assert Transitions.from_dense(np.zeros((100, 100))).layout(16)[0] == "dense"
    assert chain.layout(0)[0] == "sparse"


@pytest.mark.parametrize("steps", [1, 2, 77, 299])
def test_long_sequences_are_decoded_in_pieces(steps: int, monkeypatch, rng) -> None:
    observed, transition, _ = model(rng, 20, 300)
    whole = viterbi(observed, transitions=transition)
    monkeypatch.setattr(sequences, "_KEPT_BYTES", steps * 4 * 64)
    path, score = viterbi(observed, transitions=transition)
    np.testing.assert_array_equal(path, whole[0])
    assert score == whole[1]


def test_ties_go_to_the_lowest_state(lanes) -> None:
    path, score = viterbi(np.zeros((6, 5), np.float32), transitions=np.zeros((5, 5)))
    assert path.tolist() == [0] * 6
    assert score == pytest.approx(-math.log(5))


def test_columns_say_what_states_see(lanes, rng) -> None:
    observed, transition, initial = model(rng, 6, 40)
    columns = np.array([0, 0, 1, 2, 2, 0])
    got = viterbi(observed[:, :3], transitions=transition, log_initial=initial, columns=columns)
    expected = viterbi(observed[:, columns], transitions=transition, log_initial=initial)
    np.testing.assert_array_equal(got[0], expected[0])
    assert got[1] == expected[1]


def test_edges_and_matrix_are_one_model(rng) -> None:
    observed, transition, _ = model(rng, 7, 30)
    sources, targets = (ends.ravel() for ends in np.indices((7, 7)))
    order = rng.permutation(49)
    edges = Transitions.from_edges(
        sources[order], targets[order], transition.ravel()[order], n_states=7
    )
    expected = viterbi(observed, transitions=transition)
    got = viterbi(observed, transitions=edges)
    np.testing.assert_array_equal(got[0], expected[0])


@pytest.mark.parametrize("n_steps", [10_000])
def test_long_sequences_keep_their_digits(n_steps: int, lanes, rng) -> None:
    # two states that differ by 1e-4 a step, far below the rounding of the sum
    observed = np.full((n_steps, 2), -30.0, np.float32)
    observed[:, 1] += np.float32(1e-4)
    path, score = viterbi(observed, transitions=np.array([[0.0, -5.0], [-5.0, 0.0]]))
    assert path.all()
    exact = n_steps * float(observed[0, 1]) - math.log(2)
    assert score == pytest.approx(exact, rel=LOG_RTOL)


def test_no_steps_have_a_path() -> None:
    path, score = viterbi(np.empty((0, 3), np.float32), transitions=np.zeros((3, 3)))
    assert len(path) == 0
    assert score == 0.0


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_impossible_observations_are_refused(n_steps: int, lanes) -> None:
    observed = np.zeros((n_steps, 2), np.float32)
    observed[-1] = -np.inf
    with pytest.raises(ParameterError, match="must leave a possible path"):
        viterbi(observed, transitions=np.zeros((2, 2)))


def test_states_without_a_way_in_are_refused(lanes) -> None:
    matrix = np.full((2, 2), -np.inf)
    with pytest.raises(ParameterError, match="must leave a possible path"):
        viterbi(np.zeros((3, 2), np.float32), transitions=matrix)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"log_observed": np.zeros((4, 2))}, "log_observed must be two-dim"),
        ({"log_observed": np.full((4, 3), np.nan, np.float32)}, "log_observed must hold"),
        ({"log_observed": np.zeros((4, 2), np.float32)}, "log_observed must have a column"),
        ({"transitions": np.zeros((3, 2))}, "log_transition must be square"),
        ({"transitions": np.full((3, 3), np.inf)}, "log_transition must hold"),
        ({"log_initial": np.zeros(2)}, "log_initial must have shape"),
        ({"columns": np.zeros(2, int)}, "columns must be 3 integers"),
        ({"columns": np.array([0, 1, 3])}, "columns must lie"),
    ],
)
def test_viterbi_refuses_bad_arguments(options, match: str) -> None:
    arguments = {
        "log_observed": np.zeros((4, 3), np.float32), "transitions": np.zeros((3, 3)), **options
    }  # fmt: skip
    with pytest.raises(ParameterError, match=match):
        viterbi(arguments.pop("log_observed"), **arguments)


@pytest.mark.parametrize(
    ("sources", "targets", "n_states", "match"),
    [
        ([0, 1], [1], 2, "targets must be integers"),
        ([0.5], [1], 2, "sources must be integers"),
        ([0], [2], 2, "targets must lie"),
        ([0, 0], [1, 1], 2, "different pairs"),
        ([], [], 0, "n_states must"),
    ],
)
def test_edges_refuse_bad_states(sources, targets, n_states: int, match: str) -> None:
    ends = np.array(sources), np.array(targets)
    with pytest.raises(ParameterError, match=match):
        Transitions.from_edges(*ends, np.zeros(len(sources)), n_states=n_states)


# ---------------------------------------------------------------- beats
def test_beats_link_the_pulses() -> None:
    strength = np.zeros(200, np.float32)
    strength[7::20] = 1.0
    scores, links = link_beats(strength, period=20.0)
    beats = [int(np.argmax(scores))]
    while links[beats[-1]] >= 0:
        beats.append(int(links[beats[-1]]))
    assert beats[::-1] == list(range(7, 200, 20))
    assert scores.max() == pytest.approx(10.0)


@pytest.mark.parametrize("period", [2, 7, 20, 43])
@pytest.mark.parametrize("n", [1, 5, 400])
def test_beat_links_are_librosas(period: int, n: int, rng) -> None:
    librosa = pytest.importorskip("librosa")
    strength = rng.random(n).astype(np.float32)
    strength[: n // 10] = 0.0
    program = getattr(librosa.beat, "__beat_track_dp")
    links, scores = np.zeros(n, np.int32), np.zeros(n)
    program(strength.astype(np.float64), np.array([period]), np.float32(100.0), links, scores)
    got_scores, got_links = link_beats(strength, period=period)
    np.testing.assert_array_equal(got_links, links)
    np.testing.assert_allclose(got_scores, scores, rtol=1e-6)


def test_no_frames_have_no_beats() -> None:
    scores, links = link_beats(np.empty(0, np.float32), period=10.0)
    assert scores.shape == links.shape == (0,)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"period": 1.0}, "period must"), ({"tightness": 0.0}, "tightness must")],
)
def test_beats_refuse_bad_options(options, match: str) -> None:
    arguments = {"period": 10.0, **options}
    with pytest.raises(ParameterError, match=match):
        link_beats(np.zeros(9, np.float32), **arguments)


def test_beats_refuse_bad_strength() -> None:
    with pytest.raises(ParameterError, match="strength must be finite"):
        link_beats(np.full(9, np.nan, np.float32), period=10.0)
    with pytest.raises(ParameterError, match="strength must be one-dimensional"):
        link_beats(np.zeros((9, 2), np.float32), period=10.0)


def test_probabilities_instead_of_logarithms_are_refused() -> None:
    transition = np.array([[0.9, 0.1], [0.0, 1.0]])
    with pytest.raises(ParameterError, match="must be logarithms, got probabilities"):
        viterbi(np.zeros((6, 2), np.float32), transitions=transition)
