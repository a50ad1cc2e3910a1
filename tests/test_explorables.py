"""The explorables: what the browser computes is what torch computes, in little space and time."""

import base64
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from eae_book.render.dark import dark_colours
from eae_book.studies.sphere import expected_sphere_estimate
from eae_core import knn_entropy
from eae_core.entropy.expectation import expected_gaussian_estimate

FOLDER = Path(__file__).resolve().parents[1] / "book/_static/explorables"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
SAID = "document.querySelector('.explorable-said').innerText"
LARGEST = 500_000  # bytes of all scripts of the latent explorer


def read_data(name):
    text = (FOLDER / name).read_text(encoding="ascii")
    return json.loads(text.partition("=")[2].rstrip(";\n"))


def decode(model, code):
    """The decoder as written, in double precision."""
    x = torch.tensor(code, dtype=torch.float64)
    for number, layer in enumerate(model["layers"]):
        scale, bias = (
            torch.from_numpy(np.frombuffer(base64.b64decode(layer[key]), "<f4").astype(float))
            for key in ("s", "b")
        )
        whole = np.frombuffer(base64.b64decode(layer["w"]), np.int8).reshape(len(bias), -1)
        x = torch.from_numpy(whole.astype(float)) * scale[:, None] @ x + bias
        x = x.relu() if number < len(model["layers"]) - 1 else x.sigmoid()
    return x.numpy()


@pytest.fixture(scope="module")
def page():
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no browser: install one of {', '.join(BROWSERS)}, or name it in CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page()
        places = ("latent-explorer", "climbing-points", "sphere-threshold")
        page.set_content("".join(f'<div id="{place}"></div>' for place in places))
        for name in ("paper", "latent-data", "latent", "climb", "threshold-data", "threshold"):
            page.add_script_tag(path=FOLDER / f"{name}.js")
        page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
        yield page
        browser.close()


@pytest.mark.browser
def test_the_browser_decodes_what_torch_decodes(page):
    data = read_data("latent-data.js")
    codes = [[0.0, 0.0], [1.5, -0.3], [-2.2, 2.9], [3.9, -3.9]]
    for number, model in enumerate(data["models"]):
        for code in codes:
            pixels = page.evaluate(
                "([i, z]) => Array.from(EAE_EXPLORE.decode("
                "EAE_EXPLORE.unpack(EAE_LATENT.models[i]), z))",
                [number, code],
            )
            assert len(pixels) == data["side"] ** 2
            assert np.abs(np.array(pixels) - decode(model, code)).max() <= 1 / 255


def grounds(page):
    """The corner of every canvas that is paper, as red, green, blue."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".explorable-paper, canvas[tabindex]")].map((c) =>
          [...c.getContext("2d").getImageData(1, 1, 1, 1).data].slice(0, 3))"""
    )


@pytest.mark.browser
def test_paper_is_as_dark_as_the_page(page):
    assert grounds(page) == [[255] * 3] * 7
    root = "document.documentElement"
    page.evaluate(f"{root}.style.setProperty('--pst-color-background', 'rgb(18, 18, 20)')")
    page.evaluate(f"{root}.dataset.theme = 'dark'")
    page.wait_for_timeout(200)
    assert grounds(page) == [[18, 18, 20]] * 7
    page.evaluate(f"{root}.dataset.theme = 'light'")
    page.wait_for_timeout(200)
    assert grounds(page) == [[255] * 3] * 7


@pytest.mark.browser
@pytest.mark.parametrize("color", ["#0072b2", "#d55e00", "#777", "#ffffff", "#000"])
def test_colours_turn_dark_as_those_of_the_figures_do(page, color):
    found = page.evaluate("c => EAE_PAPER.turned(c, '#121212', 'rgb(233, 236, 240)')", color)
    light = np.rint(255 * np.array(to_rgb(color))) / 255
    dark = dark_colours(light)
    assert [int(v) for v in re.findall(r"\d+", found)] == pytest.approx(dark.tolist(), abs=1)


@pytest.mark.browser
def test_a_decode_fits_into_a_frame(page):
    seconds = page.evaluate(
        """() => {
          const models = EAE_LATENT.models.map(EAE_EXPLORE.unpack);
          const times = [];
          for (let i = 0; i < 30; i += 1) {
            const start = performance.now();
            models.forEach((model) => EAE_EXPLORE.decode(model, [i / 10, -i / 10]));
            times.push(performance.now() - start);
          }
          return Math.min(...times) / 1000;
        }"""
    )
    assert seconds / 4 < 0.016


def test_the_latent_explorer_is_light():
    size = sum(
        (FOLDER / name).stat().st_size for name in ("paper.js", "latent-data.js", "latent.js")
    )
    assert size <= LARGEST


@pytest.mark.browser
def test_the_explorer_answers_to_the_hand_and_to_keys(page):
    said = page.locator("#latent-explorer .explorable-said")
    assert said.inner_text() == "code (0.00, 0.00)"
    plane = page.locator("#latent-explorer canvas[tabindex]").first
    box = plane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 4)
    page.mouse.up()
    page.wait_for_function(f"() => {SAID} !== 'code (0.00, 0.00)'")
    x, y = (float(part) for part in said.inner_text()[6:-1].split(","))
    assert abs(x - 2) < 0.1
    assert abs(y - 2) < 0.1
    plane.press("ArrowLeft")
    page.wait_for_function(f"() => {SAID} !== 'code ({x:.2f}, {y:.2f})'")
    assert float(said.inner_text()[6:-1].split(",")[0]) == pytest.approx(x - 0.1, abs=0.011)
    page.get_by_text("draw a Gaussian code").click()
    page.wait_for_timeout(100)
    assert said.inner_text().startswith("code (")


@pytest.mark.browser
@pytest.mark.parametrize(("n", "d", "k"), [(20, 2, 1), (50, 8, 3)])
def test_climbing_points_follow_the_estimator_of_the_book(page, n, d, k):
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    z = (z - z.mean(0)) / z.std(0, correction=0)
    z.requires_grad_(True)
    expected = knn_entropy(z, k)
    expected.backward()
    found = page.evaluate(
        "([z, n, d, k]) => { const e = EAE_CLIMB.estimate(z, n, d, k);"
        " return { value: e.value, gradient: Array.from(e.gradient) }; }",
        [z.detach().flatten().tolist(), n, d, k],
    )
    assert found["value"] == pytest.approx(expected.item(), abs=1e-6)
    assert np.allclose(found["gradient"], z.grad.flatten().numpy(), atol=1e-8)
    values = page.evaluate(
        """([z, n, d, k]) => {
          let x = z; const values = [];
          for (let i = 0; i < 60; i += 1) {
            const step = EAE_CLIMB.climb(x, n, d, k, 0.02); x = step.x; values.push(step.value);
          }
          return values;
        }""",
        [z.detach().flatten().tolist(), n, d, k],
    )
    assert values[-1] > values[0] + 0.5


@pytest.mark.browser
def test_the_threshold_is_that_of_the_exact_theory(page):
    table = read_data("threshold-data.js")
    for d, n in ((4, 100), (16, 1000), (16, 10**6)):
        gain = page.evaluate("([d, n]) => EAE_THRESHOLD_AT(EAE_THRESHOLD, d, n)", [d, n])
        exact = expected_gaussian_estimate(d, n) - expected_sphere_estimate(d, n)
        assert gain == pytest.approx(exact, abs=2e-3)
    at = table["threshold"][table["dimensions"].index(8)]
    below, above = (
        expected_gaussian_estimate(8, n) - expected_sphere_estimate(8, n)
        for n in (round(at / 1.1), round(at * 1.1))
    )
    assert below < 0 < above
