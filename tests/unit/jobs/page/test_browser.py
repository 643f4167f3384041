"""The page as a browser shows it on a phone; skipped where there is no Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.page.figures import figures
from jobs.page.render import render
from tests.unit.jobs.page.given import COUNTS, SUMMARY

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"))), None
)
#: Of a phone, in CSS pixels.
WIDTH = 390
#: Hears of errors before any other script runs.
_LISTEN = """<head><script>
  window.errors = [];
  window.addEventListener("error", event => errors.push(event.message));
  window.addEventListener("unhandledrejection", event => errors.push(String(event.reason)));
  console.error = (...words) => errors.push(words.join(" "));
</script>"""
_PHONE = f"""<!doctype html><iframe id="phone" src="page.html" style="width:{WIDTH}px;height:800px;border:0"></iframe>
<pre id="seen"></pre><script>
  phone.onload = () => setTimeout(() => {{
    const inside = phone.contentWindow, page = phone.contentDocument;
    const drawn = [...page.querySelectorAll(".chart")].map(chart => ({{
      name: chart.id, pictures: chart.querySelectorAll("svg.main-svg").length,
      marks: chart.querySelectorAll(".point").length,
      y: chart.data[0].y, names: chart.data.map(one => one.name)}}));
    seen.textContent = JSON.stringify({{
      errors: inside.errors, width: page.documentElement.scrollWidth, drawn,
      figures: JSON.parse(page.getElementById("figures").textContent),
      outcome: page.getElementById("outcome").innerText}});
  }}, 1000);
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a browser makes of the page."""
    if BROWSER is None:
        pytest.skip("no Chromium on PATH (Debian: apt install chromium)")
    folder = tmp_path_factory.mktemp("page")
    page = render(figures(SUMMARY, COUNTS)).replace("<head>", _LISTEN, 1)
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "phone.html").write_text(_PHONE, encoding="utf-8")
    return json.loads(_dump(BROWSER, folder))


def _dump(browser: str, folder: Path) -> str:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--allow-file-access-from-files", "--virtual-time-budget=20000", f"--user-data-dir={folder}/browser"]
    command = [browser, *options, "--dump-dom", f"file://{folder}/phone.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    return found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_no_script_errs(seen: Any) -> None:
    assert seen["errors"] == []


def test_every_picture_is_drawn(seen: Any) -> None:
    names = ["rows", "speed", "partitions", "stages", "saved", *(f"distribution-{at}" for at in range(3))]
    assert [chart["name"] for chart in seen["drawn"]] == names
    assert all(chart["pictures"] and chart["marks"] for chart in seen["drawn"])


def test_its_figures_are_those_of_the_run(seen: Any) -> None:
    drawn = {chart["name"]: chart for chart in seen["drawn"]}
    assert drawn["rows"]["y"] == [600, 2000]
    assert drawn["speed"]["y"] == [150, 280]
    assert drawn["partitions"]["names"] == ["p50", "p99", "longest"]
    assert drawn["distribution-0"]["names"] == ["this run", "the run before"]
    assert seen["figures"]["skew"] == 2.5
    assert re.search(r"rows scored\s+1,990\s+2,000", seen["outcome"])


def test_it_fits_a_phone(seen: Any) -> None:
    assert seen["width"] <= WIDTH
