"""The page of results in headless Chromium: sorting, keyboard, comparing, hostile text, silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chromium import start_chromium

from featx_bench.harness.cells import Cell, Results
from featx_bench.harness.page import write_page
from featx_bench.harness.scores import Scores
from featx_bench.harness.tables import read_table

HOSTILE = "x</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return results of three competitors on two tasks."""
    out = tmp_path_factory.mktemp("results")
    results = Results(out)
    names = ["slow", "fast", HOSTILE]
    for number, name in enumerate(names):
        slug = f"c{number}"
        results.save_cost(
            slug,
            {
                "speed": 10.0 ** (number + 1),
                "all_cores": 2 * 10.0 ** (number + 1),
                "start_up": 1.0,
                "peak": 2**28,
                "key": "",
            },
        )
        for task in ("first", "second"):
            values = [0.9 - 0.2 * number, 0.8, 0.7 + 0.05 * number]
            scores = Scores(values=values, ids=("a.wav", "b.wav", HOSTILE)).to_json()
            command = f"featx bench run {task} --with {name}"
            cell = Cell(task=task, competitor=name, status="ok", command=command)
            cell.metrics, cell.tracks, cell.bytes_per_track = {"F": scores}, 3, 100.0
            results.save_cell(slug, cell)
    tasks = {
        name: {"name": name, "summary": f"{name} {HOSTILE}", "metric": "F", "manifest": ""}
        for name in ("first", "second")
    }
    results.save_summary(
        {
            "tasks": tasks,
            "competitors": {name: f"c{number}" for number, name in enumerate(names)},
            "machine": {"processor": "p", "cores": 2, "python": "3.11"},
            "licences": dict.fromkeys(names, "MIT"),
            "weights": {},
            "featx": "0",
            "finished": "2026-01-01",
        }
    )
    write_page(read_table(results), out / "index.html")
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield found
    found.quit()


@pytest.fixture
def page(browser, folder):
    browser.get((folder / "index.html").as_uri())
    return browser


def first_column(page) -> list[str]:
    return page.execute_script(
        "return [...document.querySelector('main table').tBodies[0].rows]"
        ".map(row => row.cells[0].textContent)"
    )


def press(page, text: str) -> None:
    page.execute_script(
        "[...document.querySelectorAll('button')]"
        ".find(button => button.textContent === arguments[0]).click()",
        text,
    )


def test_best_competitor_comes_first_and_columns_sort(page):
    assert first_column(page) == ["slow", "fast", HOSTILE]
    press(page, "× real time")
    assert first_column(page) == [HOSTILE, "fast", "slow"]
    press(page, "× real time")
    assert first_column(page) == ["slow", "fast", HOSTILE]
    script = "return document.querySelector('[aria-sort=ascending]').textContent"
    assert page.execute_script(script) == "× real time"


def test_everything_is_reached_by_keyboard(page):
    script = (
        "return [...document.querySelectorAll('button, select, audio, a')].map(one => one.tabIndex)"
    )
    assert set(page.execute_script(script)) == {0}
    press(page, "second")
    assert page.execute_script("return document.activeElement.id") == "main"
    assert page.execute_script("return location.hash") == "#second"


def test_two_competitors_are_compared_track_by_track(page):
    press(page, HOSTILE)
    rows = page.execute_script(
        "return [...document.querySelectorAll('main table')[1].tBodies[0].rows]"
        ".map(r => [r.cells[0].textContent, r.cells[3].textContent])"
    )
    assert rows[0] == ["a.wav", "-0.200"]
    assert rows[1][1] == "+0.050"
    code = page.execute_script("return document.querySelector('code').textContent")
    assert code == f"featx bench run first --with {HOSTILE}"


def test_speeds_are_marked_at_one_two_and_five(page):
    script = "return [...document.querySelectorAll('svg text')].map(text => text.textContent)"
    marks = [text for text in page.execute_script(script) if text.isdigit()]
    assert marks == ["10", "20", "50", "100", "200", "500", "1000", "2000"]
    about = page.execute_script("return document.getElementById('about').textContent")
    assert about.startswith("2 tasks, 3 competitors;")


def test_names_of_points_do_not_overlap(page):
    script = """
      const [taken, boxes] = [[], []];
      for (let i = 0; i < 40; i++) taken.push([300 + (i * 37) % 90, 200 + (i * 53) % 60]);
      const all = taken.map(([x, y]) => [x - 4, y - 4, x + 4, y + 4]);
      for (const [x, y] of taken) {
        const box = freePlace(x, y, 80, all, [50, 8, 896, 516]);
        if (box) { all.push(box); boxes.push(box); }
      }
      return [boxes, all];
    """
    boxes, taken = page.execute_script(script)
    assert len(boxes) > 20
    for box in boxes:
        others = [other for other in taken if other != box]
        assert not [
            other
            for other in others
            if min(box[2], other[2]) > max(box[0], other[0])
            and min(box[3], other[3]) > max(box[1], other[1])
        ]


def test_hostile_text_stays_text(page):
    assert page.title == "featx bench"
    assert page.execute_script("return document.images.length") == 0
    assert page.execute_script("return document.scripts.length") == 2


@pytest.mark.parametrize("width", [1200, 400])
def test_page_does_not_scroll_sideways(page, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_nothing_leaves_the_page_and_no_error_is_logged(page):
    press(page, "second")
    log = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        entry["params"]["request"]["url"]
        for entry in log
        if entry["method"] == "Network.requestWillBeSent"
    ]
    # the browser opens pages of its own before it opens this one
    others = [url for url in asked if not url.startswith(("file:", "data:", "chrome:", "about:"))]
    assert not others
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
