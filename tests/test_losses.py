"""The losses against PyTorch's own, the thesis's formulas, and what a user may pass wrongly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.nn import functional as F

from gffn_core import (
    JointCrossEntropyLoss,
    SelfNormalisedCrossEntropyLoss,
    conditional_nll,
    joint_nll,
    log_partition,
)
from gffn_core.checks import LABEL_SPACES

both_losses = pytest.mark.parametrize("loss", (conditional_nll, joint_nll))
both_spaces = pytest.mark.parametrize("label_space", LABEL_SPACES)


def batch(*shape, seed=0, dtype=torch.float64, scale=3.0):
    """Random logits (..., N, K) and class indices (..., N)."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randint(0, shape[-1], shape[:-1], generator=generator)


def labels(logits, label_space, seed=1):
    """Label vectors of the space: one-hot, or any binary vectors."""
    generator = torch.Generator().manual_seed(seed)
    if label_space == "binary":
        return torch.randint(0, 2, logits.shape, generator=generator).to(logits.dtype)
    index = torch.randint(0, logits.shape[-1], logits.shape[:-1], generator=generator)
    return F.one_hot(index, logits.shape[-1]).to(logits.dtype)


def close(actual, expected, tolerance=1e-12):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


logits_arrays = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-50, 50)
).map(torch.from_numpy)


# Values


def test_conditional_categorical_is_cross_entropy():
    logits, target = batch(7, 5)
    close(conditional_nll(logits, target), F.cross_entropy(logits, target))
    soft = logits.flip(0).softmax(-1)
    close(conditional_nll(logits, soft), F.cross_entropy(logits, soft))


def test_conditional_binary_is_binary_cross_entropy():
    logits, _ = batch(7, 5)
    target = labels(logits, "binary")
    expected = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / 7
    close(conditional_nll(logits, target, label_space="binary"), expected)


@both_spaces
def test_log_partition_sums_over_every_label(label_space):
    """Against the definition: the sum over all y of exp<y, f>, label by label."""
    logits, _ = batch(6, 4)
    if label_space == "categorical":
        every = torch.eye(4, dtype=torch.float64)
    else:
        every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    close(log_partition(logits, label_space=label_space), (logits @ every.T).exp().sum(-1).log())


def test_binary_log_partition_is_exact_in_float64():
    """PyTorch's softplus turns into the identity above 20, an error of 2e-9 that float64 sees."""
    logits = torch.arange(-50, 50, 0.5, dtype=torch.float64)[:, None]
    expected = torch.from_numpy(np.logaddexp(0, logits[:, 0].numpy()))
    close(log_partition(logits, label_space="binary"), expected, 1e-15)


@both_spaces
def test_joint_normalises_over_the_pairs_of_the_batch(label_space):
    """Against (4.1) with (4.11): N times exp(-loss) is a geometric mean of probabilities of pairs."""
    logits, _ = batch(6, 4)
    target = labels(logits, label_space)
    z = log_partition(logits, label_space=label_space).exp().sum()
    probability = (target * logits).sum(-1).exp() / z
    expected = -probability.log().mean() - math.log(6)
    close(joint_nll(logits, target, label_space=label_space), expected)


@both_spaces
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("kind", ("indices", "vectors"))
def test_batch_of_one_is_the_conditional_loss_exactly(label_space, dtype, kind):
    """The end of chapter 4, bit by bit, so that training with it is the same training."""
    for seed in range(20):
        logits, target = batch(1, 5, seed=seed, dtype=dtype)
        if kind == "vectors":
            target = labels(logits, label_space, seed)
        values, gradients = [], []
        for loss in (joint_nll, conditional_nll):
            leaf = logits.clone().requires_grad_()
            values.append(loss(leaf, target, label_space=label_space))
            gradients += torch.autograd.grad(values[-1], leaf)
        assert torch.equal(*values)
        assert torch.equal(*gradients)


@both_spaces
@given(logits_arrays, st.randoms(use_true_random=False))
def test_joint_exceeds_conditional_by_a_divergence(label_space, logits, random):
    target = torch.tensor([random.randrange(logits.shape[1]) for _ in logits])
    gap = joint_nll(logits, target, label_space=label_space) - conditional_nll(
        logits, target, label_space=label_space
    )
    log_p = log_partition(logits, label_space=label_space).log_softmax(-1)
    close(gap, (-math.log(len(logits)) - log_p).mean(), 1e-10)
    assert gap >= -1e-10


@both_spaces
def test_weight_of_the_divergence_leads_from_one_loss_to_the_other(label_space):
    logits, target = batch(2, 7, 5)
    target = target[0].expand(2, 7)
    conditional, joint = (
        loss(logits, target, label_space=label_space) for loss in (conditional_nll, joint_nll)
    )
    for weight in (0, 0.3, 1, 10):
        options = {"label_space": label_space, "kl_weight": weight}
        found = joint_nll(logits, target, **options)
        close(found, (1 - weight) * conditional + weight * joint, 1e-10)
        close(JointCrossEntropyLoss(**options)(logits[0], target[0]), found[0])


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_rows_that_are_no_distribution_weigh_as_in_cross_entropy(smoothing):
    """Unvalidated. The divergence is that of the logits, whatever the labels."""
    logits, _ = batch(7, 5)
    target = torch.linspace(0, 1, 35, dtype=torch.float64).view(7, 5)
    expected = F.cross_entropy(logits, target, label_smoothing=smoothing)
    module = lambda weight: JointCrossEntropyLoss(label_smoothing=smoothing, kl_weight=weight, validate=False)
    close(module(0)(logits, target), expected)
    close(joint_nll(logits, target, kl_weight=0), conditional_nll(logits, target))
    close(conditional_nll(logits, target), F.cross_entropy(logits, target))
    divergence = (-math.log(7) - logits.logsumexp(-1).log_softmax(0)).mean()
    close(module(0.5)(logits, target), expected + 0.5 * divergence)


@both_losses
@both_spaces
def test_label_vectors_and_indices_agree(loss, label_space):
    logits, target = batch(7, 5)
    expected = loss(logits, target, label_space=label_space)
    for dtype in (torch.float64, torch.int64, torch.bool):
        onehot = F.one_hot(target, 5).to(dtype)
        close(loss(logits, onehot, label_space=label_space), expected)
    assert torch.equal(loss(logits, target.to(torch.uint8), label_space=label_space), expected)


@both_losses
@both_spaces
def test_each_model_of_a_stack_gets_its_own_loss(loss, label_space):
    logits, target = batch(2, 3, 7, 5)
    stacked = loss(logits, target, label_space=label_space)
    assert stacked.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            close(stacked[i, j], loss(logits[i, j], target[i, j], label_space=label_space))


# Gradients


@both_losses
@both_spaces
def test_gradients_are_those_of_the_thesis(loss, label_space):
    """(4.15) with (4.16): the batch's softmax of ln Z weighs the slope of ln Z; (4.17): 1 / L does."""
    logits, _ = batch(7, 5)
    target = labels(logits, label_space)
    leaf = logits.clone().requires_grad_()
    loss(leaf, target, label_space=label_space).backward()
    if label_space == "categorical":
        z, slope = logits.exp().sum(-1), logits.softmax(-1)
    else:
        z, slope = (1 + logits.exp()).prod(-1), logits.sigmoid()
    weights = z / z.sum() if loss is joint_nll else torch.full_like(z, 1 / 7)
    close(leaf.grad, weights[:, None] * slope - target / 7)


@both_losses
@both_spaces
def test_gradcheck(loss, label_space):
    logits, target = batch(4, 3)
    function = lambda x: loss(x, target, label_space=label_space)
    assert torch.autograd.gradcheck(function, logits.requires_grad_())
    assert torch.autograd.gradgradcheck(function, logits)


# Invariances


@both_losses
@both_spaces
def test_order_of_the_batch_does_not_matter(loss, label_space):
    logits, target = batch(9, 5)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    close(
        loss(logits[order], target[order], label_space=label_space),
        loss(logits, target, label_space=label_space),
    )


@given(logits_arrays, st.floats(-50, 50))
def test_constant_on_all_logits_changes_nothing(logits, constant):
    target = torch.zeros(len(logits), dtype=torch.int64)
    close(conditional_nll(logits + constant, target), conditional_nll(logits, target), 1e-10)
    close(joint_nll(logits + constant, target), joint_nll(logits, target), 1e-10)


def test_constant_on_one_example_changes_only_the_joint_loss():
    """What tells the two losses apart: only the joint one sees how likely an example is."""
    logits, target = batch(6, 5)
    shifted = logits.clone()
    shifted[2] += 3
    close(conditional_nll(shifted, target), conditional_nll(logits, target))
    assert abs(joint_nll(shifted, target) - joint_nll(logits, target)) > 0.1


# Precision and program transformations


@both_losses
@both_spaces
def test_stable_for_extreme_logits(loss, label_space):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0.0, 1e4, 30.0]])
    target = torch.tensor([1, 1, 0, 0])
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, target, label_space=label_space)
    value.backward()
    assert leaf.grad.isfinite().all()
    exact = loss(logits.double(), target, label_space=label_space)
    close(value.detach().double(), exact, 1e-6)
    assert exact.isfinite() and exact > 1e3


@both_losses
@both_spaces
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_half_precision_is_accumulated_in_float32(loss, label_space, dtype):
    logits, target = batch(300, 10, dtype=dtype)
    leaf = logits.requires_grad_()
    value = loss(leaf, target, label_space=label_space)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(logits.detach().float(), target, label_space=label_space))
    value.backward()
    assert leaf.grad.dtype == dtype and leaf.grad.isfinite().all()


@pytest.mark.parametrize("loss", (conditional_nll, joint_nll, JointCrossEntropyLoss()))
def test_under_autocast(loss):
    model, (inputs, target) = torch.nn.Linear(5, 5), batch(8, 5, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(inputs)
        value = loss(logits, target)
    assert logits.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    close(value, loss(logits.float(), target), 1e-6)
    value.backward()
    assert model.weight.grad.isfinite().all()


@both_losses
@both_spaces
def test_vmap_over_models(loss, label_space):
    logits, target = batch(4, 7, 5)
    function = lambda f, y: loss(f, y, label_space=label_space)
    close(torch.func.vmap(function)(logits, target), function(logits, target))
    shared = torch.func.vmap(torch.func.grad(function), in_dims=(0, None))(logits, target[0])
    for i in range(4):
        close(shared[i], torch.func.grad(function)(logits[i], target[0]))


@pytest.mark.parametrize("label_space", LABEL_SPACES)
@pytest.mark.parametrize("kind", ("conditional", "joint", "module"))
def test_compiled_in_one_graph(kind, label_space):
    """aot_eager traces forward and backward as the compiler does, and needs no compiler."""
    logits, target = batch(6, 4)
    if kind == "module":
        function = JointCrossEntropyLoss(label_smoothing=0.1, label_space=label_space)
        target[2] = -100
    else:
        loss = {"conditional": conditional_nll, "joint": joint_nll}[kind]
        function = lambda f, y: loss(f, y, label_space=label_space)
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    results = []
    for call in (function, compiled):
        leaf = logits.clone().requires_grad_()
        value = call(leaf, target)
        results.append((value, *torch.autograd.grad(value, leaf)))
    close(results[1], results[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("label_space", LABEL_SPACES)
def test_cuda_agrees_with_cpu(label_space):
    logits, target = batch(64, 10)
    module = JointCrossEntropyLoss(label_space=label_space, label_smoothing=0.1)
    for loss in (
        lambda f, y: conditional_nll(f, y, label_space=label_space, validate=True),
        lambda f, y: joint_nll(f, y, label_space=label_space, validate=True),
        module,
    ):
        results = []
        for device in ("cpu", "cuda"):
            leaf = logits.to(device).requires_grad_()
            value = loss(leaf, target.to(device))
            results.append((value.cpu(), torch.autograd.grad(value, leaf)[0].cpu()))
        close(results[1], results[0])


# What a user may pass wrongly


@both_losses
@pytest.mark.parametrize(
    "logits, target, message",
    (
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64), r"shape \(2,\)"),
        (torch.zeros(3, 4), torch.zeros(3, 5), r"shape \(3, 5\)"),
        (torch.zeros(3, 4), torch.zeros(3, 1, dtype=torch.int64), r"shape \(3, 1\)"),
        (torch.zeros(2, 3, 4), torch.zeros(3, dtype=torch.int64), r"shape \(3,\)"),
        (torch.zeros(4), torch.tensor(0), r"\(\.\.\., N, K\)"),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.int32), "int32"),
        (torch.zeros(3, 4), torch.zeros(3), "float32"),
        (torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), "int64"),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), "empty batch"),
        (torch.zeros(3, 0), torch.zeros(3, dtype=torch.int64), "class"),
    ),
)
def test_wrong_shapes_and_types(loss, logits, target, message):
    with pytest.raises(ValueError, match=message):
        loss(logits, target)


def test_unknown_label_space():
    logits, target = batch(3, 4)
    for call in (
        lambda: conditional_nll(logits, target, label_space="softmax"),
        lambda: joint_nll(logits, target, label_space="softmax"),
        lambda: log_partition(logits, label_space="softmax"),
        lambda: JointCrossEntropyLoss(label_space="softmax"),
    ):
        with pytest.raises(ValueError, match="'softmax'.*categorical.*binary"):
            call()


@both_losses
@pytest.mark.parametrize(
    "target, message",
    (
        (torch.tensor([0, 4, 1]), r"class index 4 .*\(0 to 3\)"),
        (torch.tensor([0, -1, 1]), "class index -1 "),
        (torch.tensor([[0, 2.0, 0, 0]] * 3), "2.0"),
        (torch.tensor([[0, -0.5, 0, 0]] * 3), "-0.5"),
        (torch.tensor([[0, math.nan, 0, 0]] * 3), "nan"),
    ),
)
def test_validation_names_the_bad_label(loss, target, message):
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(3, 4), target, validate=True)


@both_losses
@pytest.mark.parametrize("total", (0.0, 0.95, 1.05))
def test_validation_refuses_class_probabilities_that_do_not_sum_to_one(loss, total):
    logits, _ = batch(2, 4)
    target = torch.tensor([[0.25] * 4, [total / 4] * 4])
    with pytest.raises(ValueError, match=rf"sum to 1, got a row with sum {total:.4g}; divide"):
        loss(logits, target, validate=True)
    with pytest.raises(ValueError, match="label_space='binary'"):
        JointCrossEntropyLoss()(logits, target)
    for options in ({"label_space": "binary"}, {"validate": False}):
        assert JointCrossEntropyLoss(**options)(logits, target).isfinite()


@both_losses
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_validation_takes_class_probabilities_in_half_precision(loss, dtype):
    logits, _ = batch(50, 1000, dtype=torch.float32)
    assert loss(logits, logits.flip(0).softmax(-1).to(dtype), validate=True).isfinite()


@pytest.mark.parametrize("loss", (conditional_nll, joint_nll, JointCrossEntropyLoss()))
def test_what_is_no_tensor_is_named(loss):
    logits, target = batch(3, 4)
    with pytest.raises(ValueError, match=r"target must be a tensor, got \[0, 1, 2\]; pass torch.as_tensor"):
        loss(logits, [0, 1, 2])
    with pytest.raises(ValueError, match=r"logits must be a tensor, got array.*; pass torch.as_tensor"):
        loss(logits.numpy(), target)


@both_losses
@pytest.mark.parametrize("bad", (math.nan, math.inf, -math.inf))
def test_validation_refuses_non_finite_logits(loss, bad):
    logits, target = batch(3, 4)
    logits[1, 2] = bad
    with pytest.raises(ValueError, match=f"\\({bad}\\)"):
        loss(logits, target, validate=True)


# JointCrossEntropyLoss in the place of torch.nn.CrossEntropyLoss


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
@pytest.mark.parametrize("shape", ((1, 5), (5,)), ids=("batch of one", "unbatched"))
@pytest.mark.parametrize("kind", ("indices", "probabilities"))
def test_module_on_one_example_is_cross_entropy(smoothing, shape, kind):
    logits, _ = batch(*shape)
    if kind == "indices":
        target = torch.full(shape[:-1], 3)
    else:
        target = logits.flip(-1).softmax(-1)
    ours, theirs = (
        kind(label_smoothing=smoothing)(logits, target)
        for kind in (JointCrossEntropyLoss, torch.nn.CrossEntropyLoss)
    )
    close(ours, theirs)


@both_spaces
@pytest.mark.parametrize("extra", ((6,), (2, 3)))
def test_module_takes_the_class_dimension_second(label_space, extra):
    """Segmentation: (N, K, d1, ...) is one batch of N * d1 * ... positions."""
    logits, target = batch(4, *extra, 5)
    module = JointCrossEntropyLoss(label_space=label_space, label_smoothing=0.1)
    flat = module(logits.reshape(-1, 5), target.reshape(-1))
    close(module(logits.movedim(-1, 1), target), flat)
    soft = logits.flip(0).softmax(-1)
    close(
        module(logits.movedim(-1, 1), soft.movedim(-1, 1)), module(logits.reshape(-1, 5), soft.reshape(-1, 5))
    )


@both_spaces
@pytest.mark.parametrize("smoothing", (0.0, 0.1))
@pytest.mark.parametrize("reduction", ("mean", "sum"))
@pytest.mark.parametrize("ignored", (-100, 2))
def test_ignored_positions_are_as_if_absent(label_space, smoothing, reduction, ignored):
    logits, target = batch(8, 5)
    target[[1, 4]] = ignored
    keep = target != ignored
    module = JointCrossEntropyLoss(
        ignore_index=ignored, reduction=reduction, label_smoothing=smoothing, label_space=label_space
    )
    masked, dropped = logits.clone().requires_grad_(), logits[keep].requires_grad_()
    values = module(masked, target), module(dropped, target[keep])
    assert values[0].dtype == torch.float64
    close(*values)
    for value in values:
        value.backward()
    close(masked.grad[keep], dropped.grad)
    assert not masked.grad[~keep].any()


@pytest.mark.parametrize("label", (156, 200))
def test_labels_of_many_classes_as_bytes(label):
    """Byte labels above 127: -100, the label to ignore, is 156 as a byte."""
    logits, _ = batch(3, 256)
    target = torch.tensor([label, 1, 2])
    module = JointCrossEntropyLoss()
    close(module(logits, target.to(torch.uint8)), module(logits, target))


def test_sum_is_mean_times_positions():
    logits, target = batch(7, 5)
    close(JointCrossEntropyLoss(reduction="sum")(logits, target), 7 * JointCrossEntropyLoss()(logits, target))


@pytest.mark.parametrize(
    "options, message",
    (
        ({"reduction": "none"}, "no loss per example"),
        ({"reduction": "max"}, "'max'"),
        ({"weight": torch.ones(3)}, "weight"),
        ({"label_smoothing": 1.5}, "1.5"),
        ({"kl_weight": -1.0}, "kl_weight=-1.0"),
        ({"kl_weight": math.nan}, "kl_weight=nan"),
        ({"kl_weight": math.inf}, "kl_weight=inf"),
        ({"label_smoothing": -0.1}, "-0.1"),
        ({"ignore_index": None}, "ignore_index=None must be an integer; leave it out"),
        ({"ignore_index": 2.0}, "ignore_index=2.0"),
        ({"group": "world", "reduction": "sum"}, "reduction='sum' .* group"),
        ({"group": "all"}, "group='all' must be .* \"world\" or None"),
        ({"kl_weight": torch.tensor([1.0, 5.0])}, "must be a number"),
    ),
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        JointCrossEntropyLoss(**options)


@pytest.mark.parametrize("index", (0, 2))
def test_ignore_index_is_for_indices(index):
    logits, _ = batch(3, 4)
    with pytest.raises(ValueError, match="ignore_index"):
        JointCrossEntropyLoss(ignore_index=index)(logits, logits.softmax(-1))
    with pytest.raises(RuntimeError):
        torch.nn.CrossEntropyLoss(ignore_index=index)(logits, logits.softmax(-1))
    close(
        JointCrossEntropyLoss(ignore_index=-1)(logits, logits.softmax(-1)),
        joint_nll(logits, logits.softmax(-1)),
    )


def ignored_loss(how, reduction):
    """The loss of a batch in which all is ignored, and its gradient."""
    module = JointCrossEntropyLoss(reduction=reduction, validate=how == "compiled")
    if how == "compiled":
        torch.compiler.reset()
    call = torch.compile(module, fullgraph=True, backend="eager") if how == "compiled" else module
    if how == "vmapped":
        call = lambda f, y: torch.func.vmap(module)(f[None], y[None])[0]
    logits = torch.zeros(3, 4, requires_grad=True)
    value = call(logits, torch.full((3,), -100))
    return value, torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("reduction", ("mean", "sum"))
@pytest.mark.parametrize("how", ("unvalidated", "vmapped", "compiled"))
def test_without_checks_a_batch_that_is_all_ignored_gives_nan_and_moves_nothing(how, reduction):
    """As in PyTorch for the mean, so that one such batch of a compiled training does no harm."""
    value, gradient = ignored_loss(how, reduction)
    assert value.isnan() and not gradient.any()
    assert torch.nn.CrossEntropyLoss()(torch.zeros(3, 4), torch.full((3,), -100)).isnan()


@pytest.mark.parametrize(
    "logits, target",
    (
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(3, 4), torch.zeros(3, 1, dtype=torch.int64)),
        (torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.int64)),
        (torch.zeros(3, 4), torch.zeros(3, 5)),
        (torch.zeros(3, 4), torch.zeros(3)),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.int32)),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.bool)),
        (torch.zeros(3, 4), torch.tensor([0, 4, 1])),
        (torch.zeros(3, 4), torch.tensor([0, -1, 1])),
        (torch.zeros(1, 4), torch.tensor(0)),
        (torch.zeros(1, 4), torch.zeros(4)),
        (torch.zeros(4), torch.zeros(4, dtype=torch.int64)),
        (torch.zeros(4), torch.zeros(1, 4)),
        (torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.int64)),
        (torch.zeros(2, 3, 3, 4), torch.zeros(2, 3, 3, dtype=torch.int64)),
        (torch.zeros(2, 4, 3, 3), torch.zeros(2, 3, dtype=torch.int64)),
        (torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(3, 4, dtype=torch.complex64), torch.zeros(3, dtype=torch.int64)),
        (torch.tensor(1.0), torch.tensor(0)),
        (torch.zeros(3, 0), torch.zeros(3, dtype=torch.int64)),
    ),
    ids=lambda t: f"{str(t.dtype)[6:]}{list(t.shape)}",
)
def test_refuses_what_cross_entropy_refuses(logits, target):
    """And always as a ValueError, where PyTorch has four kinds of errors."""
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        torch.nn.CrossEntropyLoss()(logits, target)
    with pytest.raises(ValueError):
        JointCrossEntropyLoss()(logits, target)


@pytest.mark.parametrize(
    "logits, target",
    (
        (torch.zeros(3, 4), torch.full((3,), -100)),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
        (torch.tensor([[0.0, math.nan]]), torch.tensor([0])),
        (torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 1.5]])),
    ),
    ids=("all ignored", "empty", "nan", "no probability"),
)
def test_refuses_where_cross_entropy_would_give_nonsense(logits, target):
    with pytest.raises(ValueError):
        JointCrossEntropyLoss()(logits, target)


# Stacks, and impossible classes


@both_losses
def test_validation_looks_at_every_row_of_a_stack(loss):
    logits, _ = batch(2, 3, 4)
    target = logits.flip(1).softmax(-1)
    close(loss(logits, target, validate=True), loss(logits, target))
    target[1, 2] /= 2
    with pytest.raises(ValueError, match="a row with sum 0.5"):
        loss(logits, target, validate=True)


def test_a_class_may_be_impossible():
    """A logit of -inf, where it is not the label's, as in cross-entropy; unvalidated."""
    logits, target = torch.tensor([[0.5, -math.inf, 1.0]]), torch.tensor([2])
    close(JointCrossEntropyLoss(validate=False)(logits, target), F.cross_entropy(logits, target), 1e-6)


@pytest.mark.parametrize("classes", (1, 2, 5))
def test_binary_labels_are_smoothed_towards_one_half(classes):
    """As two classes with one logit fixed at 0, each label by itself, whatever their number."""
    logits, labels = torch.randn(6, classes, dtype=torch.float64), torch.rand(6, classes).round().double()
    loss = JointCrossEntropyLoss(label_space="binary", label_smoothing=0.2, kl_weight=0)(logits, labels)
    pairs = torch.stack([torch.zeros_like(logits), logits], -1).flatten(0, 1)
    close(loss, classes * F.cross_entropy(pairs, labels.flatten().long(), label_smoothing=0.2))


def test_one_binary_label_needs_a_class_dimension():
    """Else BCEWithLogitsLoss's (N,) would be one example with N labels, N times the loss and uncoupled."""
    logits, labels = torch.randn(8, dtype=torch.float64), torch.ones(8, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"one example with 8 binary labels; pass .* logits\[:, None\]"):
        JointCrossEntropyLoss(label_space="binary")(logits, labels)
    loss = JointCrossEntropyLoss(label_space="binary", kl_weight=0)(logits[:, None], labels[:, None])
    close(loss, F.binary_cross_entropy_with_logits(logits, labels))


@pytest.mark.parametrize("label", (-1, 3))
def test_a_label_out_of_range_is_refused_without_looking(label):
    """By torch itself, with options that make vectors of the labels, too."""
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, label])
    weights = SelfNormalisedCrossEntropyLoss(torch.ones(3), validate=False)
    for loss in (JointCrossEntropyLoss(label_smoothing=0.1, validate=False), weights):
        with pytest.raises((IndexError, RuntimeError)):
            loss(logits, target)


def test_class_weights_can_be_mapped_over_models():
    module = SelfNormalisedCrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]), validate=False)
    logits, target = torch.randn(4, 8, 3, dtype=torch.float64), torch.randint(3, (4, 8))
    mapped = torch.func.vmap(torch.func.grad(module))(logits, target)
    for i in range(4):
        close(mapped[i], torch.func.grad(module)(logits[i], target[i]))


def test_a_forgotten_normaliser_is_noticed_also_after_loading_another():
    module = SelfNormalisedCrossEntropyLoss(log_normaliser=1.0, learn=True)
    module.load_state_dict({"log_normaliser": torch.tensor(2.5)})
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    with pytest.warns(RuntimeWarning, match="has not changed in 100 forward passes"):
        for _ in range(100):
            module(logits, target)
