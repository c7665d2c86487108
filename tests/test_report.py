"""Tables against SciPy, and figures that work in any colour scheme and without eyes."""

import json
import re
import xml.etree.ElementTree as ET
from urllib.request import urlopen

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import HOSTILE, ROOT
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gffn_core.cli import main
from gffn_core.experiments import tables
from gffn_core.experiments.profiles import Profile, profile
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from gffn_core.pages import chapter, figures, publish, style, words
from gffn_core.training import course, step

PROFILE = Profile("small", ("digits_0_4",), epochs={64: 1, 256: 2}, seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    sweep(PROFILE.runs(), store, device="cpu")  # in this process: two others would import torch first
    return list(store.select(PROFILE.runs()).values())


@pytest.fixture(scope="module")
def table(records):
    return tables.frame(records)


def test_a_row_per_run_and_scheme(records, table):
    assert len(table) == 2 * len(records) == 24
    row, record = table.iloc[-1], records[-1]
    assert row["scheme"] == "long" and row["test_accuracy"] == record["evaluations"]["long"]["test_accuracy"]
    assert row["overconfidence"] == row["confidence"] - row["test_accuracy"]
    assert row["underfit"] == (row["train_accuracy"] < course.FITTED)
    assert not table[table["scheme"] == "early"]["underfit"].any()


def test_every_column_is_explained(records, table):
    assert list(table.columns) == list(tables.COLUMNS)
    record, row = records[-1], table.iloc[-1]
    for name, (meaning, unit, place) in tables.COLUMNS.items():
        assert meaning and unit
        if isinstance(place, str) and "." in place and name != "kl_weight":  # which the record lacks
            found = record["evaluations"]["long"] if place.startswith(".") else record
            for key in place.removeprefix(".").split("."):
                found = found[key]
            assert found == row[name], name


def test_exported_table_is_that_of_the_records(tmp_path):
    table = tables.frame(Store(ROOT / "results").select(profile("cpu").runs()).values())
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        path = tmp_path / f"table{suffix}"
        assert main(["export", "cpu", str(path), "--results", str(ROOT / "results")]) == 0
        pd.testing.assert_frame_equal(read(path).fillna({"augmentation": ""}), table, check_dtype=False)


def test_a_table_that_cannot_be_exported_says_why(tmp_path, monkeypatch, capsys):
    assert main(["export", "cpu", str(tmp_path / "table.xlsx")]) == 1
    assert main(["export", "cpu", str(tmp_path / "table.csv"), "--results", str(tmp_path / "none")]) == 1
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    assert main(["export", "cpu", str(tmp_path / "table.parquet"), "--results", str(ROOT / "results")]) == 1
    said = capsys.readouterr().err
    assert (
        "must end in .csv or .parquet" in said
        and "name a folder that `gffn sweep` has filled" in said
        and "gffn-core[parquet]" in said
    )
    assert not list(tmp_path.iterdir())


def test_values_of_seeds_have_the_interval_of_a_t_test():
    values = pd.Series([0.2, 0.5, 0.1, 0.4], index=[3, 5, 7, 9])
    found, wanted = tables.over_seeds(values), stats.ttest_1samp(values, 0).confidence_interval()
    assert found["mean"] == pytest.approx(0.3) and [*found[["low", "high"]]] == pytest.approx([*wanted])


@pytest.mark.parametrize("metric", ["test_accuracy", "ece"])
def test_intervals_are_those_of_scipy(table, metric):
    cells = tables.summary(table, metric)
    pairs = tables.paired_difference(table, metric)
    assert (cells["n"] == 3).all() and len(cells) == 8 and len(pairs) == 4
    for cell in pairs.itertuples():
        here = table[(table["scheme"] == cell.scheme) & (table["batch_size"] == cell.batch_size)]
        values = {loss: part.sort_values("seed")[metric].to_numpy() for loss, part in here.groupby("loss")}
        wanted = stats.ttest_rel(values["joint"], values["conditional"]).confidence_interval(0.95)
        if values["joint"].tolist() != values["conditional"].tolist():
            np.testing.assert_allclose([cell.mean - cell.half, cell.mean + cell.half], wanted, atol=1e-12)
        single = cells[(cells["scheme"] == cell.scheme) & (cells["batch_size"] == cell.batch_size)]
        for row in single.itertuples():
            wanted = stats.ttest_1samp(values[row.loss], 0).confidence_interval(0.95)
            if np.ptp(values[row.loss]):
                np.testing.assert_allclose([row.mean - row.half, row.mean + row.half], wanted, atol=1e-12)


def test_too_few_seeds_have_no_interval_and_say_so(records):
    two = [record for record in records if record["run"]["seed"] < 2]
    assert tables.summary(tables.frame(two), "ece")["half"].isna().all()
    one = [record for record in records if record["run"]["seed"] == 0]
    assert tables.summary(tables.frame(one), "ece")["half"].isna().all()
    assert "seed 0, too few for intervals" in words.basis(one, "small")
    assert "seeds 0, 1, 2, bars: 95 % interval where a cell has 3 seeds or more" in words.basis(
        records, "small"
    )
    other = next(record for record in records if record["run"]["seed"] == 1)
    assert f"seeds 0, 1 (1 of {len(one)}), too few" in words.basis([*one, other], "small")


def test_a_run_without_its_partner_is_in_no_pair(records):
    lonely = [
        r for r in records if (r["run"]["seed"], r["run"]["loss"], r["run"]["batch_size"]) != (2, "joint", 64)
    ]
    pairs = tables.paired_difference(tables.frame(lonely), "ece")
    assert pairs.set_index(["scheme", "batch_size"])["n"].to_dict() == {
        ("early", 64): 2,
        ("long", 64): 2,
        ("early", 256): 3,
        ("long", 256): 3,
    }
    with pytest.raises(ValueError, match="both losses"):
        tables.paired_difference(tables.frame([r for r in records if r["run"]["loss"] == "joint"]), "ece")


def test_coverage_tells_a_partial_grid_from_a_whole_one(records):
    whole, part = (chapter.Chapter("small", None, PROFILE.runs(), some) for some in (records, records[:5]))
    assert whole.coverage == "all 12 runs of profile `small`"
    assert part.coverage.startswith("5 of the 12 runs")


def test_a_chapter_is_refused_without_one_of_the_losses(monkeypatch, tmp_path):
    joint = lambda runs, *where, **how: {run: {} for run in runs if run.loss == "joint"}
    monkeypatch.setattr(chapter.sweep, "results", joint)
    with pytest.raises(ValueError, match="loss conditional.*`gffn sweep digits --losses conditional`"):
        chapter.open_chapter("digits", tmp_path)


def test_pair_near_takes_the_nearest_batch_on_a_log_scale(records):
    for wanted, found in ((2048, 256), (4, 64), (127, 64), (129, 256)):
        pair = chapter.pair_near(records, "digits_0_4", wanted)
        assert [(r["run"]["loss"], r["run"]["batch_size"], r["run"]["seed"]) for r in pair] == [
            ("conditional", found, 0),
            ("joint", found, 0),
        ]
    assert chapter.pair_near(records, "cifar10", 64)[0]["run"]["dataset"] == "digits_0_4"


FIGURES = {
    "by_batch_size": lambda records, table: figures.by_batch_size(
        table[table["scheme"] == "long"], "ece", "ECE"
    ),
    "difference": lambda records, table: figures.difference_by_batch_size(
        table[table["scheme"] == "early"], "ece", "gap"
    ),
    "along_training": lambda records, table: figures.along_training(records[:2], "val_accuracy", "accuracy"),
    "reliability": lambda records, table: figures.reliability(chapter.pair_near(records, "digits_0_4", 64)),
    "density_and_roc": lambda records, table: figures.density_and_roc(records[:2]),
    "auroc": lambda records, table: figures.auroc_by_score(
        table[table["scheme"] == "long"], {"auroc_log_px": "ln p(x)"}, {"digits_0_4": "Digits 5-9"}
    ),
}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, by media type."""
    outputs = []
    monkeypatch.setattr(publish, "display", lambda data, raw: outputs.append(data))
    return outputs


@pytest.mark.parametrize("name", FIGURES)
def test_figures_take_the_pages_colour_speak_and_show_hostile_records_as_text(name, records, rendered, shown):
    hostile = json.loads(json.dumps(records))
    for record in hostile:
        record["data"] |= {"title": HOSTILE, "official": False}
        record["provenance"] |= dict.fromkeys(("hardware", "code"), HOSTILE)
        for found in record["evaluations"].values():
            found["ood"]["data"]["title"] = HOSTILE
    table, alt = tables.frame(hostile), HOSTILE.replace("\n", " ")
    figure = FIGURES[name](hostile, table)
    publish.show(figure, name="a-figure", data=table, alt=alt, caption=words.basis(hostile, "small"))
    (data,) = shown
    markup, page = data["text/html"], rendered(data)
    root = ET.fromstring(markup)  # well-formed
    svg, narrow = root.findall("{http://www.w3.org/2000/svg}svg")
    assert float(narrow.get("width")) <= 365 and "display:none" in narrow.get("style")
    axes = lambda drawing: sum(one.tag.endswith("clipPath") for one in drawing.iter())
    assert axes(narrow) == axes(svg) > 0  # no panel is lost
    assert svg.get("aria-label") == alt and svg.get("role") == "img" and svg.get("viewBox")
    assert alt in data["text/plain"]
    assert "currentColor" in markup and style.INK not in markup
    # Nothing paints the page's background: that would be white on a dark page.
    assert not re.search(r"fill: #ffffff", markup)
    assert root.get("id") == "a-figure"
    (drawing,) = publish.drawings(markup).values()
    assert ET.fromstring(drawing).get("role") == "img" and "currentColor" not in drawing
    assert not page.active and "img" not in page.tags
    assert root.find("figcaption").text.count("<script>alert(1)") == 3
    if name not in ("reliability", "along_training"):  # which draw no title
        assert "$\\undefined$" in page.text[: page.text.index("Profile small")]


def test_a_drawing_on_a_page_says_what_was_drawn(shown):
    with matplotlib.rc_context(style.STYLE):
        figure, axis = plt.subplots(figsize=(6, 4))
        axis.set(xlim=(0, 3), ylim=(0, 1))
        axis.plot([1 / 3, 2], [0.12345, 1], clip_on=False)
        axis.set_title("ECE 0.0125 at T = 1.23456")
    publish.show(figure, name="it", data=pd.DataFrame({"x": [1]}), alt="0.98765", caption="")
    (svg,) = publish.drawings(shown[0]["text/html"]).values()
    assert "ECE 0.0125 at T = 1.23456" in svg and 'aria-label="0.98765"' in svg
    width, height = 6 * 72, 4 * 72
    places = [
        float(number) for number in re.search(r'd="M(\S+) (\S+)L[^"]*" style="[^"]*#1f77b4', svg).groups()
    ]
    box = figure.subplotpars
    assert places[0] == pytest.approx(width * (box.left + (box.right - box.left) / 9), abs=0.05)
    assert places[1] == pytest.approx(height * (1 - box.bottom - (box.top - box.bottom) * 0.12345), abs=0.05)


def test_a_third_loss_is_drawn(records, monkeypatch):
    other = [r | {"run": r["run"] | {"loss": "other"}} for r in records if r["run"]["loss"] == "joint"]
    assert style.loss_styles(step.OBJECTIVES) == style.LOSS_STYLE
    monkeypatch.setitem(step.OBJECTIVES, "other", step.OBJECTIVES["joint"])
    monkeypatch.setattr(figures, "LOSS_STYLE", style.loss_styles(("conditional", "joint", "other")))
    table = tables.frame([*records, *other])
    for name in ("by_batch_size", "along_training", "density_and_roc", "auroc"):
        figure = FIGURES[name]([other[0], *records], table)
        assert any("other" in text.get_text() for text in figure.findobj(figures.plt.Text)), name
        figures.plt.close(figure)


def test_a_figure_carries_its_data(records, shown):
    points = tables.curve_points(records, "val_accuracy").assign(note='a "quoted", <b>; 5 %\nü')
    figure = figures.along_training(records[:2], "val_accuracy", "accuracy")
    publish.show(figure, name="curves", data=points, alt="", caption="")
    link = ET.fromstring(shown[0]["text/html"]).find(".//a[@download='curves.csv']").get("href")
    with urlopen(link) as answer:
        read = pd.read_csv(answer)
    pd.testing.assert_frame_equal(read, points, check_dtype=False, rtol=1e-5)


def test_a_figures_name_is_fit_for_an_address():
    with pytest.raises(ValueError, match="'ECE long'.*such as 'ece-long'"):
        publish.show(None, name="ECE long", data=None, alt="", caption="")


def test_points_are_those_of_the_records(records):
    record = records[-1]
    points = tables.curve_points([record], "val_accuracy")
    assert points["value"].tolist() == record["curves"]["val_accuracy"]
    assert points.loc[points["early"], "epoch"].tolist() == [record["evaluations"]["early"]["epoch"]]
    found = record["evaluations"]["long"]
    bins = tables.bins([record])
    assert bins["count"].tolist() == found["calibration"]["uniform10"]["count"]
    points = tables.score_points(record)
    roc = points[(points["panel"] == "roc") & (points["series"] == "typicality")]
    assert roc["y"].tolist() == found["ood"]["scores"]["typicality"]["tpr_on_fpr_grid"]
    np.testing.assert_allclose(points[points["panel"] == "histogram"].groupby("series")["y"].sum(), 1)


def test_empty_bins_have_no_bar(records):
    """A bin without samples is no bin with accuracy zero."""
    pair = chapter.pair_near(records, "digits_0_4", 256)
    figure = figures.reliability(pair)
    for axis, record in zip(figure.axes[:2], pair):
        count = record["evaluations"]["long"]["calibration"]["uniform10"]["count"]
        assert len(axis.patches) == sum(n > 0 for n in count) < 10
    figures.plt.close(figure)


def test_dumbbells_stand_at_the_means(table):
    long = table[table["scheme"] == "long"]
    scores = {"auroc_log_px": "ln p(x)", "auroc_max_softmax": "max softmax"}
    figure = figures.auroc_by_score(long, scores, {"digits_0_4": "Digits 5-9"})
    means = long.groupby("loss")[[*scores]].mean()  # as many seeds at either batch size
    for loss in means.index:
        marker = style.LOSS_STYLE[loss]["marker"]
        (ends,) = (line for line in figure.axes[0].lines if line.get_marker() == marker)
        np.testing.assert_allclose(ends.get_xdata(), means.loc[loss])
        assert ends.get_ydata().tolist() == [0, 1]
    figures.plt.close(figure)


@given(st.text("a(1) :./-=|`*_~$\\{}[]<>&;#!^\"'@\n"))
def test_text_of_a_record_is_nothing_but_text(rendered, text):
    shown = words.escape(text)
    page = rendered({"text/markdown": f"Shown: {shown}. And: {shown}."})
    wanted = " ".join(text.split())
    assert page.tags == ["p"] and page.text == f"Shown: {wanted}. And: {wanted}.\n"
    table = words.markdown_table(["a", "b", "c"], [[shown, f"`a{shown}`", f"**a{shown}a**"]])
    wanted_tags = "table thead tr th th th tbody tr td td code td strong".split()
    assert rendered({"text/markdown": table}).tags == wanted_tags
    assert rendered({"text/html": f'<a title="{shown}">{shown}</a>'}).text == wanted


@pytest.mark.parametrize(
    "value, digits, text",
    (
        (0.12, 2, "+0.12"),
        (-0.03, 2, "-0.03"),
        (-0.001, 2, "0.00"),
        (0, 2, "0.00"),
        (np.float64(0.05), 1, "+0.1"),
    ),
)
def test_zero_has_no_sign(value, digits, text):
    assert words.signed(value, digits) == text


def test_an_effect_and_its_half_width_are_told_apart():
    assert words.with_half(0.004, 0.003) == "+0.004 ±\u00a00.003"
    assert words.with_half(-0.12, 0.03) == "-0.12 ±\u00a00.03"
    assert words.with_half(0.0392, 0.0388) == "+0.0392 ±\u00a00.0388"
    assert words.with_half(0.1, 0.1).startswith("+0.1")  # it ends


@pytest.mark.parametrize(
    "sizes, named",
    (
        ([4, 8, 16, 32, 64], ["4", "16", "64"]),
        ([4, 16, 64, 256, 1024, 2048], ["4", "16", "64", "256", "2048"]),
    ),
)
def test_the_first_and_the_last_batch_size_are_labelled(sizes, named):
    axis = plt.figure().add_subplot()
    style.batch_axis(axis, sizes)
    assert [label.get_text() for label in axis.get_xticklabels() if label.get_text()] == named
    plt.close(axis.figure)
