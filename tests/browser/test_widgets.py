r"""The widgets in Chromium: their arithmetic is the package's, and mouse, touch, keyboard, paper and no script work."""

import json
import re

import numpy as np
import pytest
import quotes
from autograd import grad
from matplotlib.image import imread

from minirecon import Layer, kkt, losses, mlp
from minirecon.experiments import shipped

PAGES = {"descent": "01-claim.html", "street": "04-kkt.html", "gates": "05-losses.html", "split": "08-limits.html"}
WIDGETS = quotes.DOCS / "widgets"


@pytest.fixture
def opened(site, tab):
    r"""opened(name, width): the page of a widget, in which its script has run."""

    def at(name, width=1400, **options):
        page = tab(width, **options)
        page.goto((site / PAGES[name]).as_uri())
        page.locator(".widget [role=status]").wait_for(state="attached", timeout=5000)
        return page

    return at


def status(page):
    return page.locator(".widget [role=status]").inner_text()


def cloud(seed):
    r"""Eight points on two sides of a line, which does not touch the origin if the seed is odd."""
    rng = np.random.default_rng(seed)
    x, normal = rng.uniform(-4, 4, (8, 2)), rng.normal(size=2)
    side = x @ normal + (seed % 2)
    return x + np.sign(side)[:, None] * 0.2 * normal, np.where(side > 0, 1, -1)


@pytest.mark.parametrize("bias", [False, True])
def test_street_solves_the_svm_as_the_package_does(opened, bias):
    page, solved = opened("street"), 0
    for seed in range(40):
        x, y = cloud(seed)
        if len(set(y)) < 2:
            continue
        found = page.evaluate("([x, y, bias]) => hardMargin(x, y, bias)", [x.tolist(), y.tolist(), bias])
        try:
            w, b, lam = kkt.hard_margin(x, y, bias=bias)
        except ValueError:
            assert found is None
            continue
        solved += 1
        np.testing.assert_allclose(found["w"], w, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found["lam"], lam, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["b"], b, rtol=1e-5, atol=1e-6)
    assert solved > 10


def test_street_needs_a_line(opened):
    page = opened("street")
    assert page.evaluate("hardMargin([[1, 1], [2, 2], [3, 3]], [1, -1, 1], true)") is None
    assert page.evaluate("hardMargin([[1, 1], [2, 2]], [1, -1], false)") is None
    assert page.evaluate("hardMargin([[1, 1], [2, 2]], [1, -1], true)")["lam"] == pytest.approx([1, 1])


def test_street_begins_with_the_six_points_of_the_chapter(opened):
    page = opened("street")
    assert status(page).startswith("w = 0.38 · (0.5, 1.5) − 0.21 · (−2.0, 0.5) = (0.62, 0.46).")
    page.get_by_role("checkbox").check()
    assert ", b = " in status(page)


def test_split_measures_the_parameter_loss(opened):
    page, rng = opened("split"), np.random.default_rng(0)
    params = (Layer(np.array([[-3.0, 6.0], [2.0, 2.0]]), np.array([6.0, 1.0])), Layer(np.array([[9.0, 3.0]])))
    inside = 0
    for size in np.linspace(0.1, 5, 30):
        v, share = rng.normal(size=2), rng.uniform(0.1, 0.9)
        x = np.array([[2, 2], [-3, 0] + size * v, [-3, 0] - size * share / (1 - share) * v])
        lam = np.array([1, share, 1 - share]) / 3
        found = page.evaluate("([x, c]) => residualOf(NET, x, c)", [x.tolist(), lam.tolist()])
        assert found == pytest.approx(losses.parameter_loss(params, x, 3 * lam, np.ones(3)), rel=1e-9, abs=1e-12)
        outputs = page.evaluate("x => x.map((each) => outputOf(NET, each))", x.tolist())
        assert outputs == pytest.approx(mlp.forward(params, x).phi[:, 0])
        z = x[1:] @ params[0].weight.T + params[0].bias
        in_the_cell = (z[:, 0] > 0).all() and (z[:, 1] <= 0).all()
        assert in_the_cell == (found < 1e-12)
        inside += in_the_cell
    assert 5 < inside < 25


def test_split_says_when_a_half_leaves_the_cell_and_merging_undoes_it(opened):
    page = opened("split")
    assert "Φ 135.0 and 135.0. Residual ‖θ − Σλy∇Φ‖² = 0.000: both halves are in the cell." in status(page)
    half = page.get_by_role("slider", name="Round half of sample 2")
    half.focus()
    for key in ["ArrowRight"] * 10 + ["ArrowUp"] * 5:
        page.keyboard.press(key)
    assert "Φ 138.0 and 135.0. Residual ‖θ − Σλy∇Φ‖² = 0.778: a half has left the cell." in status(page)
    page.get_by_role("button", name="Merge").click()
    assert "both halves are in the cell" in status(page)
    assert half.get_attribute("aria-valuetext") == "−3.00, 0.00. λ 0.17"


def test_gates_have_the_loss_and_the_slope_of_the_attack(opened):
    page = opened("gates")
    unit = (Layer(np.array([[-3.0, 6.0]]), np.array([6.0])), Layer(np.array([[9.0]])))

    def loss(t, alpha):
        x = np.array([[2.0, 2.0], [-3.0, 0.0]]) + t * np.array([[1.0, -1.0], [0.0, 0.0]])
        return losses.parameter_loss(unit, x, np.full(2, 2 / 3), np.ones(2), alpha)

    for alpha in (None, 0.1, 1.0, 10.0, 100.0, 1000.0):
        for t in (-0.4, 0.0, 0.5, 1.3, 1.34, 1.4, 2.2):
            found = page.evaluate("([t, a]) => unitLoss(t, a)", [t, alpha])
            assert found["loss"] == pytest.approx(loss(t, alpha), abs=1e-9)
            assert found["slope"] == pytest.approx(grad(loss)(t, alpha), rel=1e-7, abs=1e-7)


def test_gates_show_that_a_sharp_gate_is_blind_and_a_blunt_one_is_not(opened):
    page = opened("gates")
    assert status(page) == (
        "α = 1.0. At t = 1.40 the true slope is 0.00, the smooth gate's 178.72; descent by it ends at t = 0.00."
    )
    page.get_by_role("slider", name="sharpness").fill("1")
    assert (
        "α = 10. At t = 1.40 the true slope is 0.00, the smooth gate's 35.89; descent by it ends at t = 1.3"
        in status(page)
    )
    page.get_by_role("slider", name="sharpness").fill("3")
    assert "α = 1000. At t = 1.40 the true slope is 0.00, the smooth gate's 0.00" in status(page)
    assert "ends at t = 1.40" in status(page)


def test_descent_shows_what_the_attack_found(opened):
    page = opened("descent")
    data = json.loads(re.search(r"= (\{.*\});", (WIDGETS / "descent.data.js").read_text())[1])
    frames, digits = len(data["iterations"]), data["digits"]
    assert frames == 20
    sprite = imread(WIDGETS / "descent.png")
    assert sprite.shape == ((frames + 1) * 28, digits * 28)
    images = sprite.reshape(frames + 1, 28, digits, 28).transpose(0, 2, 1, 3).reshape(frames + 1, digits, -1)
    _, data_set = shipped("mnist-n20.pth", "mnist", 20)
    truth = np.concatenate([data_set.x[data_set.y == label][:5] for label in (1, -1)])
    ncc = np.array([[np.corrcoef(*pair)[0, 1] for pair in zip(row, truth, strict=True)] for row in images])
    assert ncc[-1].min() > 0.999
    np.testing.assert_allclose(np.median(ncc[:-1], axis=1), data["ncc"], atol=0.01)
    assert (np.diff(data["loss"]) < 0).all()
    assert f"Iteration 300 of 300: loss {data['loss'][-1]:.2f}" in status(page)
    page.get_by_role("slider").fill("0")
    assert "Iteration 0 of 300" in status(page)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_text("Iteration 2 of 300").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Play").wait_for(timeout=5000)
    assert page.locator(".strip").count() == 4


@pytest.mark.parametrize("name", ["street", "split"])
def test_points_follow_mouse_finger_and_arrow_keys(opened, name):
    page = opened(name, has_touch=True)
    point = page.locator(".handle").nth(1)
    point.scroll_into_view_if_needed()

    def place():
        return [
            float(part.replace("−", "-"))
            for part in re.findall(r"[−\d]+\.\d\d", point.get_attribute("aria-valuetext"))[:2]
        ]

    def middle():
        box = point.locator(".reach").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    start = place()
    point.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert place() == pytest.approx([start[0] + 0.1, start[1] + 0.1], abs=0.011)

    start, (x, y) = place(), middle()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y + 20, steps=4)
    page.mouse.up()
    by_mouse, (x, y) = place(), middle()
    page.mouse.move(x + 5, y + 5)  # nothing follows any more
    assert place() == by_mouse
    assert by_mouse[0] < start[0] - 0.1
    assert by_mouse[1] < start[1] - 0.1

    (x, y), scrolled = middle(), page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 13):
        at = {"x": x + 2 * step, "y": y - 4 * step}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert middle() == pytest.approx((x + 24, y - 48), abs=2)
    assert page.evaluate("scrollY") == scrolled  # the page stays
    assert page.errors == []


@pytest.mark.parametrize("name", PAGES)
def test_what_can_be_moved_has_a_name_and_fits(opened, name):
    page = opened(name, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for role in ("slider", "button", "checkbox", "img"):
        for element in page.locator(".widget").get_by_role(role).all():
            assert re.match(r"- '?\w+ \"", element.aria_snapshot()), element.aria_snapshot()
    assert page.locator(".widget").get_by_role("slider").count() >= 1
    assert page.errors == []


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_and_without_script_there_is_the_picture(site, tab, opened, name):
    page = opened(name)
    still = page.locator("a:has(+ .widget)")
    assert not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible()
    assert not page.locator(".widget").is_visible()
    plain = tab(1400, java_script_enabled=False)
    plain.goto((site / PAGES[name]).as_uri())
    assert plain.locator("a:has(+ .widget) img").is_visible()
    assert plain.locator("a:has(+ .widget) img").get_attribute("alt")


def test_scripts_and_pictures_are_small():
    for path in WIDGETS.glob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 150, path.name
        assert path.name == "descent.data.js" or max(map(len, lines)) <= 120, path.name
    sizes = {path.name: path.stat().st_size for path in WIDGETS.iterdir() if path.suffix in (".svg", ".png")}
    assert max(size for name, size in sizes.items() if name != "descent.png") < 64_000
    assert sizes["descent.png"] < 400_000
