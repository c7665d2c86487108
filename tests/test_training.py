"""The training loop: reproducible, paired, and honest about where it stopped."""

import dataclasses
import functools
import json
from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import roc_auc_score

from gffn_core import metrics
from gffn_core.data.datasets import load_dataset
from gffn_core.evaluation.standard import evaluate
from gffn_core.training import course, step
from gffn_core.training.loop import train
from gffn_core.training.provenance import weights_sha256
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model, record_key


def weights(result):
    return result.provenance["weights_sha256"]


@pytest.fixture
def seen(monkeypatch):
    """The labels of every step, by loss: what the objective was called with."""
    labels = {}

    def recorder(name, objective):
        @functools.wraps(objective)
        def record(logits, target, **options):
            if target.ndim == 1:  # a run tries its objective on two batches at once
                labels.setdefault(name, []).append(target.tolist())
            return objective(logits, target, **options)

        return record

    for name, objective in list(step.OBJECTIVES.items()):
        monkeypatch.setitem(step.OBJECTIVES, name, recorder(name, objective))
    return labels


def test_weight_decay_is_decoupled_from_the_gradient(tiny):
    """As in AdamW: after a step from the same weights, they differ by rate times decay times weight."""
    run = Run("digits", "joint", batch_size=100, epochs=1, learning_rate=0.01)
    start = initial_model(run, tiny).state_dict()
    plain, decayed = (
        train(dataclasses.replace(run, weight_decay=decay), tiny).weights["long"] for decay in (0.0, 0.5)
    )
    for name, value in start.items():
        torch.testing.assert_close(plain[name] - decayed[name], 0.01 * 0.5 * value, rtol=1e-3, atol=1e-7)


def test_float32_is_float32_in_a_gpus_convolutions(tiny, monkeypatch):
    """PyTorch lets cuDNN round what it convolves to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    initial_model(Run("digits", "joint", batch_size=100, epochs=1), tiny)
    assert not torch.backends.cudnn.allow_tf32


def test_equal_runs_give_equal_results(tiny):
    run = Run("digits", "joint", batch_size=20, epochs=2)
    torch.manual_seed(1)
    first = train(run, tiny)
    torch.manual_seed(2)  # the global generator plays no part
    second = train(run, tiny)
    assert weights(first) == weights(second)
    assert first.curves == second.curves
    for key, logits in first.logits.items():
        assert (logits == second.logits[key]).all()
    assert weights(train(dataclasses.replace(run, seed=1), tiny)) != weights(first)


def test_training_leaves_the_global_generator_alone(tiny):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    train(Run("digits", "joint", batch_size=50, epochs=1), tiny)
    assert torch.equal(torch.rand(3), expected)


def test_losses_are_compared_in_pairs(tiny, seen):
    """Same initial weights, same batches in the same order: only the loss differs."""
    runs = [Run("digits", loss, batch_size=30, epochs=2) for loss in ("conditional", "joint")]
    assert len({weights_sha256(initial_model(run, tiny)) for run in runs}) == 1
    results = [train(run, tiny) for run in runs]
    assert seen["conditional"] == seen["joint"]
    assert weights(results[0]) != weights(results[1])


def test_incomplete_batches_are_left_out(tiny, seen):
    """100 images in batches of 30: the joint loss of a batch of 10 would be another objective."""
    result = train(Run("digits", "joint", batch_size=30, epochs=2), tiny)
    assert [len(labels) for labels in seen["joint"]] == [30] * 6
    assert result.evaluations["long"]["step"] == 6


def test_every_epoch_visits_each_example_in_a_new_order():
    first, second = epoch_order(0, 1, 100), epoch_order(0, 2, 100)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch_order(0, 1, 100))
    assert not torch.equal(first, epoch_order(1, 1, 100))


@pytest.mark.parametrize("label_space", ("categorical", "binary"))
def test_batches_of_one_train_the_same_model(tiny, label_space):
    """The end of chapter 4, through the whole loop."""
    small = dataclasses.replace(tiny, train_x=tiny.train_x[:20], train_y=tiny.train_y[:20])
    joint, conditional = (
        train(Run("digits", loss, batch_size=1, epochs=2, label_space=label_space), small)
        for loss in ("joint", "conditional")
    )
    assert joint.curves == conditional.curves
    assert weights(joint) == weights(conditional)


@pytest.mark.parametrize("loss", ("conditional", "joint"))
@pytest.mark.parametrize("label_space", ("categorical", "binary"))
def test_training_learns(digits, loss, label_space):
    run = Run("digits", loss, batch_size=64, epochs=5, label_space=label_space, learning_rate=3e-3)
    result = train(run, digits)
    assert result.curves["train_loss"][-1] < 0.7 * result.curves["train_loss"][0]
    assert result.evaluations["long"]["test_accuracy"] > 0.6


@pytest.mark.parametrize(
    "patience_steps, early, stopped_at",
    ((1, 3, 5), (12, 3, 6), (100, 7, None)),
    ids=("epochs decide", "steps decide", "never"),
)
def test_early_is_the_best_epoch_until_patience_ran_out(tiny, monkeypatch, patience_steps, early, stopped_at):
    """On a given validation curve, four steps an epoch: 0.7 comes at epochs 3 and 4, and 0.9 too late."""
    curve = [0.5, 0.4, 0.7, 0.7, 0.6, 0.6, 0.9, 0.9]
    values = iter(curve)
    given = SimpleNamespace(**vars(metrics) | {"accuracy": lambda logits, target: next(values)})
    monkeypatch.setattr(course, "metrics", given)
    run = Run("digits", "joint", batch_size=25, epochs=8, patience=2, patience_steps=patience_steps)
    result = train(run, tiny)
    assert result.curves["val_accuracy"] == curve
    found = result.evaluations["early"]
    assert (found["epoch"], found["step"], found["stopped_at"]) == (early, 4 * early, stopped_at)
    assert result.evaluations["long"]["epoch"] == 8

    # The weights are those of that epoch: a run that ends there arrives at the same.
    values = iter(curve)
    shorter = train(dataclasses.replace(run, epochs=early), tiny)
    assert weights(result)["early"] == weights(shorter)["long"] != weights(result)["long"]


@pytest.mark.parametrize(
    "scheme, curve", (("lowest_nll", "val_nll"), ("lowest_scaled_nll", "val_scaled_nll"))
)
def test_other_schemes_are_the_epochs_of_the_lowest_validation_nll(tiny, scheme, curve):
    """Over all epochs, those after patience ran out included; raw, and after a temperature."""
    run = Run("digits", "joint", batch_size=10, epochs=12, learning_rate=1e-2, patience=1, patience_steps=1)
    result = train(run, tiny)
    nll = result.curves[curve]
    lowest = 1 + nll.index(min(nll))
    found = result.evaluations[scheme]
    assert result.evaluations["early"]["stopped_at"] < lowest
    assert (found["epoch"], found["step"]) == (lowest, 10 * lowest)
    assert weights(result)[scheme] == weights(train(dataclasses.replace(run, epochs=lowest), tiny))["long"]


def test_each_scheme_keeps_an_epoch_of_its_own(tiny):
    """Logits that are most often right, best after a temperature, and best without one, then some others."""
    one = course.Course(Run("digits", "joint", batch_size=10, epochs=4), tiny)
    right = torch.nn.functional.one_hot(tiny.val_y, 10).double()
    right[0] = right[0].roll(1)  # an error, which is dear where the net is sure
    blur = torch.linspace(0, 1, right.numel(), dtype=torch.float64).reshape(right.shape).sin()
    for logits in (right + 0.5 * blur, 100 * right, 4 * right + 2 * blur, right + 0.9 * blur):
        one.add_epoch(torch.zeros(one.steps), torch.tensor(0), logits, {})
    assert [kept["epoch"] for kept in (one.early, one.finest, one.likeliest)] == [1, 2, 3]


def test_curves_tell_what_was_measured(tiny):
    result = train(Run("digits", "joint", batch_size=25, epochs=3), tiny)
    assert {len(values) for values in result.curves.values()} == {3}
    logits, y = torch.from_numpy(result.logits["long_val"]).float(), tiny.val_y
    # The kept logits are float16.
    assert result.curves["val_nll"][-1] == pytest.approx(metrics.negative_log_likelihood(logits, y), rel=1e-3)
    assert result.curves["val_confidence"][-1] == pytest.approx(
        metrics.max_softmax(logits).mean().item(), rel=1e-3
    )
    scaled = logits / result.evaluations["long"]["scaled"]["temperature"]
    assert result.curves["val_scaled_nll"][-1] == pytest.approx(
        metrics.negative_log_likelihood(scaled, y), rel=1e-3
    )


def test_result_is_plain_data(tiny):
    """All but the logits survives JSON, with tuples read back as lists."""
    result = train(Run("digits", "joint", batch_size=50, epochs=1), tiny, out_of_distribution=tiny)
    plain = {k: getattr(result, k) for k in ("data", "curves", "evaluations", "provenance")}
    text = json.dumps(plain)
    assert json.dumps(json.loads(text)) == text
    assert Run.of(json.loads(json.dumps(result.run.settings()))) == result.run
    assert set(result.logits) == {
        f"{scheme}_{part}"
        for scheme in ("early", "long", "lowest_nll", "lowest_scaled_nll")
        for part in ("val", "test", "ood")
    }
    assert {a.dtype.name for a in result.logits.values()} == {"float16"}


def test_evaluation_of_a_model():
    """An evaluation is the metrics of the kept logits; detection is scikit-learn's."""
    low, high = load_dataset("digits_0_4"), load_dataset("digits_5_9")
    run = Run("digits_0_4", "joint", batch_size=64, epochs=1)
    prepare = Normalise(low.train_x, torch.device("cpu"))
    model = initial_model(run, low)

    class Coarse(torch.nn.Module):  # gives tied scores
        def forward(self, images):
            return (50 * model(images)).round()

    out, kept = evaluate(Coarse(), "binary", low, prepare, high)
    probs = kept["test"].double().softmax(-1)
    assert out["test_accuracy"] == metrics.accuracy(probs, low.test_y)
    assert out["nll"] == metrics.negative_log_likelihood(kept["test"], low.test_y)
    assert out["ece"]["uniform15"] == metrics.expected_calibration_error(probs, low.test_y, n_bins=15)
    assert sum(out["calibration"]["quantile10"]["count"]) == len(low.test_y)
    for name, score in (
        ("log_px", lambda f: metrics.log_px(f, label_space="binary")),
        ("max_logit", metrics.max_logit),
    ):
        found, inside, outside = out["ood"]["scores"][name], score(kept["test"]), score(kept["ood"])
        label = [1] * len(inside) + [0] * len(outside)
        expected = roc_auc_score(label, torch.cat([inside, outside]))
        assert found["auroc"] == pytest.approx(expected, abs=1e-12)
        curve = metrics.roc_curve(inside, outside)
        grid = torch.linspace(0, 1, 101, dtype=torch.float64)
        assert found["tpr_on_fpr_grid"] == [curve.tpr[curve.fpr <= fpr].max() for fpr in grid]
        for part, scores in (("inside", inside), ("outside", outside)):
            assert sum(found["histogram"][part]) == len(scores)
    assert out["ood"]["data"]["name"] == "digits_5_9"


def test_a_channel_that_never_varies_is_zero(tiny):
    """Not NaN, by which every net would diverge at its first step."""
    black = torch.full((100, 1, 8, 8), 7, dtype=torch.uint8)
    images = torch.cat([tiny.train_x, black], 1)
    found = Normalise(images, "cpu")(images)
    assert found[:, 1].abs().max() < 1e-6
    assert torch.equal(found[:, :1], Normalise(tiny.train_x, "cpu")(tiny.train_x))


def test_images_are_normalised_by_the_training_images(digits):
    prepare = Normalise(digits.train_x, torch.device("cpu"))
    images = prepare(digits.train_x)
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std().item() == pytest.approx(1, abs=1e-5)


def test_batch_larger_than_the_data(tiny):
    with pytest.raises(ValueError, match="batch_size=101 exceeds the 100 training images"):
        train(Run("digits", "joint", batch_size=101, epochs=1), tiny)


@pytest.mark.parametrize(
    "field, value",
    (
        ("loss", "generative"),
        ("label_space", "softmax"),
        ("batch_size", 0),
        ("epochs", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("batch_size", 2.5),
        ("weight_decay", -0.1),
        ("augmentation", "turn"),
        ("seed", "0"),
        ("patience", 0),
        ("patience_steps", 0),
        ("fitted_epochs", 0),
        ("width", 0),
    ),
)
def test_refused_runs(field, value):
    fields = {"dataset": "digits", "loss": "joint", "batch_size": 4, "epochs": 1} | {field: value}
    with pytest.raises(ValueError, match=f"{field}={value!r}"):
        Run(**fields)


@pytest.mark.parametrize(
    "loss, options, message",
    (
        ("joint", {"kl_weight": -0.5}, "kl_weight=-0.5 must"),
        ("conditional", {"kl_weight": 2.0}, r"'conditional' has no options \['kl_weight'\]; it has \[\]"),
        ("joint", {"weight": 2.0}, r"no options \['weight'\]; it has \['kl_weight', 'references'\]"),
        ("variance", {"weight": -1.0}, "weight=-1.0 must"),
        ("outlier_exposure", {}, "needs references"),
        ("variance", {"references": "blur"}, r"no options \['references'\]"),
        ("joint", {"references": "blur+snow"}, r"\['snow'\] unknown"),
        ("joint", {"references": "+".join(["blur"] * 5)}, "batch_size=4 is too small"),
    ),
)
def test_refused_options(loss, options, message):
    with pytest.raises(ValueError, match=message):
        Run("digits", loss, batch_size=4, epochs=1, options=options)


def test_options_at_their_default_are_left_out():
    plain, weighed = (Run("digits", "joint", 4, 1, options={"kl_weight": weight}) for weight in (1.0, 3.0))
    assert plain == Run("digits", "joint", 4, 1) and "kl_weight" not in plain.settings()
    assert weighed.settings()["kl_weight"] == 3.0 and Run.of(weighed.settings()) == weighed
    assert len({record_key(run, "0") for run in (plain, weighed)}) == 2


@pytest.mark.parametrize("loss", ("conditional", "joint"))
@pytest.mark.parametrize("batch_size", (25, 100), ids=("four steps", "one step"))
@pytest.mark.parametrize("learning_rate", (1e30, 1e38))
def test_divergence_is_a_result_that_names_the_step(tiny, loss, batch_size, learning_rate):
    """The weights are beyond float32 after the first step, also where it is the epoch's only one."""
    run = Run("digits", loss, batch_size=batch_size, epochs=2, learning_rate=learning_rate)
    result = train(run, tiny, out_of_distribution=tiny)
    steps = 100 // batch_size
    assert result.diverged["epoch"] in (1, 2)
    assert 1 <= result.diverged["step"] - (result.diverged["epoch"] - 1) * steps <= steps
    assert result.diverged["step"] <= 2
    assert not result.evaluations and not result.logits


@pytest.mark.parametrize("fitted_epochs, ends", ((1, 5), (2, 6), (3, 8)))
def test_long_ends_once_flat_and_fitted(tiny, monkeypatch, fitted_epochs, ends):
    """Validation is flat at epoch 4; training accuracy is above FITTED at 1, 2, and from 5 on."""
    val = iter([0.5, 0.4, 0.3, 0.2] + [0.1] * 4)
    given = SimpleNamespace(**vars(metrics) | {"accuracy": lambda logits, target: next(val)})
    monkeypatch.setattr(course, "metrics", given)
    right = iter([100, 99, 10, 98, 99, 99, 50, 100])
    add_epoch = course.Course.add_epoch
    monkeypatch.setattr(
        course.Course,
        "add_epoch",
        lambda course, losses, correct, *rest: add_epoch(course, losses, torch.tensor(next(right)), *rest),
    )
    run = Run("digits", "joint", batch_size=25, epochs=8, patience_steps=1, fitted_epochs=fitted_epochs)
    result = train(run, tiny)
    assert result.evaluations["long"]["epoch"] == len(result.curves["val_nll"]) == ends
    assert result.evaluations["early"]["stopped_at"] == 4


def test_bfloat16_stays_near_float32(digits):
    """Half precision changes the forward and backward pass, not what is learned or how it is measured."""
    run = Run("digits", "joint", batch_size=64, epochs=3)
    full, half = (train(run, digits, precision=p) for p in ("float32", "bfloat16"))
    assert weights(full) != weights(half)
    assert full.curves["val_nll"] == pytest.approx(half.curves["val_nll"], rel=0.05)
    assert half.provenance["precision"] == "bfloat16"
    with pytest.raises(ValueError, match="precision='half' is unknown"):
        train(run, digits, precision="half")


def test_a_course_hands_out_copies(tiny):
    one = course.Course(Run("tiny", "joint", 16, epochs=1), tiny)
    state = one.state()
    one.curves["val_nll"].append(1.0)
    assert state["curves"]["val_nll"] == []
