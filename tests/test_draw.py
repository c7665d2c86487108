"""Draw a digit: its maths is the package's, what its sentences say of the nets is so, and every reader can use the page."""

import base64
import functools
import json
import math
import re

import numpy as np
import pytest
import torch
from conftest import ROOT, button

from gffn_core.experiments.store import Store
from gffn_core.model import ConvNet
from gffn_core.pages.style import loss_styles

STATIC = ROOT / "book/_static"
PAYLOAD = json.loads(
    (STATIC / "draw_nets.js").read_text().removeprefix("globalThis.gffnNets = ").removesuffix(";\n")
)
NETS = PAYLOAD["nets"]


@pytest.fixture(scope="module")
def maths(browser):
    """An empty page that has the scripts: their maths needs no page of the book."""
    page = browser.new_page()
    for name in ("draw_nets.js", "draw.js"):
        page.add_script_tag(path=STATIC / name)
    page.evaluate("""() => {
      globalThis.nets = Object.fromEntries(Object.entries(gffnNets.nets).map(([name, net]) => [name, gffnDraw.netOf(net)]));
      globalThis.answers = (image) => Object.fromEntries(Object.entries(nets).map(([name, net]) =>
        [name, (({ logits, probabilities, ...rest }) => ({ ...rest, logits: [...logits] }))(gffnDraw.answer(net, image, gffnNets))]));
    }""")
    yield page
    page.close()


# ---- the nets


def array(text, dtype):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype).copy())


@functools.cache
def net(loss):
    """The package's net with the weights of the page, in double precision."""
    model = ConvNet(1, 28).double()
    state = iter(NETS[loss]["layers"])
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            layer = next(state)
            steps = array(layer["steps"], np.float32).double()
            weight = array(layer["weights"], np.int8).double().view(layer["shape"])
            module.weight.data = weight * steps.view(-1, *[1] * (weight.ndim - 1))
            module.bias.data = array(layer["biases"], np.float32).double()
    assert next(state, None) is None
    return model


def images():
    """Noise, half noise and half nothing, soft spots, and neither ink nor paper: (N, 28, 28) from 0 to 1."""
    noise = torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    line = torch.linspace(-1, 1, 28, dtype=torch.float64)
    spots = torch.stack(
        [(-(((line[:, None] - c) ** 2 + line**2) / w)).exp() for c, w in ((0, 0.1), (0.4, 0.5))]
    )
    return torch.cat([noise, noise * (line > 0), spots, torch.zeros(1, 28, 28), torch.ones(1, 28, 28)])


def test_logits_are_those_of_pytorch(maths):
    given = images()
    found = maths.evaluate(
        "images => images.map((x) => answers(Float64Array.from(x)))", given.flatten(1).tolist()
    )
    for loss in NETS:
        with torch.no_grad():
            wanted = net(loss)((given[:, None] - PAYLOAD["mean"]) / PAYLOAD["std"])
        ours = torch.tensor([one[loss]["logits"] for one in found], dtype=torch.float64)
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)
        ln_p = wanted.logsumexp(-1) - NETS[loss]["level"]
        assert [one[loss]["lnP"] for one in found] == pytest.approx(ln_p.tolist(), abs=1e-9)
        assert [one[loss]["confidence"] for one in found] == pytest.approx(
            wanted.softmax(-1).amax(-1).tolist()
        )
        assert [one[loss]["label"] for one in found] == wanted.argmax(-1).tolist()


def test_rank_is_the_share_of_test_images_below(maths):
    values = np.linspace(-3, 5, 1001)
    rank = lambda value: maths.evaluate(
        "([values, value]) => gffnDraw.rank(Float32Array.from(values), value)", [values.tolist(), value]
    )
    assert [rank(value) for value in (-9, -3, 1, 4.2, 5.1)] == pytest.approx([0, 0, 0.5, 0.9, 1], abs=1e-6)
    said = maths.evaluate("[0, 0.0004, 0.0333, 0.5, 0.9704, 0.9996, 1].map(gffnDraw.standing)")
    assert said == [
        "lower than all test images",
        "lower than 99.9 % of the test images",
        "lower than 97 % of the test images",
        "higher than 50 % of the test images",
        "higher than 97 % of the test images",
        "higher than 99.9 % of the test images",
        "higher than all test images",
    ]


def test_the_page_says_what_was_measured():
    """Of the rounding, the hills, and the detection that the published records of both runs hold."""
    text = " ".join((ROOT / "book/draw.md").read_text().split())
    told = {loss: [] for loss in NETS}
    for loss, one in NETS.items():
        for metric in ("accuracy", "ece"):
            told[loss].append([f"{100 * one[when][metric]:.2f}" for when in ("before", "after")])
    (a, b), (c, d) = told.values()
    assert f"accuracy from {a[0]} to {a[1]} % and its ECE from {b[0]} to {b[1]} %" in text
    assert f"the joint net's from {c[0]} to {c[1]} % and from {d[0]} to {d[1]} %" in text
    others, moved = ([one[what] for one in NETS.values()] for what in ("other_answers", "moved"))
    assert others == [1, 9] and "One of the 10,000 gets another answer in the standard net, nine" in text
    assert f"is {100 * moved[0]:.0f} and {100 * moved[1]:.0f} points" in text

    hill, spike = (array(one["quantiles"], np.float32) for one in NETS.values())
    assert f"{hill[-1] - hill[0]:.0f} nats wide" in text
    assert "within 0.2 nats" in text and max(-spike[50], spike[950]) < 0.2

    records = {record["key"]: record for record in Store(ROOT / "results").records()}
    published = [records[one["record"]] for one in NETS.values()]
    assert [record["run"]["loss"] for record in published] == list(NETS)
    aurocs = [r["evaluations"]["long"]["ood"]["scores"]["log_px"]["auroc"] for r in published]
    assert f"(AUROC {aurocs[0]:.2f}) and the joint net's less so ({aurocs[1]:.2f})" in text
    for record, one in zip(published, NETS.values()):
        long = record["evaluations"]["long"]
        assert one["before"]["accuracy"] == pytest.approx(long["test_accuracy"], abs=2e-4)
        assert one["level"] == pytest.approx(long["train_log_px"]["mean"], abs=0.05)


# ---- the image


FIT = "(pad) => JSON.stringify([...gffnDraw.imageOf(Float32Array.from(JSON.parse(pad)))])"  # as text: number by number is slow


def test_a_drawing_becomes_an_image_like_those_of_mnist(maths):
    """Wherever and however large it is: 20 pixels long, grey at its edges, its centre of mass in the middle."""
    fitted = lambda pad: json.loads(maths.evaluate(FIT, json.dumps(pad.ravel().tolist())))
    pad = np.zeros((140, 140))
    pad[20:87, 30:60] = 1
    pad[60:87, 60:90] = 0.5
    small = np.zeros_like(pad)
    small[70:137, 70:130] = pad[20:87, 30:90]
    image, moved = (np.array(fitted(p)).reshape(28, 28) for p in (pad, small))
    assert image == pytest.approx(moved, abs=1e-12)
    rows, columns = np.nonzero(image.sum(1))[0], np.nonzero(image.sum(0))[0]
    assert 20 <= np.ptp(rows) + 1 <= 21 and np.ptp(columns) + 1 <= 19
    middle = np.arange(28) + 0.5
    assert image.sum(1) @ middle / image.sum() == pytest.approx(14.5, abs=0.01)
    assert image.sum(0) @ middle / image.sum() == pytest.approx(14.5, abs=0.01)
    assert image.sum() == pytest.approx(pad.sum() * (20 / 67) ** 2)  # no ink is lost
    assert not any(fitted(0 * pad))


PAD_OF = """(text) => {
  const picture = JSON.parse(text);
  return JSON.stringify([...gffnDraw.padOf({ ...picture, data: Uint8ClampedArray.from(picture.data) })]);
}"""


def test_pictures_are_inverted_where_their_border_is_bright(maths):
    """Dark on paper, light on a wall, and transparent paper give the same pad; a plain picture an empty one."""
    shape = np.zeros((100, 60))
    shape[30:80, 20:40] = 1

    def pad(red, opaque=None):
        pixels = np.stack([red, red, red, np.full_like(red, 255) if opaque is None else opaque], -1)
        picture = {"data": pixels.astype(int).ravel().tolist(), "width": 60, "height": 100}
        return np.array(json.loads(maths.evaluate(PAD_OF, json.dumps(picture)))).reshape(140, 140)

    wanted = np.zeros((140, 140))
    wanted[20:120, 40:100] = shape
    assert pad(230 - 180 * shape) == pytest.approx(wanted, abs=1e-6)
    assert pad(40 + 200 * shape) == pytest.approx(wanted, abs=1e-6)
    assert pad(0 * shape, 255 * shape) == pytest.approx(wanted, abs=1e-6)
    assert not pad(np.full_like(shape, 90)).any()


# ---- what the sentences say


@pytest.fixture(scope="module")
def presets(maths):
    """By name: what both nets answer, and the sentence."""
    return maths.evaluate("""() => Object.fromEntries(gffnDraw.PRESETS.map((preset) => {
      const image = gffnDraw.imageOf(gffnDraw.padOfPreset(preset)), ink = (preset.ink ?? 100) / 100;
      return [preset.name, { see: preset.see, ...answers(image.map((value) => ink * value)) }];
    }))""")


def test_digits_are_seen_by_both(presets):
    for name, digit in (("A seven", 7), ("A three", 3)):
        assert all(presets[name][loss]["label"] == digit for loss in NETS)
        assert all(presets[name][loss]["confidence"] > 0.999 for loss in NETS)
    seven, three = presets["A seven"], presets["A three"]
    assert f"lies {-seven['conditional']['lnP']:.1f} nats below" in seven["see"]
    assert f"{-seven['joint']['lnP']:.2f} below in the joint" in seven["see"]
    assert math.exp(three["conditional"]["lnP"] - seven["conditional"]["lnP"]) > 1e6
    assert math.exp(abs(three["joint"]["lnP"] - seven["joint"]["lnP"])) < 1.1


def test_between_two_digits_only_the_joint_net_wavers(presets):
    one = presets["Four or nine"]
    joint = torch.tensor(one["joint"]["logits"]).softmax(-1)
    assert f"{joint[4]:.0%} for a four and {joint[9]:.0%} for a nine".replace("%", " %") in one["see"]
    assert one["conditional"]["label"] == 9 and "99 % sure of a nine" in one["see"]
    assert round(100 * one["conditional"]["confidence"]) == 99
    assert all(0.1 < one[loss]["rank"] < 0.9 for loss in NETS)


def test_a_letter_is_an_eight_and_gives_no_warning(presets):
    for loss in NETS:
        found = presets["A letter"][loss]
        assert found["label"] == 8 and found["confidence"] > 0.999
        assert 0.1 < found["rank"] < 0.9


def test_a_shoe_warns_and_a_grey_shoe_does_not(maths, presets):
    full, grey = presets["A shoe"], presets["A grey shoe"]
    assert [full[loss]["label"] for loss in NETS] == [2, 2]
    assert [round(100 * full[loss]["confidence"]) for loss in NETS] == [99, 91]
    assert full["conditional"]["rank"] == 0 < full["joint"]["rank"] < 0.001
    assert 0.25 < grey["joint"]["rank"] < 0.75
    fading = maths.evaluate("""() => {
      const image = gffnDraw.imageOf(gffnDraw.padOfPreset(gffnDraw.PRESETS.find(({ name }) => name === "A shoe")));
      return Array.from({ length: 101 }, (_, ink) => answers(image.map((value) => (ink * value) / 100)));
    }""")
    assert fading[0]["joint"]["rank"] == 1
    assert max(one["conditional"]["rank"] for one in fading) < 0.04


def test_nothing_and_noise_are_likelier_than_digits_to_the_joint_net(presets):
    for name, (guess, sure) in {"Empty page": (13, 41), "Noise": (16, 48)}.items():
        one = presets[name]
        assert one["joint"]["rank"] == 1
        assert [round(100 * one[loss]["confidence"]) for loss in ("joint", "conditional")] == [guess, sure]
        assert f"{guess} %" in one["see"]
        assert round(100 * (1 - one["conditional"]["rank"])) == 97 and "97 %" in one["see"]
    empty = presets["Empty page"]
    assert empty["conditional"]["label"] == 1 and "says one at 41 %" in empty["see"]
    assert max(map(abs, empty["joint"]["logits"])) < 0.5  # so ln Z is near ln 10, as the text says
    assert abs(NETS["joint"]["level"]) < 0.1 < math.log(10)


# ---- the page


def opened(visit, **wishes):
    page = visit("book/draw.html", **wishes)
    page.wait_for_selector("#gffn-draw figure")
    return page


def answered(page):
    """Digit of each net, once the page has shown what was last drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#gffn-draw figure b").all_inner_texts()


def test_what_a_mouse_draws_is_answered_on_a_phone(visit):
    page = opened(visit, viewport={"width": 400, "height": 800}, has_touch=True)
    board = page.locator("#gffn-draw canvas").first
    assert board.evaluate("b => getComputedStyle(b).touchAction") == "none"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("#gffn-draw figure b").all_inner_texts() == ["?", "?"]  # the reader has yet to guess
    assert all(svg.get_attribute("aria-label") for svg in page.locator("#gffn-draw svg").all())
    button(page, "Empty page").click()
    assert answered(page) == ["1", "1"]
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"] / 140, box["y"] + y * box["height"] / 140)
    page.mouse.move(*at(40, 34))
    page.mouse.down()
    for point in ((98, 32), (84, 60), (68, 112)):
        page.mouse.move(*at(*point))
    page.mouse.up()
    page.mouse.move(*at(20, 120))  # draws no more
    assert answered(page) == ["7", "7"]
    assert board.bounding_box() == box  # has not moved under the pen, though the sentence is shorter now
    hues = [
        f.evaluate("f => f.style.getPropertyValue('--hue')") for f in page.locator("#gffn-draw figure").all()
    ]
    styles = loss_styles(("conditional", "joint"))
    assert hues == [styles[name]["color"].lower() for name in NETS]  # as in the figures
    for figure in page.locator("#gffn-draw figure").all():
        probabilities = [int(re.match(r"\d+", text)[0]) for text in figure.locator("dd").all_inner_texts()]
        assert len(probabilities) == 10 and abs(sum(probabilities) - 100) <= 5
        label = figure.get_by_role("img").get_attribute("aria-label")
        assert re.search(r"this image at −?[\d.]+ nats, (lower|higher) than \d+ % of the test images", label)
    page.wait_for_function(
        "document.querySelector('#gffn-draw [aria-live]').textContent.includes('joint net: 7')"
    )
    button(page, "Clear").click()
    assert answered(page) == ["1", "1"]


def test_presets_and_pen_work_by_keyboard(visit):
    page = opened(visit, reduced_motion="reduce", color_scheme="dark")
    button(page, "A three").press("Enter")
    assert answered(page) == ["3", "3"]
    assert button(page, "A three").get_attribute("aria-pressed") == "true"
    page.get_by_label("ink").press("ArrowLeft")
    assert answered(page) == ["3", "3"] and page.get_by_label("ink").input_value() == "99"
    assert button(page, "A three").get_attribute("aria-pressed") == "false"
    assert "million" not in page.inner_text("#gffn-draw [aria-live]")
    button(page, "A grey shoe").press("Enter")
    page.get_by_label("ink").press("Home")
    assert answered(page) == ["1", "1"]
    assert "Move the slider" in page.inner_text("#gffn-draw [aria-live]")  # the reader just does
    board = page.get_by_role("application")
    board.press("Delete")
    assert answered(page) == ["1", "1"]
    for key, times in (("ArrowUp", 10), (" ", 1), ("ArrowDown", 20)):  # to the top, pen down, a line
        for _ in range(times):
            page.keyboard.press(key)
    answered(page)
    seen = page.evaluate(
        """() => {
          const view = document.querySelectorAll("#gffn-draw canvas")[1].getContext("2d").getImageData(0, 0, 28, 28).data;
          return Array.from({ length: 784 }, (_, i) => view[4 * i]);
        }"""
    )
    ink = np.array(seen).reshape(28, 28) > 128
    assert np.ptp(np.nonzero(ink)[0]) > 15 and np.ptp(np.nonzero(ink)[1]) < 6  # upright
    assert answered(page) == ["1", "1"]


def test_pictures_can_be_chosen_and_what_is_none_is_named(visit, tmp_path):
    page = opened(visit)
    picture = page.evaluate("""() => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 600 }), pen = canvas.getContext("2d");
      pen.fillStyle = "#eee"; pen.fillRect(0, 0, 300, 600);
      pen.lineWidth = 30; pen.strokeStyle = "#224"; pen.beginPath(); pen.ellipse(150, 300, 90, 140, 0, 0, 7); pen.stroke();
      return canvas.toDataURL().split(",")[1];
    }""")
    (tmp_path / "zero.png").write_bytes(base64.b64decode(picture))
    (tmp_path / "none.png").write_bytes(b"none")
    with page.expect_file_chooser() as chooser:
        button(page, "Picture…").click()
    chooser.value.set_files(tmp_path / "zero.png")
    page.wait_for_function("document.querySelector('#gffn-draw figure b').textContent === '0'")
    assert answered(page) == ["0", "0"]
    page.locator("#gffn-draw [type=file]").set_input_files(tmp_path / "none.png")
    page.wait_for_function(
        "document.querySelector('#gffn-draw [aria-live]').textContent.includes('cannot read')"
    )
    assert answered(page) == ["0", "0"]
