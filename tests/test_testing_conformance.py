"""The kit passes what is right, and names what is wrong."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import featx.cli.check
import featx.testing.conformance.runner
from featx.cli import main
from featx.errors import ParameterError, PluginError
from featx.registry.specs import spec_from_json, spec_to_json
from featx.testing import (
    ConformanceError,
    Outcome,
    Report,
    check_extractor,
    examine_extractor,
    examine_index,
    examine_loss,
)
from featx.testing.conformance import extractors, indexes, losses
from featx.testing.conformance.host import Session
from featx.testing.conformance.recording import CheckFailed, Recorder
from featx.testing.conformance.report import EXTRACTOR_CHECKS, INDEX_CHECKS, LOSS_CHECKS, judge
from featx.testing.conformance.runner import find_target, kind_of
from featx.testing.conformance.static import examine_static
from featx.testing.conformance.surroundings import Surroundings

SUBJECTS = Path(__file__).parent / "subjects"


@pytest.fixture(scope="module")
def importable():
    sys.path.insert(0, str(SUBJECTS))
    yield
    sys.path.remove(str(SUBJECTS))


@pytest.fixture(scope="module")
def subjects(importable):
    return importlib.import_module("conformance_subjects")


@pytest.fixture(scope="module")
def index_subjects(importable):
    return importlib.import_module("index_subjects")


def outcomes_of(reports: list[dict]) -> dict[str, Outcome]:
    return {item["id"]: Outcome(**item) for item in reports if "id" in item}


def failed(outcomes: dict[str, Outcome]) -> set[str]:
    return {name for name, item in outcomes.items() if item.status == "fail"}


# ------------------------------------------------------------------ behaviour, in this process
def behave(spec, tmp_path) -> dict[str, Outcome]:
    session = Session(find_target("extractor", spec, params={}))
    reports: list[dict] = []
    battery = extractors._Battery(session, Recorder(reports.append), Surroundings())
    battery.run(long=False)
    return outcomes_of(reports)


def test_good_extractor_behaves(subjects, tmp_path):
    assert failed(behave(subjects.spec(), tmp_path)) == set()


@pytest.mark.parametrize(
    ("subject", "check", "message"),
    [
        ("NotFiniteOnSilence", "silence", "clip must be finite"),
        ("RaisesOnOneSample", "one-sample", "ValueError: too short"),
        ("DependsOnBatch", "batch", "a batch of one must equal a batch of 32"),
        ("DependsOnBatch", "neighbours", "must not change a result"),
        ("DependsOnPlace", "order", "order of tracks must not matter"),
        ("Counts", "repeatable", "differs by"),
        ("WritesInput", "outputs", "read-only"),
        ("WrongDtype", "outputs", "clip must have dtype float32, got float64"),
        ("MissesOutput", "outputs", "frames is missing"),
        ("WrongHop", "frame-count", "samples more must give"),
        ("DropsQuietFrames", "frame-count", "must depend on the length only"),
        ("EventsTooLate", "outputs", "time must lie within"),
        ("EventsUnsorted", "outputs", "events must be sorted by time"),
        ("DependsOnFeatures", "subset", "one output must equal that of all"),
        ("LeaksFiles", "resources", "open files must not grow"),
        ("LeaksThreads", "resources", "threads must not grow"),
        ("LeaksMemory", "resources", "bytes of memory must not grow"),
    ],
)
def test_defect_is_named(subjects, tmp_path, subject, check, message):
    outcomes = behave(subjects.spec(getattr(subjects, subject)), tmp_path)
    assert outcomes[check].status == "fail"
    assert message in outcomes[check].message


LABELLED = {"resolve": "conformance_subjects:resolve_labels"}


def test_extractor_of_labels_behaves(subjects, tmp_path):
    assert failed(behave(subjects.spec(subjects.Labels, **LABELLED), tmp_path)) == set()


@pytest.mark.parametrize(
    ("subject", "check", "message"),
    [
        ("UnknownLabel", "outputs", "one of the 2 labels of its column (loud, soft), got 'softly'"),
        ("LabelsThatChange", "repeatable", "parts.mode differs in row 0"),
    ],
)
def test_defect_of_labels_is_named(subjects, tmp_path, subject, check, message):
    outcomes = behave(subjects.spec(getattr(subjects, subject), **LABELLED), tmp_path)
    assert outcomes[check].status == "fail"
    assert message in outcomes[check].message


def test_extractor_for_any_rate_is_given_several(subjects, tmp_path):
    changes = {"resolve": "conformance_subjects:resolve_any_rate"}
    outcomes = behave(subjects.spec(subjects.FailsAtHighRates, **changes), tmp_path)
    assert "rate too high" in outcomes["outputs"].message


def test_difference_within_the_tolerance_passes(subjects, tmp_path):
    outcomes = behave(subjects.spec(subjects.DependsOnPlace, tolerance=100.0), tmp_path)
    assert outcomes["order"].status == "pass"


def test_input_shorter_than_min_duration_is_not_asked_for(subjects, tmp_path):
    outcomes = behave(subjects.spec(subjects.RaisesOnOneSample, min_duration=0.5), tmp_path)
    assert outcomes["one-sample"].status == "skip"
    assert "featx skips it" in outcomes["one-sample"].message


# ------------------------------------------------------------------ specs
@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        ({"short_input": ""}, "spec", "short_input must say"),
        ({"devices": ("cuda",)}, "spec", "devices must include 'cpu'"),
        ({"summary": "x" * 200}, "spec", "summary must be one line"),
        ({"factory": "conformance_subjects:Missing"}, "spec", "has no 'Missing'"),
        ({"resolve": "conformance_subjects:resolve_wrong_dtype"}, "resolve", "dtype float32"),
    ],
)
def test_bad_spec_is_named(subjects, tmp_path, changes, check, message):
    reports: list[dict] = []
    target = find_target("extractor", subjects.spec(**changes), params={})
    examine_static(target, Recorder(reports.append))
    outcome = outcomes_of(reports)[check]
    assert outcome.status == "fail"
    assert message in outcome.message


def test_undocumented_parameter_is_named(subjects, tmp_path):
    reports: list[dict] = []
    target = find_target("extractor", subjects.spec(params=subjects.Undocumented), params={})
    examine_static(target, Recorder(reports.append))
    assert "'gain' must be documented" in outcomes_of(reports)["params"].message


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        ({"factory": "conformance_subjects:Missing"}, "spec", "has no 'Missing'"),
        ({"defaults": {"lr": -1.0}}, "params", "lr must be > 0"),
        ({"defaults": {"nonsense": 1}}, "params", "nonsense"),
    ],
)
def test_bad_method_is_named(subjects, tmp_path, changes, check, message):
    assert message in method_outcomes(subjects, tmp_path, changes)[check].message


def test_bad_parameters_of_a_method_are_named(subjects, tmp_path):
    outcomes = method_outcomes(subjects, tmp_path, {"params": subjects.TakesARate})
    assert "must leave lr to" in outcomes["params"].message
    outcomes = method_outcomes(subjects, tmp_path, {"params": subjects.Undocumented})
    assert "'gain' must be documented" in outcomes["params"].message


def method_outcomes(subjects, tmp_path, changes) -> dict[str, Outcome]:
    reports: list[dict] = []
    methods = (subjects.method(**changes),)
    spec = subjects.spec(weights=subjects.MISSING_WEIGHTS, methods=methods)
    examine_static(find_target("extractor", spec, params={}), Recorder(reports.append))
    return outcomes_of(reports)


def test_spec_survives_json(subjects):
    methods = (subjects.method(defaults={"lr": 0.1, "steps": 1}),)
    spec = subjects.spec(weights=subjects.MISSING_WEIGHTS, methods=methods)
    assert spec_from_json("extractor", spec_to_json(spec)) == spec


def test_local_params_class_is_refused(subjects):
    class Local(subjects.Params):
        pass

    with pytest.raises(ParameterError, match="top level"):
        spec_to_json(subjects.spec(params=Local))


# ------------------------------------------------------------------ whole reports, in children
@pytest.fixture(scope="module")
def good_report(subjects) -> Report:
    return examine_extractor(subjects.spec())


def test_good_extractor_passes_every_check(good_report):
    good_report.require()
    assert [item.id for item in good_report.outcomes] == list(EXTRACTOR_CHECKS)
    skipped = {item.id for item in good_report.outcomes if item.status == "skip"}
    assert skipped == {"light-import", "blocks", "hour-long"}


def test_rude_extractor_is_caught_by_the_guards(subjects):
    report = examine_extractor(subjects.spec(subjects.Rude))
    assert {item.id for item in report.failures} == {
        "stdout",
        "warnings",
        "no-pickle",
        "no-network",
        "no-writes",
    }
    assert "cache.bin" in report["no-writes"].message
    assert "conformance_subjects" in report["no-writes"].message
    assert "192.0.2.1" in report["no-network"].message
    assert "loading the model" in report["stdout"].message


def test_the_cache_folder_may_be_made_for_the_first_time(subjects, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "home/cache/featx"))
    report = examine_extractor(subjects.spec(subjects.Caches))
    assert report["no-writes"].status == "pass", report["no-writes"].message
    assert (tmp_path / "home/cache/featx/made.bin").is_file()


def test_death_is_a_finding_and_what_was_found_before_is_kept(subjects):
    report = examine_extractor(subjects.spec(subjects.Dies))
    assert "SIGABRT" in report["dc"].message
    assert report["batch"].status == "pass"
    assert report["full-scale"].status == "skip"
    assert "stopped at 'dc'" in report["full-scale"].message


def test_hang_is_a_finding(subjects):
    report = examine_extractor(subjects.spec(subjects.Hangs), timeout=2.0)
    assert "no answer within 2 s" in report["silence"].message


def test_processes_that_exclude_each_other_are_caught(subjects):
    with pytest.raises(ConformanceError, match="two processes at once") as caught:
        check_extractor(subjects.spec(subjects.NeedsToBeAlone))
    failures = {item.id for item in caught.value.report.failures}
    assert "processes" in failures


def test_heavy_resolve_is_caught(subjects):
    spec = subjects.spec(resolve="conformance_subjects:resolve_with_numba")
    report = examine_extractor(spec, expected={"light-resolve": "numba is wanted here"})
    assert report["light-resolve"].status == "xfail"
    assert "0 failed, 1 known to fail," in report.summary()
    assert "must not import" in report["light-resolve"].message
    assert report.passed


def test_missing_weights_are_not_a_pass_and_name_the_command(subjects):
    report = examine_extractor(subjects.spec(weights=subjects.MISSING_WEIGHTS))
    assert not report.passed
    assert "featx weights import nowhere" in report["weights"].message
    assert report["outputs"].status == "skip"


def test_unknown_extractor_is_named():
    with pytest.raises(PluginError, match="nobody-has-this"):
        examine_extractor("nobody-has-this")


# ------------------------------------------------------------------ expectations
def test_expected_failure_that_passes_is_a_failure():
    found = [Outcome(id="spec", status="pass")]
    (outcome,) = judge(found, expected={"spec": "old bug"}, known=EXTRACTOR_CHECKS)
    assert outcome.status == "xpass"
    assert not Report(name="x", kind="extractor", outcomes=(outcome,)).passed


def test_failure_in_the_same_words_is_told_once():
    found = [Outcome(id=name, status="fail", message="wrong shape") for name in ("spec", "outputs")]
    first, second = judge(found, expected={}, known=EXTRACTOR_CHECKS)
    assert (first.message, second.message) == ("wrong shape", "for the same reason as 'spec'")
    assert second.status == "fail"


def test_expected_failure_keeps_its_reason():
    found = [Outcome(id="spec", status="fail", message="wrong")]
    (outcome,) = judge(found, expected={"spec": "old bug"}, known=EXTRACTOR_CHECKS)
    assert (outcome.status, outcome.message) == ("xfail", "expected: old bug (wrong)")


@pytest.mark.parametrize("expected", [{"no-such-check": "why"}, {"spec": " "}])
def test_expectation_must_name_a_check_and_a_reason(subjects, expected):
    with pytest.raises(ParameterError, match="expected"):
        examine_extractor(subjects.spec(), expected=expected)


def test_report_of_nothing_is_not_a_pass():
    assert not Report(name="x", kind="extractor", outcomes=()).passed


# ------------------------------------------------------------------ documentation
@pytest.mark.parametrize("check", sorted({*EXTRACTOR_CHECKS, *LOSS_CHECKS, *INDEX_CHECKS}))
def test_check_is_documented(check):
    page = SUBJECTS.parents[1] / "docs" / "plugin-authoring.md"
    assert f"`{check}`" in page.read_text(encoding="utf-8")


# ------------------------------------------------------------------ losses
def weigh(spec, tmp_path) -> dict[str, Outcome]:
    reports: list[dict] = []
    losses.run_battery(find_target("loss", spec, params={}), Recorder(reports.append))
    return outcomes_of(reports)


def test_good_loss_passes_every_check(subjects):
    pytest.importorskip("torch")
    report = examine_loss(subjects.loss_spec(subjects.Triplet)).require()
    assert [item.id for item in report.outcomes] == list(LOSS_CHECKS)


@pytest.mark.parametrize(
    ("subject", "check", "message"),
    [
        ("MeanOfNothing", "no-pair", "must give a finite value"),
        ("Detached", "gradient", "finite differences"),
        ("OrderMatters", "permutation", "order in the batch must not matter"),
        ("Careless", "roles", "the missing role 'anchors' must be refused, got a value"),
        ("Rebuilt", "repeatable", "of another instance"),
        ("Overflows", "extremes", "huge embeddings in float32 must give a finite value"),
    ],
)
def test_defect_of_loss_is_named(subjects, tmp_path, subject, check, message):
    pytest.importorskip("torch")
    outcomes = weigh(subjects.loss_spec(getattr(subjects, subject)), tmp_path)
    assert outcomes[check].status == "fail"
    assert message in outcomes[check].message


# ------------------------------------------------------------------ indexes
def test_exact_index_passes_every_check(index_subjects):
    report = examine_index(index_subjects.index_spec()).require()
    assert [item.id for item in report.outcomes] == list(INDEX_CHECKS)


def test_exact_search_of_featx_is_checked_by_its_name():
    assert kind_of("exact") == "index"
    target = find_target("index", "exact", params={})
    assert (target.full_name, target.entry) == ("featx:exact", "")


def test_a_near_name_is_proposed_without_a_package():
    with pytest.raises(PluginError) as caught:
        kind_of("mfc")
    told = "no extractor, loss or index is called 'mfc'. Did you mean 'mfcc'?"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("subject", "check", "message"),
    [
        ("Forgetful", "search", "with default parameters, n=400, dim=24"),
        ("Squared", "search", "distances must be 1 - cosine"),
        ("Few", "search", "must return 10 neighbours of each of 20 queries"),
        ("Dividing", "zero-vectors", "distances that are not finite"),
        ("Random", "repeatable", "two indexes of the same vectors must give the same answers"),
        ("Trusting", "digest", "must raise featx.DigestError, got no error"),
        ("WrongError", "digest", "must raise featx.DigestError, got KeyError"),
        ("Unbound", "save-load", "Decorate it with @classmethod"),
    ],
)
def test_defect_of_index_is_named(index_subjects, tmp_path, subject, check, message):
    reports: list[dict] = []
    spec = index_subjects.index_spec(getattr(index_subjects, subject))
    battery = indexes._Battery(find_target("index", spec, params={}))
    recorder = Recorder(reports.append)
    with recorder.check(check):
        battery.checks()[check]()
    assert failed(outcomes_of(reports)) == {check}
    assert message in outcomes_of(reports)[check].message


def test_index_that_modifies_vectors_is_named(index_subjects):
    spec = index_subjects.index_spec(index_subjects.InPlace)
    with pytest.raises(CheckFailed, match="build must not modify vectors"):
        indexes._Battery(find_target("index", spec, params={}))


# ------------------------------------------------------------------ command line
@pytest.fixture
def command(monkeypatch):
    """Run ``featx check`` with a report made up, and return its result."""

    def run(*args: str, outcome: Outcome):
        report = Report(name="some:thing", kind="extractor", outcomes=(outcome,), notes=("N.",))
        monkeypatch.setattr(featx.testing.conformance.runner, "kind_of", lambda name: "extractor")
        monkeypatch.setattr(featx.testing, "examine_extractor", lambda *a, **k: report)
        return CliRunner().invoke(main, ["check", "thing", *args])

    return run


def test_command_passes_with_exit_code_0(command):
    result = command(outcome=Outcome(id="spec", status="pass"))
    assert result.exit_code == 0
    assert "extractor 'some:thing' passes: 1 passed" in result.output


def test_command_fails_with_exit_code_3_and_the_message(command):
    result = command(outcome=Outcome(id="spec", status="fail", message="do this"))
    assert result.exit_code == 3
    assert "do this" in result.output


def test_command_writes_json(command):
    import json

    result = command("--json", outcome=Outcome(id="spec", status="pass"))
    written = json.loads(result.output)
    assert (written["passed"], written["checks"][0]["id"]) == (True, "spec")


def test_command_refuses_an_expectation_without_reason(command):
    result = command("--expect", "spec", outcome=Outcome(id="spec", status="pass"))
    assert result.exit_code == 2
    assert "--expect must look like" in result.output


def test_command_names_an_unknown_extractor():
    result = CliRunner().invoke(main, ["check", "nobody-has-this"])
    assert result.exit_code == 2
    assert "nobody-has-this" in result.output
