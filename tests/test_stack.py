"""Stacks of runs against the plain loop: equal up to rounding, and nothing lost when they stop."""

import copy
import dataclasses
import functools
import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gffn_core.data.datasets import load_dataset
from gffn_core.engine import plan, process, stack, tuning, workers
from gffn_core.engine.stack import CONVOLUTIONS, Execution, Stack, fresh_state, stacked_logits, train_stack
from gffn_core.engine.tuning import bytes_per_run, fastest_execution, first_step_again
from gffn_core.experiments.profiles import PROFILES
from gffn_core.experiments.store import Store
from gffn_core.experiments.sweep import sweep
from gffn_core.training.loop import train
from gffn_core.training.run import Normalise, Run, epoch_order, initial_model
from gffn_core.training.step import OBJECTIVES, PRECISIONS, stepper

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
WAYS = [Execution(convolution=c, together=t) for c in CONVOLUTIONS for t in (True, False)]
LOSSES = ("conditional", "joint", "self_normalised")
REFERRING = ("outlier_exposure", "energy_margin", "labelled")
MIXED = [
    Run("digits", loss, batch_size=20, epochs=3, seed=seed, label_space=space, learning_rate=rate)
    for loss, (seed, space, rate) in itertools.product(
        LOSSES, ((0, "categorical", 1e-3), (1, "binary", 1e-3), (2, "categorical", 3e-3))
    )
]
MIXED[3] = dataclasses.replace(MIXED[3], options={"kl_weight": 0.3})  # a joint one
MIXED[7] = dataclasses.replace(MIXED[7], augmentation="flip+shift")
# The other objectives, references, weight decay and augmentation, in stacks of two.
RELATIVES = [
    Run("digits", loss, batch_size=20, epochs=1, seed=seed, **{"options": options} | more)
    for loss, options, more in (
        *((loss, {}, {}) for loss in OBJECTIVES if loss not in (*LOSSES, *REFERRING)),
        *((loss, {"references": "blur+noise"}, {}) for loss in REFERRING),
        ("joint", {"references": "blur+mixed+shuffled4+shuffled8+noise", "kl_weight": 3.0}, {}),
        ("self_normalised", {"references": "shuffled4"}, {"label_space": "binary"}),
        ("conditional", {}, {"weight_decay": 0.3}),
        ("conditional", {}, {"augmentation": "shift"}),
        ("joint", {}, {"augmentation": "mutate"}),
        ("joint", {"references": "mixed"}, {"augmentation": "flip"}),
    )
    for seed in (0, 1)
]
CENTRED = [dataclasses.replace(run, centred=True) for run in MIXED[:4]]
NOISY = [dataclasses.replace(run, batch_size=64, norm="ghost", dropout=0.4) for run in MIXED]


def by_run(results):
    return {result.run: result for result in results}


def hashes(results):
    return {run: result.provenance["weights_sha256"] for run, result in by_run(results).items()}


@functools.cache
def plain_steps(run, steps):
    """The state of a net after some steps of the plain loop in float64."""
    digits = load_dataset("digits")
    normalise = Normalise(digits.train_x, torch.device("cpu"))
    net = initial_model(run, digits).double()
    take_step = stepper(net, run, lambda images: normalise(images).double())
    for batch in epoch_order(run.seed, 1, len(digits.train_x)).split(run.batch_size)[:steps]:
        take_step(digits.train_x[batch], digits.train_y[batch])
    return net.state_dict()


@pytest.mark.parametrize("execution", WAYS, ids=str)
@pytest.mark.parametrize(
    "runs, steps",
    ((MIXED, 8), (NOISY, 8), (CENTRED, 3), (RELATIVES, 3)),
    ids=("plain", "noisy", "centred", "relatives"),
)
def test_steps_in_float64_agree_with_the_plain_loop(digits, runs, steps, execution):
    """Buffers included: running statistics, and the steps that dropout counts."""
    runs = [dataclasses.replace(run, epochs=1) for run in runs]
    normalise = Normalise(digits.train_x, torch.device("cpu"))
    prepare = lambda images: normalise(images).double()
    states = [fresh_state(run, digits) for run in runs]
    for state in states:
        for key in ("weights", *stack.MOMENTS):
            state[key] = {
                name: value.double() if value.is_floating_point() else value
                for name, value in state[key].items()
            }
    model = initial_model(runs[0], digits).double()
    found = Stack(runs, states, model, prepare, digits.train_x, digits.train_y, execution)
    found.begin_epoch(1)
    for _ in range(steps):
        found.step()
    for i, run in enumerate(runs):
        for name, value in plain_steps(run, steps).items():
            torch.testing.assert_close(found.weights(i)[name], value, rtol=1e-10, atol=1e-12)


def test_first_epoch_in_float32_agrees_with_the_plain_loop(digits):
    # At three times this rate rounding grew to 3.5e-4 within the epoch, in one of the runs on one processor.
    # A run of each loss, in both label spaces; the steps of all of them are compared in float64.
    runs = [dataclasses.replace(run, epochs=1, patience=1, learning_rate=1e-3) for run in MIXED[::4]]
    found = by_run(train_stack(runs, digits))
    for run in runs:
        plain = train(run, digits).curves
        for curve in ("train_loss", "val_nll"):
            assert found[run].curves[curve] == pytest.approx(plain[curve], abs=1e-4)


@pytest.mark.parametrize("precision", ("float32", "bfloat16"))
@pytest.mark.parametrize(
    "fields",
    (
        {},
        {"norm": "batch", "dropout": 0.4, "augmentation": "flip+shift"},
        {"options": {"references": "blur+shuffled4+noise"}, "centred": True, "weight_decay": 0.1},
    ),
    ids=str,
)
def test_a_stack_of_one_is_the_plain_loop_to_the_bit(tiny, precision, fields):
    run = Run("digits", "joint", batch_size=16, epochs=5, **fields)
    plain = train(run, tiny, precision=precision)
    (found,) = train_stack([run], tiny, execution=Execution(precision))
    assert found.provenance["weights_sha256"] == plain.provenance["weights_sha256"]
    assert found.curves == plain.curves
    assert json.dumps(found.evaluations) == json.dumps(plain.evaluations)  # NaN where a bin is empty


def test_a_step_alone_does_what_the_plain_loop_does_and_little_else(digits):
    """In operations of PyTorch, each of which is dear beside its numbers at batch size 4."""
    run = Run("digits", "joint", batch_size=4, epochs=1)
    prepare = Normalise(digits.train_x, torch.device("cpu"))
    take_step = stepper(initial_model(run, digits), run, prepare)
    step = first_step_again([run], digits, "cpu", Execution())
    plain = _operations(lambda: take_step(digits.train_x[:4], digits.train_y[:4]))
    assert _operations(step) - plain <= 10  # gathering the batch, counting the step


class Counter(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += 1
        return operation(*args, **kwargs or {})


def _operations(step):
    step()  # the first makes the optimiser's tensors
    with Counter() as counter:
        step()
    return counter.count


def test_a_state_is_that_of_a_net_whatever_the_stack(tiny):
    """So a checkpoint goes on alone or in company, whichever it was taken in."""
    runs = [
        Run("digits", "joint", batch_size=20, epochs=1, seed=s, norm="batch", dropout=0.4) for s in (0, 1)
    ]
    prepare = Normalise(tiny.train_x, torch.device("cpu"))
    for some in (runs, runs[:1]):
        states, model = [fresh_state(run, tiny) for run in some], initial_model(runs[0], tiny)
        model.to(memory_format=torch.channels_last)
        found = Stack(some, states, model, prepare, tiny.train_x, tiny.train_y)
        torch.testing.assert_close(found.state(0), states[0], rtol=0, atol=0, check_stride=True)


def test_denormal_numbers_count_as_zero_and_no_weight_differs(digits):
    """Adam's moments decay into them where a unit is dead; too small to move a weight, they cost time.

    That takes hundreds of steps from moments of usual size, so these begin where the decay has all but ended.
    """
    run, found = Run("digits", "joint", batch_size=4, epochs=1), {}
    tiny = torch.finfo(torch.float32).tiny
    for settled in (False, True):
        with process.settled("cpu" if settled else "elsewhere"):
            prepare = Normalise(digits.train_x, torch.device("cpu"))
            state = fresh_state(run, digits)
            for moment in state["exp_avg"].values():
                moment.fill_(1.2 * tiny)
            stack = Stack([run], [state], initial_model(run, digits), prepare, digits.train_x, digits.train_y)
            stack.begin_epoch(1)
            for _ in range(20):
                stack.step()
        found[settled] = stack.state(0)
    tiniest = {
        settled: min(m[m != 0].abs().min() for m in state["exp_avg"].values())
        for settled, state in found.items()
    }
    assert tiniest[False] < tiny <= tiniest[True]
    assert all(
        torch.equal(found[False]["weights"][name], value) for name, value in found[True]["weights"].items()
    )


def test_runs_leave_the_stack_when_they_end_and_the_others_go_on(tiny):
    """One run diverges, one is fitted early, the others use their budget: each as if it were alone."""
    run = Run("digits", "joint", batch_size=20, epochs=12, patience=1, patience_steps=1, fitted_epochs=1)
    runs = [dataclasses.replace(run, learning_rate=rate) for rate in (1e30, 1e-2, 1e-3, 1e-5)]
    found = by_run(train_stack(runs, tiny))
    assert next(iter(found)) == runs[0] and set(found) == set(runs)
    assert found[runs[0]].diverged and not found[runs[0]].evaluations
    lengths = [len(found[r].curves["val_nll"]) for r in runs]
    assert lengths[1] < lengths[3] == 12
    for one in runs:
        alone = train(one, tiny)
        assert alone.diverged == found[one].diverged
        for key in alone.curves:
            assert found[one].curves[key] == pytest.approx(alone.curves[key], abs=1e-4)
        for scheme, evaluation in alone.evaluations.items():
            assert evaluation["epoch"] == found[one].evaluations[scheme]["epoch"]


def test_goes_on_from_any_checkpoint_to_the_same_weights(tiny, tmp_path):
    """Checkpoints after every step, through files as a sweep writes them."""
    fields = {"batch_size": 30, "epochs": 2, "seed": 1, "norm": "batch", "dropout": 0.4}
    runs = [Run("digits", loss, **fields) for loss in LOSSES]
    runs[1] = dataclasses.replace(runs[1], options={"references": "shuffled4+noise"}, weight_decay=0.1)
    runs[2] = dataclasses.replace(runs[2], weight_decay=0.1, augmentation="shift")
    kept = []
    results = list(
        train_stack(
            runs,
            tiny,
            checkpoint_seconds=0,
            save_checkpoint=lambda run, checkpoint: kept.append((run, copy.deepcopy(checkpoint))),
        )
    )
    whole, curves = hashes(results), {run: result.curves for run, result in by_run(results).items()}
    assert len(kept) == 6 * len(LOSSES)
    store = Store(tmp_path)
    for step in range(6):
        for run, checkpoint in kept[len(runs) * step :][: len(runs)]:
            store.save_checkpoint(run.loss, checkpoint)
        checkpoints = [store.checkpoint(run.loss) for run in runs]
        again = list(train_stack(runs, tiny, checkpoints=checkpoints))
        assert hashes(again) == whole
        assert {run: result.curves for run, result in by_run(again).items()} == curves
    with pytest.raises(ValueError, match="at the same step"):
        list(train_stack(runs, tiny, checkpoints=[kept[i][1] for i in (0, 1, len(runs))]))
    with pytest.raises(ValueError, match="in float32, which cannot go on in bfloat16"):
        list(train_stack(runs, tiny, execution=Execution("bfloat16"), checkpoints=checkpoints))


def test_a_stack_shares_its_time_among_its_runs(tiny, monkeypatch):
    """On a clock that moves by a second whenever it is read."""
    seconds = itertools.count()
    monkeypatch.setattr(stack.time, "perf_counter", lambda: float(next(seconds)))
    runs = [Run("digits", "joint", batch_size=50, epochs=3, seed=seed) for seed in range(4)]
    kept = []
    results = list(
        train_stack(
            runs,
            tiny,
            checkpoint_seconds=0,
            save_checkpoint=lambda run, checkpoint: kept.append((run, copy.deepcopy(checkpoint))),
        )
    )
    spent = [result.provenance["seconds"] for result in results]
    whole = next(seconds)
    assert 0.5 * whole < sum(spent) <= whole and max(spent) < 0.3 * whole
    # What was spent before a checkpoint counts after it.
    half = dict(kept[: 4 * 3])
    again = train_stack(runs, tiny, checkpoints=[half[run] for run in runs])
    first, second, third = (checkpoint["course"]["seconds"] for _, checkpoint in kept[: 4 * 3 : 4])
    assert 0 < first < second < third and all(result.provenance["seconds"] > third for result in again)


@pytest.mark.parametrize(
    "layer",
    (torch.nn.Dropout(), torch.nn.BatchNorm1d(512), torch.nn.Tanh(), torch.nn.Linear(512, 512, bias=False)),
    ids=str,
)
def test_a_layer_that_a_stack_cannot_compute_is_refused(digits, layer):
    net = initial_model(Run("digits", "joint", batch_size=5, epochs=1), digits)
    net.head.insert(3, layer)
    tensors = {name: value[None] for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"cannot compute the layer 'head.3', \w+\("):
        stacked_logits(net, tensors, torch.rand(1, 5, 1, 8, 8))


def test_layers_that_are_not_called_in_turn_are_refused(digits):
    """One that stands at two places, and a sequence that does something of its own with its layers."""

    class Residual(torch.nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    for layer in (lambda net: net.head[-1], lambda net: Residual(torch.nn.ReLU())):
        net = initial_model(Run("digits", "joint", batch_size=5, epochs=1), digits)
        net.head.append(layer(net))
        tensors = {name: value[None] for name, value in net.state_dict().items()}
        with pytest.raises(ValueError, match="cannot compute the layer 'head.4'"):
            stacked_logits(net, tensors, torch.rand(1, 5, 1, 8, 8))


def test_refused_stacks(tiny):
    run = Run("digits", "joint", batch_size=20, epochs=1)
    with pytest.raises(ValueError, match="may differ in loss, label_space"):
        list(train_stack([run, dataclasses.replace(run, epochs=2)], tiny))
    with pytest.raises(ValueError, match="'half'.*float32"):
        list(train_stack([run], tiny, execution=Execution("half")))


def test_execution_is_measured_or_named(tiny):
    runs = MIXED[:2]
    assert fastest_execution(runs[:1], tiny, "cpu", "bfloat16") == Execution("bfloat16")
    assert fastest_execution(runs, tiny, "cpu", "float32").precision == "float32"
    assert fastest_execution(runs[:1], tiny, "cpu", *PRECISIONS) in map(Execution, PRECISIONS)


def test_sixteen_gigabytes_hold_every_cell_of_the_thesis(tiny):
    """A Colab T4: by the estimate that a stack's size is chosen by."""
    images = dataclasses.replace(tiny, train_x=torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    for run in PROFILES["thesis"].runs(["cifar10"], seeds=[0]):
        assert bytes_per_run(run, images) < 0.8 * 14e9


def test_a_stack_too_large_for_the_memory_is_split(store, monkeypatch):
    sizes = []

    def limited(runs, *args, **kwargs):
        sizes.append(len(runs))
        if len(runs) > 1:
            raise torch.OutOfMemoryError("too large")
        return train_stack(runs, *args, **kwargs)

    monkeypatch.setattr(workers, "train_stack", limited)
    runs = [Run("digits", "joint", batch_size=256, epochs=1, seed=seed) for seed in range(3)]
    assert sweep(runs, store, stack_size=3) == 3
    assert list(store.select(runs)) == runs
    assert sizes == [3, 1, 2, 1, 1]

    def exhausted(*args, **kwargs):
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(workers, "train_stack", exhausted)
    with pytest.raises(ValueError, match="does not fit into the memory of 'cpu', even alone"):
        sweep([dataclasses.replace(runs[0], epochs=2)], store)


def test_where_nothing_can_be_measured_the_first_way_is_taken(tiny, monkeypatch):
    def exhausted(*args):
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(tuning, "first_step_again", exhausted)
    assert fastest_execution(MIXED, tiny, "cpu", *PRECISIONS) == Execution()


@needs_cuda
@pytest.mark.parametrize("execution", WAYS, ids=str)
def test_the_captured_graph_agrees_with_the_cpu(digits, execution):
    runs = [dataclasses.replace(run, epochs=1) for run in MIXED]
    there = by_run(train_stack(runs, digits, "cuda", execution=execution))
    here = by_run(train_stack(runs, digits, execution=execution))
    for run in runs:
        assert there[run].curves["train_loss"] == pytest.approx(here[run].curves["train_loss"], abs=1e-3)


@needs_cuda
def test_equal_stacks_give_equal_weights_on_cuda(digits):
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert hashes(train_stack(MIXED, digits, "cuda")) == hashes(train_stack(MIXED, digits, "cuda"))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("norm", ("batch", "ghost"))
def test_models_of_a_stack_have_their_own_statistics_and_noise(tiny, norm, convolution):
    """And their own images. Several models in one computation; in the noisy stacks above each branch holds one."""
    run = Run("digits", "joint", batch_size=64, epochs=1, norm=norm, dropout=0.4)
    models = [initial_model(dataclasses.replace(run, seed=seed), tiny).double().train() for seed in range(3)]
    tensors = {name: torch.stack([m.state_dict()[name] for m in models]) for name in models[0].state_dict()}
    images = torch.rand(3, 64, 1, 8, 8, dtype=torch.float64)
    found = stacked_logits(models[0], tensors, images, convolution)
    torch.testing.assert_close(found, torch.stack([model(own) for model, own in zip(models, images)]))
    for name, value in tensors.items():
        torch.testing.assert_close(value, torch.stack([m.state_dict()[name] for m in models]))


def test_other_nets_are_measured_apart():
    runs = [Run("digits", "joint", 16, 1, **net) for net in ({}, {"norm": "batch"}, {"dropout": 0.5})]
    engine = SimpleNamespace(
        datasets={"digits": load_dataset("digits")}, tune=lambda stacks, precision: range(len(stacks))
    )
    begun = dict.fromkeys(runs, ((0, 0), None))
    assert {way for _, way in plan.jobs_of(begun, engine, "float32", stack_size=1)} == {0, 1, 2}
