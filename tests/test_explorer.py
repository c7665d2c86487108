"""The explorer and the dial: their numbers are the package's, and they work in a browser, by keyboard, and without scripts."""

import json
import re

import nbformat
import numpy as np
import pytest
import torch
from conftest import ROOT

from gffn_core.experiments import profiles, tables
from gffn_core.experiments.store import Store
from gffn_core.losses import conditional_nll, joint_nll
from gffn_core.pages import explorer, publish
from gffn_core.training.run import Run

PAGE = "notebooks/explorer.html"


@pytest.fixture(scope="module")
def records():
    runs = [run for name in ("cpu", "binary", "fewer", "weight") for run in profiles.profile(name).runs()]
    return list(Store(ROOT / "results").select(runs).values())


@pytest.fixture(scope="module")
def embedded():
    """The text of the data in the page."""
    cells = nbformat.read(ROOT / "notebooks/explorer.ipynb", as_version=4).cells
    (text,) = re.findall(r'id="gffn-explorer-data">(.*?)</script>', publish.page_of(cells))
    return text


# ---- the data


def test_page_holds_the_numbers_of_the_published_records(records, embedded):
    cells = json.loads(embedded)["cells"]
    found = {(c["dataset"], c["labels"], c["batch"], c["loss"], c["weight"], c["scheme"]): c for c in cells}
    runs = {}
    for r in records:
        run = r["run"]
        weight = f"{Run.of(run).settings().get('kl_weight', 1):g}"
        key = (run["dataset"], run["label_space"], run["batch_size"], run["loss"], weight)
        runs.setdefault(key, {})[run["seed"]] = r["evaluations"]
    assert len(found) == len(cells) == 2 * len(runs)
    for key, seeds in runs.items():
        for scheme in ("early", "long"):
            cell, first = found[*key, scheme], seeds[min(seeds)][scheme]
            assert sorted(cell["seeds"]) == sorted(seeds)
            for name, value in {
                "accuracy": lambda e: e["test_accuracy"],
                "ece": lambda e: e["ece"]["uniform10"],
            }.items():
                assert cell[name][0] == pytest.approx(
                    np.mean([value(e[scheme]) for e in seeds.values()]), abs=1e-4
                )
                assert (cell[name][1] is None) == (len(seeds) < tables.SEEDS)
            for score, (mean, _) in cell["auroc"].items():
                aurocs = [e[scheme]["ood"]["scores"][score]["auroc"] for e in seeds.values()]
                assert mean == pytest.approx(np.mean(aurocs), abs=1e-4)
            curves = [e[scheme]["ood"]["scores"]["log_px"]["tpr_on_fpr_grid"][::2] for e in seeds.values()]
            assert cell["roc"]["log_px"] == pytest.approx(1000 * np.mean(curves, axis=0), abs=0.51)
            _, share, right, _, low, high = np.transpose(cell["bins"])
            # Weighed by their shares, the bins' accuracies give that of all images back.
            assert [sum(share), share @ right] == pytest.approx([1, cell["accuracy"][0]], abs=2e-3)
            assert (low <= right).all() and (right <= high).all()
            histogram = first["ood"]["scores"]["log_px"]["histogram"]
            assert cell["log_px"]["inside"] == pytest.approx(
                1000 * np.array(histogram["inside"]) / sum(histogram["inside"]), abs=0.51
            )


def test_page_data_is_small_and_plain(embedded):
    cells = json.loads(embedded, parse_constant=pytest.fail)["cells"]  # NaN is no JSON
    assert len(embedded) < 3_000 * len(cells) < 900_000
    assert "<" not in embedded


def test_diverged_runs_and_missing_foreign_data_are_left_out(records):
    record = json.loads(json.dumps(records[0]))
    assert explorer.cells([{**record, "diverged": 3}]) == []
    for evaluation in record["evaluations"].values():
        del evaluation["ood"]
    assert all("roc" not in cell and "log_px" not in cell for cell in explorer.cells([record]))


# ---- the built page


def test_library_comes_with_the_book_and_only_the_explorer_loads_it(html):
    library = html / "_static/vega.js"
    page = html / PAGE
    assert library.stat().st_size + page.stat().st_size < 2_000_000
    loads = {p.name for p in html.rglob("*.html") if "_static/vega.js" in p.read_text()}
    assert loads == {page.name}


def opened(visit, state="", **wishes):
    tab = visit(PAGE + state, **wishes)
    tab.wait_for_selector("#gffn-explorer svg")
    return tab


LABELS = {
    "dataset": "data set",
    "labels": "label space",
    "batch": "batch size",
    "weight": "KL weight",
    "scheme": "scheme",
}


def choice(tab, label):
    return tab.get_by_role("combobox", name=label, exact=True)


def chosen(tab):
    return {s.get_attribute("name"): s.input_value() for s in tab.query_selector_all("#gffn-explorer select")}


def says(tab):
    """Once it has followed the address."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tab.inner_text("#gffn-explorer [aria-live]")


def drawings(tab):
    tab.wait_for_function(
        "[...document.querySelectorAll('#gffn-explorer figure')].every(f => f.querySelector('svg'))"
    )
    return tab.locator("#gffn-explorer figure svg").count()


def test_choices_change_what_is_said_and_drawn(visit, embedded):
    tab = opened(visit)
    assert drawings(tab) == 8  # four drawings for each loss
    for cell in json.loads(embedded)["cells"][::89]:
        for name in LABELS:
            choice(tab, LABELS[name]).select_option(str(cell[name]))
        choice(tab, "loss").select_option(cell["loss"])
        tab.wait_for_function(f"location.hash.includes('loss={cell['loss']}')")
        assert chosen(tab) == {k: str(cell[k]) for k in (*LABELS, "loss")}
        assert f"accuracy {100 * cell['accuracy'][0]:.1f}" in says(tab)
        assert f"ECE {cell['ece'][0]:.3f}" in says(tab)
        assert f"AUROC of ln p(x) {cell['auroc']['log_px'][0]:.3f}" in says(tab)
        assert drawings(tab) == 4


def test_link_reload_back_and_forward_keep_the_view(visit):
    tab = opened(visit, "#dataset=mnist&batch=16&scheme=early&loss=joint")
    linked = {"dataset": "mnist", "batch": "16", "scheme": "early", "loss": "joint", "labels": "categorical"}
    linked |= {"weight": "1"}
    assert chosen(tab) == linked
    choice(tab, "batch size").select_option("64")
    assert "batch size 64" in says(tab)
    tab.reload()
    tab.wait_for_selector("#gffn-explorer svg")
    assert chosen(tab) == linked | {"batch": "64"}
    tab.go_back()
    tab.wait_for_function("document.querySelector('#gffn-explorer [name=batch]').value === '16'")
    tab.go_forward()
    tab.wait_for_function("document.querySelector('#gffn-explorer [name=batch]').value === '64'")
    # A link to a section of the page is no state.
    tab.evaluate("location.hash = 'all-numbers'")
    assert chosen(tab) == linked | {"batch": "64"}


def test_the_weight_is_the_joint_losss_alone(visit):
    """The conditional net stays beside every weight."""
    tab = opened(visit, "#dataset=cifar10_10000&batch=64&weight=30")
    assert chosen(tab)["weight"] == "30" and "weight 30" in says(tab)
    assert says(tab).count("accuracy") == drawings(tab) / 4 == 2


def test_page_follows_results_that_are_not_there_yet(visit, html, embedded):
    """Several seeds, another label space, a cell with one loss alone, a data set without foreign images."""
    data = json.loads(embedded)
    wanted = {"dataset": "cifar10", "batch": 256, "scheme": "long", "labels": "categorical"}
    conditional, joint = (c for c in data["cells"] if wanted.items() <= c.items())
    conditional |= {"seeds": [0, 1, 2], "accuracy": [0.6, 0.012], "ece": [0.2, 0.034]}
    alone = {k: v for k, v in joint.items() if k not in ("auroc", "roc", "log_px", "outside")} | {
        "labels": "binary"
    }
    data["cells"] = [conditional, joint, alone]
    text = (html / PAGE).read_text().replace(embedded, json.dumps(data))
    tab = visit(PAGE)
    tab.route("**/explorer.html*", lambda route: route.fulfill(body=text, content_type="text/html"))
    tab.reload()
    tab.wait_for_selector("#gffn-explorer svg")
    assert "accuracy 60.0 ± 1.2 %, ECE 0.200 ± 0.034" in says(tab) and "3 runs, seeds 0, 1, 2" in says(tab)
    choice(tab, "label space").select_option("binary")
    tab.wait_for_function("location.hash.includes('binary')")
    assert "no out-of-distribution data" in says(tab) and "no run with the standard loss yet" in says(tab)
    assert drawings(tab) == 2
    choice(tab, "label space").select_option("categorical")
    tab.wait_for_function("location.hash.includes('categorical')")
    assert drawings(tab) == 8


def test_address_that_asks_for_what_is_not_there_says_so(visit):
    """Opened, or changed by hand in the page that stands there."""
    states = "dataset=imagenet batch=7 batch=x scheme=&loss=none labels=%E0%A4%A dataset=toString".split()
    tab = opened(visit, f"#{states[0]}")
    for state in states:
        tab.goto(f"{tab.url.partition('#')[0]}#{state}")
        asked = re.match(r"\w+=\w*", state)[0]
        tab.wait_for_function(
            "says => document.querySelector('#gffn-explorer [aria-live]').innerText.includes(says)",
            arg=f"The results do not hold {asked}",
        )
        assert "Shown instead" in says(tab) and drawings(tab) == 8


def test_keyboard_alone_changes_the_view_and_keeps_the_focus(visit):
    tab = opened(visit, "#dataset=mnist&batch=16")
    choice(tab, "data set").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("location.hash.includes('batch=32')")
    assert "batch size 32" in says(tab)
    assert tab.evaluate("document.activeElement.name") == "batch"


def test_drawings_fit_a_narrow_screen_and_follow_the_dark_mode(visit):
    tab = opened(visit, viewport={"width": 400, "height": 800})
    drawings(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    boxes = [svg.bounding_box() for svg in tab.query_selector_all("#gffn-explorer svg")]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 400 for box in boxes)
    label = "getComputedStyle(document.querySelector('#gffn-explorer svg .role-axis-label text')).fill"
    colours = set()
    for theme in ("light", "dark"):
        tab.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        text = tab.evaluate("getComputedStyle(document.querySelector('#gffn-explorer')).color")
        assert tab.evaluate(label) == text
        colours.add(text)
    assert len(colours) == 2


def test_without_scripts_a_figure_and_the_numbers_stand_there(visit, embedded):
    page = visit(PAGE, java_script_enabled=False)
    assert not page.is_visible("#gffn-explorer")
    assert page.is_visible("figure.gffn-figure svg")
    cell = json.loads(embedded)["cells"][0]
    assert f"{100 * cell['accuracy'][0]:.1f}" in page.inner_text("table")


# ---- the dial of chapter 1

THEORY = "notebooks/theory.html"
TARGET = torch.tensor([0, 1, 1])
MOVES = {
    "as it stands": [[2.0, 0.0], [1.0, -1.0], [-2.0, 0.0]],
    "even ln p(x)": [[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]],
    "far ends": [[5.0, -5.0], [-5.0, 5.0], [5.0, 5.0]],
    "anywhere": [[0.3, -1.7], [4.1, 3.2], [-2.2, 0.4]],
}


def dial_of(page):
    """The numbers that the dial shows: three losses, p'(x) of each example, and the rows' four columns."""
    read = "elements => elements.map(e => Number(e.textContent))"
    losses = page.locator("#gffn-dial p output").evaluate_all(read)
    weights = page.locator("#gffn-dial tbody th output").evaluate_all(read)
    cells = page.locator("#gffn-dial td[style]").evaluate_all(read)
    return losses, weights, np.reshape(cells, (6, 4))


def check_dial(page, logits):
    losses, weights, table = dial_of(page)
    f = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    values = [loss(f, TARGET) for loss in (conditional_nll, joint_nll)]
    gradients = [torch.autograd.grad(value, f)[0].flatten() for value in values]
    joint = f.detach().flatten().softmax(0)
    wanted = [f.detach().softmax(-1).flatten(), joint, *gradients]
    a, b = (value.item() for value in values)
    assert losses == pytest.approx([a, b, b - a], abs=6e-4)
    assert weights == pytest.approx(joint.view(3, 2).sum(1).tolist(), abs=6e-4)
    assert table == pytest.approx(torch.stack(wanted, 1).numpy(), abs=6e-4)


def test_dial_computes_what_the_package_computes(visit):
    tab = visit(THEORY)
    for logits in MOVES.values():
        for slider, value in zip(tab.query_selector_all("#gffn-dial input"), np.ravel(logits)):
            slider.fill(str(value))
        check_dial(tab, logits)


def test_dial_fits_a_narrow_screen_and_answers_to_the_keyboard(visit):
    tab = visit(THEORY, viewport={"width": 400, "height": 800})
    assert tab.evaluate("(d => d.scrollWidth - d.clientWidth)(document.querySelector('#gffn-dial'))") <= 0
    (conditional, joint, _), _, _ = dial_of(tab)
    tab.get_by_role("button", name="+1 to both logits of example 2").press("Enter")
    check_dial(tab, [[2.0, 0.0], [2.0, 0.0], [-2.0, 0.0]])
    (still, moved, _), _, _ = dial_of(tab)
    assert still == conditional and moved != joint  # what the text tells the reader to look for
    tab.get_by_role("slider", name="logit of example 3, class B").press("ArrowRight")
    check_dial(tab, [[2.0, 0.0], [2.0, 0.0], [-2.0, 0.1]])
    tab.get_by_role("slider", name="logit of example 1, class A").press("End")
    # No room left: nothing moves.
    tab.get_by_role("button", name="+1 to both logits of example 1").press("Enter")
    check_dial(tab, [[5.0, 0.0], [2.0, 0.0], [-2.0, 0.1]])


def test_dial_without_scripts_is_a_table_with_the_same_numbers(visit):
    page = visit(THEORY, java_script_enabled=False)
    check_dial(page, MOVES["as it stands"])
    assert page.inner_text("#gffn-dial td") == "2.0"
