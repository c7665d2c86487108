"""Film of training: its last frame is the published net, its sentences are so, and every reader can run it."""

import json
import re

import pytest
from conftest import ROOT

from gffn_core.experiments.profiles import profile
from gffn_core.experiments.store import Store

FILM = json.loads(
    (ROOT / "book/_static/film_frames.js")
    .read_text()
    .removeprefix("globalThis.gffnFilm = ")
    .removesuffix(";\n")
)["nets"]
PAGE = "book/film.html"


def test_each_frame_counts_all_images():
    for frames in FILM.values():
        assert len(frames) == 31
        for frame in frames:
            assert sum(frame["share"]) == pytest.approx(1, abs=1e-3)
            assert sum(frame["ln_z"]) == pytest.approx(1, abs=5e-3)


@pytest.fixture(scope="module")
def published():
    """By loss what the record of the same run says of its end."""
    records = Store(ROOT / "results").select(profile("fewer").runs(batch_sizes=[64], seeds=[0]))
    return {run.loss: record["evaluations"]["long"] for run, record in records.items()}


def test_the_last_frame_is_about_the_published_net(published):
    """Another machine trained that one, so equal up to what a second execution varies by."""
    assert set(published) == set(FILM)
    for loss, long in published.items():
        last = FILM[loss][-1]
        assert last["accuracy"] == pytest.approx(long["test_accuracy"], abs=0.03)
        assert last["ece"] == pytest.approx(long["ece"]["uniform10"], abs=0.03)


def modesty(frame):
    """How much more often a net is right than it says."""
    return sum(s * (r - (i + 0.5) / 10) for i, (s, r) in enumerate(zip(frame["share"], frame["right"])))


def test_the_sentences_are_so(published):
    text = " ".join((ROOT / "book/film.md").read_text().split())
    standard, joint = FILM["conditional"], FILM["joint"]
    first = standard[1]["spread"] / joint[1]["spread"]
    assert f"{first:.1f} times as much as that of the joint net" in text
    assert f"({standard[1]['spread']:.2f} against {joint[1]['spread']:.2f} nats)" in text
    worst = max(frame["ece"] for frame in standard[:7] + joint[:7])
    assert f"until epoch 6 neither error exceeds {worst + 0.0005:.3f}" in text
    below = [100 * (max(f["accuracy"] for f in one) - one[6]["accuracy"]) for one in (standard, joint)]
    assert (
        "(errors of {:.3f} and {:.3f}), {:.1f} and {:.1f} points".format(
            standard[6]["ece"], joint[6]["ece"], *below
        )
        in text
    )
    assert f"to {standard[30]['spread']:.2f} nats in epoch 30" in text
    assert f"{standard[30]['ece']:.3f} against the joint net's {joint[30]['ece']:.3f}" in text
    assert f"joint net has {joint[30]['accuracy']:.1%}" in text.replace(" %", "%")
    assert f"standard net {standard[30]['accuracy']:.1%}" in text.replace(" %", "%")
    for frames in FILM.values():  # none comes back
        assert frames[30]["ece"] > frames[20]["ece"] > frames[10]["ece"]
        assert frames[30]["spread"] > frames[20]["spread"] > frames[10]["spread"]
    for one, other in zip(joint[2:6], standard[2:6]):  # too modest, and more so
        assert modesty(one) > max(modesty(other), 0.03)
    elsewhere = {loss: long["ece"]["uniform10"] for loss, long in published.items()}
    assert f"errors of {elsewhere['conditional']:.3f} and {elsewhere['joint']:.3f}" in text
    right = [f"{published[loss]['test_accuracy']:.1%}" for loss in ("joint", "conditional")]
    assert " and ".join(right) in text.replace(" %", "%")


def test_the_slider_shows_its_epoch_by_keyboard_on_a_phone(visit):
    page = visit(PAGE, viewport={"width": 390, "height": 900})
    slider = page.get_by_label("Epoch", exact=True)
    slider.press("End")
    assert page.locator("#gffn-film output").inner_text() == "epoch 30 of 30"
    cells = page.locator("#gffn-film tbody tr").first.inner_text().split()
    assert cells[0] == "standard" and f"{FILM['conditional'][30]['ece']:.3f}" in cells
    drawn = page.locator("#gffn-film svg").first.get_attribute("aria-label")
    assert f"standard deviation of ln Z {FILM['conditional'][30]['spread']:.2f}" in drawn
    slider.press("Home")
    assert page.locator("#gffn-film output").inner_text() == "before training"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_it_plays_and_can_be_paused(visit):
    page = visit(PAGE)
    button = page.get_by_role("button", name=re.compile("Play|Pause"))
    button.click()
    page.wait_for_function("document.querySelector('#gffn-film input').value > 1")
    button.click()
    assert button.inner_text() == "Play"
    at = page.locator("#gffn-film input").input_value()
    page.wait_for_timeout(600)
    assert page.locator("#gffn-film input").input_value() == at


def test_who_wants_less_motion_gets_the_slider_alone(visit):
    page = visit(PAGE, reduced_motion="reduce")
    assert page.get_by_label("Epoch", exact=True).is_visible()
    assert not page.locator("#gffn-film button").is_visible()
