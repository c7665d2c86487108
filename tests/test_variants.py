"""Relatives of the joint loss: one intercept for all data, reference inputs, micro-batches."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from gffn_core import (
    SelfNormalisedCrossEntropyLoss,
    conditional_nll,
    joint_nll,
    log_partition,
    self_normalised_nll,
)
from gffn_core.losses import LABEL_SPACES, LINEAR_FROM
from gffn_core.variants.micro_batches import joint_backward


def batch(seed, n=7, classes=4, scale=3.0, leading=()):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(*leading, n, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (*leading, n), generator=generator)


spaces = st.sampled_from(LABEL_SPACES)
seeds = st.integers(0, 10_000)
weights = st.sampled_from([0.3, 1.0, 5.0])


@given(seeds, spaces, weights, st.floats(-5, 20))
def test_one_intercept_for_all_is_never_below_one_for_the_batch(seed, space, weight, b):
    logits, target = batch(seed)
    joint = joint_nll(logits, target, label_space=space, kl_weight=weight)
    settings = {"label_space": space, "kl_weight": weight}
    loss = self_normalised_nll(logits, target, log_normaliser=b, **settings)
    assert loss >= joint - 1e-12
    ln_mean_z = log_partition(logits, label_space=space).logsumexp(-1) - math.log(7)
    best = self_normalised_nll(logits, target, log_normaliser=ln_mean_z, **settings)
    assert best.item() == pytest.approx(joint.item(), abs=1e-10)


def test_it_is_the_poisson_likelihood_of_one_hot_labels():
    logits, target = batch(0)
    poisson = nn.PoissonNLLLoss(log_input=True, reduction="none")(logits, F.one_hot(target, 4)).sum(-1).mean()
    assert self_normalised_nll(logits, target, log_normaliser=0.0).item() == pytest.approx(poisson.item() - 1)


@given(seeds, spaces)
def test_weight_zero_is_the_conditional_loss_and_examples_may_come_in_any_order_and_parts(seed, space):
    logits, target = batch(seed)
    none = self_normalised_nll(logits, target, label_space=space, kl_weight=0.0)
    torch.testing.assert_close(none, conditional_nll(logits, target, label_space=space))
    whole = self_normalised_nll(logits, target, label_space=space)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    parts = [
        len(part) / 7 * self_normalised_nll(logits[part], target[part], label_space=space)
        for part in order.split(3)
    ]
    torch.testing.assert_close(sum(parts), whole)


def test_its_gradient_is_right_for_logits_and_intercept():
    logits, target = batch(0, leading=(2,))
    b = torch.tensor([0.5, 3.0], dtype=torch.float64, requires_grad=True)
    references, _ = batch(1, n=5, leading=(2,))
    assert torch.autograd.gradcheck(
        lambda f, b, r: self_normalised_nll(f, target, log_normaliser=b, kl_weight=2.0, reference_logits=r),
        (logits.requires_grad_(), b, references.requires_grad_()),
    )


@pytest.mark.parametrize("loss", [self_normalised_nll, SelfNormalisedCrossEntropyLoss()])
def test_its_gradient_is_right_in_single_precision(loss):
    """The tangent beyond LINEAR_FROM has a slope of 5e8, of which nothing may be left in the gradient below."""
    logits, target = batch(0, scale=1.0)
    exact, single = logits.requires_grad_(), logits.detach().float().requires_grad_()
    loss(exact, target).backward()
    loss(single, target).backward()
    by_hand = (log_partition(exact).exp()[:, None] / 4 * exact.softmax(-1) - F.one_hot(target, 4)) / 7
    torch.testing.assert_close(exact.grad, by_hand.detach(), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(single.grad, by_hand.detach().float())


@pytest.mark.parametrize("scale", [1e4, -1e4, 30.0])
def test_it_stays_finite_for_large_logits_and_goes_on_as_a_tangent(scale):
    logits = (torch.eye(4)[:3] * scale).requires_grad_()
    loss = self_normalised_nll(logits, torch.tensor([1, 1, 2]))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    half = self_normalised_nll(logits.detach().bfloat16(), torch.tensor([1, 1, 2]))
    assert half.dtype == torch.float32 and half.isfinite()
    assert logits.grad.abs().max() <= 1.01 * math.exp(LINEAR_FROM)


@given(
    seeds,
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_drop_in_without_its_penalty_is_cross_entropy_with_all_options(
    seed, reduction, smoothing, weighted, vectors, images
):
    logits, target = batch(seed)
    weight = torch.tensor([0.5, 2.0, 1.0, 0.0], dtype=torch.float64) if weighted else None
    target = F.one_hot(target, 4) * 0.7 + 0.075 if vectors else torch.where(target == 3, -100, target)
    if images:  # (N, K, d1): examples by positions
        logits = torch.stack([logits, 2 * logits], -1)
        target = torch.stack([target, target], -1)
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    if not vectors and (target == -100).all():
        return
    ours = SelfNormalisedCrossEntropyLoss(**options, kl_weight=0.0)(logits, target)
    torch.testing.assert_close(ours, F.cross_entropy(logits, target, **options))


def test_a_class_weight_weighs_the_whole_term():
    logits, target = batch(0)
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    each = SelfNormalisedCrossEntropyLoss(reduction="none")(logits, target)
    weighted = SelfNormalisedCrossEntropyLoss(weight=weight)(logits, target)
    torch.testing.assert_close(weighted, (weight[target] * each).sum() / weight[target].sum())
    torch.testing.assert_close(each.mean(), self_normalised_nll(logits, target))


def test_a_learned_intercept_finds_ln_mean_z_and_a_forgotten_one_is_noticed():
    logits, target = batch(0)
    loss = SelfNormalisedCrossEntropyLoss(log_normaliser=0.0, learn=True)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    right = log_partition(logits).logsumexp(-1).item() - math.log(7)
    assert loss.log_normaliser.item() == pytest.approx(right, abs=1e-3)
    assert SelfNormalisedCrossEntropyLoss(log_normaliser=1.0, learn=True).state_dict().keys() == {
        "log_normaliser"
    }

    forgotten = SelfNormalisedCrossEntropyLoss(log_normaliser=0.0, learn=True)
    with pytest.warns(RuntimeWarning, match="optimiser.*loss.parameters"):
        for _ in range(100):
            forgotten(logits, target)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"log_normaliser": math.inf}, "log_normaliser=inf must be finite"),
        ({"learn": True}, "needs a log_normaliser to start from"),
        ({"reduction": "max"}, "reduction='max' is unknown"),
        ({"kl_weight": -1.0}, "kl_weight=-1.0"),
        ({"weight": torch.ones(4), "label_space": "binary"}, "exclude each other"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SelfNormalisedCrossEntropyLoss(**options)


@given(seeds, spaces, weights)
def test_references_enter_the_sum_over_all_inputs(seed, space, weight):
    logits, target = batch(seed)
    references, _ = batch(seed + 1, n=5)
    z = log_partition(torch.cat([logits, references]), label_space=space)
    conditional = conditional_nll(logits, target, label_space=space)
    evenness = z.logsumexp(-1) - math.log(12) - log_partition(logits, label_space=space).mean()
    options = {"label_space": space, "kl_weight": weight, "reference_logits": references}
    joint = joint_nll(logits, target, **options)
    torch.testing.assert_close(joint, conditional + weight * evenness)
    best = self_normalised_nll(logits, target, log_normaliser=z.logsumexp(-1) - math.log(12), **options)
    torch.testing.assert_close(best, joint)


@pytest.mark.parametrize("loss", [joint_nll, self_normalised_nll])
@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 5, 4)])
def test_references_of_another_shape_are_refused(loss, shape):
    with pytest.raises(ValueError, match="reference_logits have shape"):
        loss(*batch(0), reference_logits=torch.zeros(shape))


class Sharp(nn.Module):
    """A net with logits of any size, so that the largest ln Z grows from one micro-batch to the next."""

    def __init__(self, inputs):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 4)).double()

    def forward(self, x):
        return 300 * self.net(x)


@pytest.mark.parametrize("space", LABEL_SPACES)
@pytest.mark.parametrize("weight", [1.0, 0.3, 5.0])
@pytest.mark.parametrize("size", [1, 5, 24])
def test_micro_batches_give_the_gradient_of_the_whole_batch(space, weight, size):
    torch.manual_seed(0)
    net, x, y = Sharp(3), torch.randn(24, 3, dtype=torch.float64), torch.randint(4, (24,))
    loss = joint_nll(net(x), y, label_space=space, kl_weight=weight)
    loss.backward()
    wanted = [one.grad.clone() for one in net.parameters()]
    net.zero_grad()
    parts = zip(x.split(size), y.split(size))
    for times in (1, 2):  # a second call adds to what is there, as backward does
        found = joint_backward(net, parts if times == 1 else [(x, y)], label_space=space, kl_weight=weight)
        torch.testing.assert_close(found, loss.detach(), rtol=1e-10, atol=1e-10)
        for one, gradient in zip(net.parameters(), wanted):
            torch.testing.assert_close(one.grad, times * gradient, rtol=1e-10, atol=1e-10)


def test_no_micro_batch_is_an_error():
    with pytest.raises(ValueError, match="no examples"):
        joint_backward(Sharp(3), [])
