"""The playground: its maths is the package's, what its buttons promise happens, and the page works for every reader."""

import itertools
import json

import pytest
import torch
from conftest import ROOT, button
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from gffn_core.losses import conditional_nll, joint_nll, self_normalised_nll
from gffn_core.metrics import auroc, expected_calibration_error
from gffn_core.pages.style import loss_styles

SCRIPT = ROOT / "book/_static/playground.js"
LOSSES = ("conditional", "joint", "self_normalised", "references")
PAGE = "book/playground.html"


@pytest.fixture(scope="module")
def maths(browser):
    """An empty page that has the script: its maths needs no page of the book."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    yield page
    page.close()


# ---- the maths


def loss_of(name, weight, logits, target):
    """The package's loss; logits beyond those of the targets are the references'."""
    n = len(target)
    if name == "conditional":
        return conditional_nll(logits, target)
    if name == "self_normalised":
        return self_normalised_nll(logits, target, kl_weight=weight)
    references = logits[n:] if name == "references" else None
    return joint_nll(logits[:n], target, kl_weight=weight, reference_logits=references)


def cases():
    """What goes in, as the script takes it, and logits, loss and gradient from PyTorch."""
    torch.manual_seed(0)
    for name, weight, (n, classes), activation, scale in itertools.product(
        LOSSES, (0.3, 1.0, 30.0), ((1, 3), (2, 2), (9, 3)), ("tanh", "relu"), (1.0, 60.0)
    ):
        between = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]
        sizes = (2, 7, 5, classes)
        layers = [m for pair in zip(sizes, sizes[1:]) for m in (torch.nn.Linear(*pair), between())]
        net = torch.nn.Sequential(*layers[:-1]).double()
        with torch.no_grad():
            net[-1].weight *= scale  # ln Z beyond LINEAR_FROM, too
        x = 2 * torch.randn(2 * n if name == "references" else n, 2, dtype=torch.float64)
        target = torch.randint(classes, (n,))
        logits = net(x)
        loss = loss_of(name, weight, logits, target)
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        case = {
            "loss": name,
            "weight": weight,
            "sizes": sizes,
            "activation": activation,
            "parameters": parameters_to_vector(net.parameters()).tolist(),
            "x": x.flatten().tolist(),
            "labels": target.tolist(),
        }
        yield case, torch.cat([logits.flatten(), loss[None], parameters_to_vector(gradients)]).detach()


# As text: number by number is slow.
EVALUATE = """cases => JSON.stringify(JSON.parse(cases).map(({ loss, weight, sizes, activation, parameters, x, labels }) => {
  const { layersOf, forward, backward, evaluate, ACTIVATIONS } = gffnPlayground;
  const layers = layersOf(sizes), slopes = ACTIVATIONS[activation], flat = Float64Array.from(parameters);
  const values = forward(layers, slopes, flat, Float64Array.from(x)), logits = values.at(-1);
  const found = evaluate(loss, weight, logits, labels, sizes.at(-1));
  return [...logits, found.loss, ...backward(layers, slopes, flat, values, found.gradient)];
}))"""


def test_forward_losses_and_gradients_are_those_of_pytorch(maths):
    given, wanted = zip(*cases())
    found = [
        torch.tensor(one, dtype=torch.float64)
        for one in json.loads(maths.evaluate(EVALUATE, json.dumps(given)))
    ]
    assert len(found) == len(given) > 140
    assert any(one.max() > 1e9 for one in wanted)  # the tangent of the exponential was met
    for case, ours, theirs in zip(given, found, wanted):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6, msg=lambda m: f"{case}: {m}")


def test_steps_are_adam_on_the_batches_that_were_drawn(maths):
    """Twenty steps from the same start, with the batches of the script."""
    choices = {"data": "moons", "points": 50, "net": "tanh", "seed": 3, "batch": 8, "weight": 1}
    drawn = maths.evaluate(
        """choices => {
          const { experiment, step, evaluate } = gffnPlayground, run = experiment(choices);
          const learner = run.learner("joint"), start = [...learner.parameters];
          const below = learner.random.below, picked = [];
          learner.random.below = (n) => (picked.push(below(n)), picked.at(-1));
          for (let i = 0; i < 20; i++) step(run, learner);
          return { start, picked, x: [...run.train.x], labels: [...run.train.labels], end: [...learner.parameters] };
        }""",
        choices,
    )
    sizes = (2, 16, 16, 2)
    layers = [m for pair in zip(sizes, sizes[1:]) for m in (torch.nn.Linear(*pair), torch.nn.Tanh())]
    net = torch.nn.Sequential(*layers[:-1]).double()
    parameters = torch.tensor(drawn["start"], dtype=torch.float64)
    x, y = torch.tensor(drawn["x"], dtype=torch.float64).view(-1, 2), torch.tensor(drawn["labels"])
    m = v = 0  # written out: torch.optim takes two seconds to load
    for t, batch in enumerate(torch.tensor(drawn["picked"]).view(20, 8), 1):
        vector_to_parameters(parameters, net.parameters())
        loss = joint_nll(net(x[batch]), y[batch])
        gradient = parameters_to_vector(torch.autograd.grad(loss, list(net.parameters())))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        parameters = parameters - 0.01 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    end = torch.tensor(drawn["end"], dtype=torch.float64)
    torch.testing.assert_close(end, parameters, rtol=1e-6, atol=1e-6)


def test_ece_and_auroc_are_the_packages(maths):
    torch.manual_seed(1)
    probs, target = (2 * torch.randn(500, 3, dtype=torch.float64)).softmax(-1), torch.randint(3, (500,))
    confidence, best = probs.max(-1)
    inside, outside = torch.randn(300, dtype=torch.float64) + 1, torch.randn(200, dtype=torch.float64)
    found = maths.evaluate(
        """([confidence, correct, inside, outside]) => [gffnPlayground.calibrationError(Float64Array.from(confidence), correct),
          gffnPlayground.auroc(Float64Array.from(inside), Float64Array.from(outside))]""",
        [confidence.tolist(), (best == target).tolist(), inside.tolist(), outside.tolist()],
    )
    wanted = [expected_calibration_error(probs, target), auroc(inside, outside)]
    assert found == pytest.approx(wanted, abs=1e-9)


# ---- what the buttons promise

TRAIN = """() => Object.fromEntries(gffnPlayground.PRESETS.map(({ name, choices }) => {
  const { experiment, numbers, step, measure, STEPS } = gffnPlayground, run = experiment(numbers(choices));
  return [name, Object.fromEntries(choices.losses.split(".").map((loss) => {
    const learner = run.learner(loss), early = [];
    for (let i = 1; i <= STEPS / 2; i++) {
      step(run, learner);
      if (i % 50 === 0 && i <= 300) early.push(measure(run, learner));
    }
    return [loss, { ...measure(run, learner), early, parameters: String(learner.parameters) }];
  }))];
}))"""


def test_what_the_buttons_promise_happens(maths):
    """After half of a run, to be quick, and with the default seed; whole runs were seen with twenty."""
    found = maths.evaluate(TRAIN)
    one, even, references, sure, weight = found.values()
    assert one["conditional"] == one["joint"]  # to the last digit
    assert one["self_normalised"]["spread"] < one["conditional"]["spread"] / 2
    assert even["joint"]["spread"] < 0.3 and even["conditional"]["spread"] > 1.5
    assert references["references"]["auroc"] > 0.9 and references["joint"]["auroc"] < 0.8
    for net in sure.values():
        assert all(net[metric] > 1.5 * min(m[metric] for m in net["early"]) for metric in ("nll", "ece"))
        assert net["confidence"] > net["accuracy"] + 0.05
    assert sure["conditional"]["nll"] > sure["joint"]["nll"]
    assert weight["joint"]["nll"] < 0.75 * weight["conditional"]["nll"]
    assert weight["joint"]["ece"] < weight["conditional"]["ece"]


def test_addresses_with_junk_are_taken_for_what_in_them_makes_sense(maths):
    usual = maths.evaluate("gffnPlayground.choicesOf('')")
    for junk in (
        "#x",
        "#data=toString&batch=3",
        "#losses=&seed=-1",
        "#losses=joint.joint",
        "#weight=%E0%A4%A",
        "#net=<b>",
    ):
        assert maths.evaluate("hash => gffnPlayground.choicesOf(hash)", junk) == usual
    asked = {"data": "blobs", "losses": "self_normalised.references", "batch": "1", "seed": "77"}
    hash = "#" + "&".join(f"{k}={v}" for k, v in asked.items()) + "&net=none"
    assert maths.evaluate("hash => gffnPlayground.choicesOf(hash)", hash) == usual | asked


# ---- the page


def steps(page):
    return int(page.inner_text("#gffn-playground .gffn-run span").removeprefix("step ").replace(",", ""))


def pixels(page):
    return page.evaluate(
        "[...document.querySelectorAll('#gffn-playground canvas')].map((c) => c.toDataURL())"
    )


def test_address_restores_what_was_chosen_on_a_phone(visit):
    state = "#data=blobs&losses=joint.references&batch=8&weight=10&net=tanh&points=400&seed=7"
    page = visit(PAGE + state, viewport={"width": 400, "height": 800})
    root = page.locator("#gffn-playground")
    assert root.locator("figcaption").all_inner_texts()[:2] == ["joint", "with references"]
    hues = [
        f.evaluate("f => f.style.getPropertyValue('--hue')")
        for f in root.locator(".gffn-panels figure").all()
    ]
    styles = loss_styles(("joint", "self_normalised", "references"))
    assert hues == [styles[name]["color"].lower() for name in ("joint", "references")]  # as in the figures
    assert root.locator("output").all_inner_texts() == ["8", "10"]
    assert [s.input_value() for s in root.locator("select").all()] == ["blobs", "400", "tanh"]
    page.get_by_label("self-normalised").check()
    page.wait_for_function("location.hash.includes('losses=joint.self_normalised.references')")
    assert "batch=8" in page.url and root.locator(".gffn-panels figure").count() == 3
    boxes = [canvas.bounding_box() for canvas in root.locator("canvas").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 400 and box["width"] > 150 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.go_back()
    page.wait_for_function("document.querySelectorAll('#gffn-playground .gffn-panels figure').length === 2")


def test_runs_pauses_and_starts_anew_by_keyboard_in_both_themes(visit):
    page = visit(PAGE, color_scheme="light")
    before = pixels(page)
    page.get_by_label("batch size").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("location.hash.includes('batch=16')")
    button(page, "Run").press("Enter")
    page.wait_for_function("document.querySelector('.gffn-run span').textContent === 'step 50'")
    assert page.evaluate("document.activeElement.textContent") == "Pause"  # the focus stays
    page.keyboard.press("Space")
    told = page.inner_text("#gffn-playground [aria-live]")
    assert f"Step {steps(page)}. Held-back loss: standard" in told and steps(page) >= 50
    after = pixels(page)
    assert len(after) == 4 and not set(after) & set(before)
    button(page, "5 steps").press("Enter")
    label = page.get_by_role("img", name="ECE on held-back points").get_attribute("aria-label")
    assert f"after {steps(page)} steps" in label
    button(page, "Reset").press("Enter")
    assert steps(page) == 0 and pixels(page) == before
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert not set(pixels(page)) & set(before)


def test_experiments_start_at_once_unless_motion_is_unwelcome(visit):
    page = visit(PAGE, reduced_motion="reduce")
    button(page, "Too sure").click()
    page.wait_for_function("location.hash.includes('points=50')")
    assert button(page, "Run").is_visible() and steps(page) == 0
    page.emulate_media(reduced_motion="no-preference")
    button(page, "References").click()
    page.wait_for_function("document.querySelector('.gffn-run span').textContent === 'step 50'")
    assert button(page, "References").get_attribute("aria-pressed") == "true"
    assert "density ratio" in page.inner_text("#gffn-playground [aria-live]")
