"""Relatives of the joint loss: one intercept for all data, penalties, reference inputs, micro-batches."""

import itertools
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
from gffn_core.checks import LABEL_SPACES
from gffn_core.losses import LINEAR_FROM
from gffn_core.model import ConvNet
from gffn_core.variants import penalties
from gffn_core.variants.augmentation import AUGMENTATIONS, augmented
from gffn_core.variants.micro_batches import joint_backward
from gffn_core.variants.references import KINDS, beside, energy_margin, labelled, outlier_exposure


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

    # The usual start, which float32 rounds.
    forgotten = SelfNormalisedCrossEntropyLoss(log_normaliser=math.log(10), learn=True)
    with pytest.warns(RuntimeWarning, match="optimiser.*loss.parameters"):
        for _ in range(100):
            forgotten(logits, target)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"log_normaliser": math.inf}, "log_normaliser=inf must be a finite number"),
        ({"log_normaliser": "1"}, "log_normaliser='1' must be a finite number"),
        ({"kl_weight": "1"}, "kl_weight='1' must be a number"),
        ({"label_smoothing": None}, "label_smoothing=None must be a number"),
        ({"weight": [1.0, 1.0]}, r"weight must be a tensor .*got \[1.0, 1.0\]"),
        ({"weight": torch.tensor(2.0)}, r"weight must be a tensor .*\(K,\)"),
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
@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 5, 4), (5, 3), (5, 1)])
def test_references_of_another_shape_are_refused(loss, shape):
    with pytest.raises(ValueError, match="reference_logits have shape"):
        loss(*batch(0), reference_logits=torch.zeros(shape))
    with pytest.raises(ValueError, match=r"reference_logits hold a non-finite value \(nan\)"):
        loss(*batch(0), reference_logits=torch.full((5, 4), math.nan), validate=True)


def test_an_intercept_is_one_number_or_one_a_model():
    logits, target = batch(0, leading=(2,))
    assert self_normalised_nll(logits, target, log_normaliser=torch.zeros(2)).shape == (2,)
    for shape in ((1,), (7,), (2, 1)):
        with pytest.raises(ValueError, match="log_normaliser has shape"):
            self_normalised_nll(logits, target, log_normaliser=torch.zeros(shape))
    with pytest.raises(ValueError, match="log_normaliser hold a non-finite value"):
        self_normalised_nll(logits, target, log_normaliser=torch.tensor(math.nan), validate=True)


def test_class_weights_are_one_a_class_and_a_mean_has_something_to_average():
    logits, target = batch(0)
    for count in (1, 2, 5):
        with pytest.raises(ValueError, match=rf"weight has shape \({count},\); 4 classes take \(4,\)"):
            SelfNormalisedCrossEntropyLoss(torch.ones(count))(logits, target)
    ignored = torch.full_like(target, -100)
    for x, y in ((logits, ignored), (logits[:0], target[:0])):
        with pytest.raises(ValueError, match="empty batch"):
            SelfNormalisedCrossEntropyLoss()(x, y)
        assert SelfNormalisedCrossEntropyLoss(reduction="sum")(x, y) == 0


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


@pytest.mark.parametrize("shape", [(3,), (2, 5, 3)])
def test_positions_of_a_sequence_have_to_be_flattened(shape):
    """Else they would be counted as one example each batch, and all numbers be wrong in silence."""
    x = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"have to be \(N, K\).*logits.flatten\(0, -2\)"):
        joint_backward(Sharp(3), [(x, torch.zeros(shape[:-1], dtype=torch.int64))])


# Penalties

WEIGHED = (
    penalties.variance,
    penalties.squared,
    penalties.z_loss,
    penalties.confidence_penalty,
    penalties.logit_penalty,
)
PENALTIES = (*WEIGHED, penalties.label_smoothing, penalties.logit_norm)
REFERRING = (outlier_exposure, energy_margin, labelled)


def named(functions):
    return pytest.mark.parametrize("loss", functions, ids=lambda one: one.__name__)


@named(WEIGHED)
@given(seed=seeds, space=spaces)
def test_a_penalty_without_weight_is_the_conditional_loss(loss, seed, space):
    logits, target = batch(seed, leading=(2,))
    torch.testing.assert_close(
        loss(logits, target, label_space=space, weight=0.0),
        conditional_nll(logits, target, label_space=space),
    )


@given(seeds, spaces, weights)
def test_penalties_are_what_they_say(seed, space, weight):
    """From probabilities over all labels of the space, in the plainest form."""
    logits, target = batch(seed, classes=3)
    both = itertools.product((0.0, 1.0), repeat=3)
    labels = torch.eye(3) if space == "categorical" else torch.tensor(list(both))
    scores = logits @ labels.T.double()  # <y, f(x)> of each label, (N, labels)
    ln_z, probs = scores.logsumexp(-1), scores.softmax(-1)
    entropy, uniform = -(probs * probs.log()).sum(-1), -probs.log().mean(-1)
    options = {"label_space": space, "weight": weight}
    nll = conditional_nll(logits, target, label_space=space)
    for loss, term in (
        (penalties.variance, ln_z.var(correction=0) / 2),
        (penalties.z_loss, ln_z.square().mean()),
        (penalties.confidence_penalty, -entropy.mean()),
        (penalties.logit_penalty, logits.square().sum(-1).mean()),
    ):
        torch.testing.assert_close(loss(logits, target, **options), nll + weight * term)
    zeros = math.log(len(labels))  # ln Z of them
    for c, given_c in ((zeros, {}), (2.5, {"log_normaliser": 2.5})):
        found = penalties.squared(logits, target, **options, **given_c)
        torch.testing.assert_close(found, nll + weight / 2 * (ln_z - c).square().mean())
    smooth = penalties.label_smoothing(logits, target, label_space=space, smoothing=0.3)
    torch.testing.assert_close(smooth, 0.7 * nll + 0.3 * uniform.mean())
    exposed = outlier_exposure(logits, target, reference_logits=logits, **options)
    torch.testing.assert_close(exposed, nll + weight * uniform.mean())


@given(seeds, st.booleans())
def test_smoothed_labels_are_those_of_torch(seed, vectors):
    logits, target = batch(seed)
    target = logits.flip(-1).softmax(-1) if vectors else target
    found = penalties.label_smoothing(logits, target, smoothing=0.2)
    torch.testing.assert_close(found, F.cross_entropy(logits, target, label_smoothing=0.2))


@given(seeds)
def test_the_joint_loss_is_the_variance_to_second_order(seed):
    logits, target = batch(seed, scale=1e-3)
    terms = [
        loss(logits, target) - conditional_nll(logits, target) for loss in (joint_nll, penalties.variance)
    ]
    assert terms[0].item() == pytest.approx(terms[1].item(), rel=1e-2, abs=1e-13)


def test_which_penalties_a_shift_and_a_scale_of_the_logits_leave_alone():
    logits, target = batch(0)
    shift = torch.randn(7, 1, dtype=torch.float64)
    moved = {loss: loss(logits + shift, target) - loss(logits, target) for loss in PENALTIES}
    alike = {loss for loss, change in moved.items() if change.abs() < 1e-12}
    assert alike == {penalties.label_smoothing, penalties.confidence_penalty}
    together = penalties.variance(logits + 5.0, target)  # one shift for all
    torch.testing.assert_close(together, penalties.variance(logits, target))
    larger = [penalties.logit_norm(scale * logits, target) for scale in (1, 100)]
    torch.testing.assert_close(*larger)
    unit = logits / logits.norm(dim=-1, keepdim=True) / 0.5
    torch.testing.assert_close(
        penalties.logit_norm(logits, target, temperature=0.5), conditional_nll(unit, target)
    )


@named((*PENALTIES, *REFERRING))
@pytest.mark.parametrize("space", LABEL_SPACES)
def test_relatives_have_the_right_gradient_and_one_loss_a_batch(loss, space):
    logits, target = batch(0, n=3, leading=(2,))
    more = {"reference_logits": batch(1, n=3, leading=(2,))[0]} if loss in REFERRING else {}
    f = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss(f, target, label_space=space, **more), f)
    found = loss(logits, target, label_space=space, **more)
    vectors = loss(logits, F.one_hot(target, 4), label_space=space, **more)
    torch.testing.assert_close(vectors, found)
    for i in range(2):
        one = {name: value[i] for name, value in more.items()}
        torch.testing.assert_close(loss(logits[i], target[i], label_space=space, **one), found[i])
    half = {name: value.bfloat16() for name, value in more.items()}
    assert loss(1e4 * logits.bfloat16(), target, label_space=space, **half).dtype == torch.float32


@named((*PENALTIES, *REFERRING))
def test_relatives_refuse_what_the_conditional_loss_refuses(loss):
    logits, target = batch(0)
    more = {"reference_logits": batch(1)[0]} if loss in REFERRING else {}
    for wrong, message in (
        ((logits[:0], target[:0]), "empty batch"),
        ((logits.long(), target), "floating point"),
        ((logits, target[:3]), "target has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(*wrong, **more)
    with pytest.raises(ValueError, match="label_space='ternary'"):
        loss(logits, target, label_space="ternary", **more)


@pytest.mark.parametrize(
    "loss, options, message",
    [
        *(
            (loss, {"weight": -1.0}, "weight=-1.0 must be a number, finite and not negative")
            for loss in WEIGHED
        ),
        (penalties.label_smoothing, {"smoothing": 1.5}, "smoothing=1.5"),
        (penalties.logit_norm, {"temperature": 0.0}, "temperature=0.0"),
        (penalties.squared, {"log_normaliser": math.nan}, "log_normaliser=nan"),
    ],
)
def test_options_of_penalties_that_cannot_be_meant_are_refused(loss, options, message):
    with pytest.raises(ValueError, match=message):
        loss(*batch(0), **options)


def test_centred_logits_change_ln_z_and_no_probability():
    images = torch.rand(5, 1, 8, 8)
    free, centred = (ConvNet(1, 8, centred=centred) for centred in (False, True))
    centred.load_state_dict(free.state_dict())
    logits = free(images), centred(images)
    torch.testing.assert_close(logits[1].mean(-1), torch.zeros(5))
    torch.testing.assert_close(*[one.softmax(-1) for one in logits])
    torch.testing.assert_close(log_partition(logits[1]), log_partition(logits[0]) - logits[0].mean(-1))


# References


def made(kinds, images, seed=0, step=0):
    """The references of one model's images."""
    both = beside(images[None], kinds, torch.tensor([seed]), torch.tensor([step]))[0]
    assert torch.equal(both[: len(images)], images) and both.shape[0] == 2 * len(images)
    return both[len(images) :]


def pictures(n=6, size=16, channels=3, seed=0):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", (8, 28, 32))
def test_references_are_a_function_of_images_seed_and_step(kind, size):
    images = pictures(size=size, channels=1)
    torch.manual_seed(1)
    first = made(kind, images, seed=3, step=5)
    torch.manual_seed(2)  # no generator plays a part
    assert torch.equal(made(kind, images, seed=3, step=5), first) and first.isfinite().all()
    random = kind in ("shuffled4", "shuffled8", "noise")
    for other in ({"seed": 4, "step": 5}, {"seed": 3, "step": 6}):
        assert torch.equal(made(kind, images, **other), first) != random
    assert not torch.equal(first, images)


def test_models_of_a_stack_have_their_own_references():
    images = torch.stack([pictures(seed=seed) for seed in range(3)])
    seeds, step = torch.tensor([4, 0, 4]), torch.tensor([7])
    kinds = "+".join(KINDS)
    found = beside(images, kinds, seeds, step)[:, 6:]
    for i, seed in enumerate(seeds.tolist()):
        torch.testing.assert_close(found[i], made(kinds, images[i], seed, 7), rtol=0, atol=0)


def test_several_kinds_share_the_batch():
    images = pictures(7)
    found = made("blur+mixed+blur", images)
    assert torch.equal(found[[0, 1, 2, 5, 6]], made("blur", images)[[0, 1, 2, 5, 6]])
    assert torch.equal(found[3:5], (images[3:5] + images[2:4]) / 2)
    with pytest.raises(ValueError, match=r"references='blur\+snow': \['snow'\] unknown"):
        made("blur+snow", images)


@pytest.mark.parametrize("size", (28, 32))
def test_blur_keeps_the_mean_of_an_image_and_what_has_no_detail(size):
    images = pictures(size=size)
    found = made("blur", images)
    torch.testing.assert_close(found.mean((2, 3)), images.mean((2, 3)))
    assert found.std() < 0.4 * images.std()
    flat = images.mean((2, 3), keepdim=True).expand_as(images).contiguous()
    torch.testing.assert_close(made("blur", flat), flat)


@pytest.mark.parametrize(
    "kind, size, side", (("shuffled4", 32, 4), ("shuffled8", 32, 8), ("shuffled8", 28, 7))
)
def test_shuffling_keeps_the_patches_of_an_image(kind, size, side):
    images = pictures(size=size)
    found = made(kind, images)

    def patches(images):
        columns = F.unfold(images, side, stride=side).mT  # (N, patches, C * side * side)
        return columns.gather(
            1, columns[..., :1].argsort(1).expand_as(columns)
        )  # in the order of their first number

    assert torch.equal(patches(found), patches(images))
    moved = (found != images).float().mean()
    assert moved > 0.7


def test_noise_is_smooth_and_has_the_colours_of_the_images():
    colours = torch.tensor([[2.0, -1.0, 0.0], [-1.0, 3.0, 1.0]])
    images = colours[torch.arange(64) % 2][..., None, None].expand(-1, -1, 32, 32).contiguous()
    found = made("noise", images)
    share = (found[:, 0] + 1) / 3  # all lie between the two colours
    torch.testing.assert_close(
        found, colours[1][:, None, None] + share[:, None] * (colours[0] - colours[1])[:, None, None]
    )
    assert 0.45 < share.mean() < 0.55 and share.min() < 0.01 and share.max() > 0.99
    assert (found[..., 1:] - found[..., :-1]).abs().max() <= 1.0001  # from colour to colour in four pixels
    assert (found[0] - found[1]).abs().max() > 1


# Augmentation


@pytest.mark.parametrize("kinds", AUGMENTATIONS[1:4])
@pytest.mark.parametrize("size, most", ((8, 1), (28, 3), (32, 4)))
def test_an_augmented_image_is_the_image_mirrored_or_shifted(kinds, size, most):
    """One of those that padding, cutting and turning give; each shift occurs, and every second is mirrored."""
    images = pictures(200, size, channels=2)
    shifts = range(2 * most + 1) if "shift" in kinds else [most]
    wide = F.pad(images, [most] * 4, mode="reflect")
    cut = [wide[..., y : y + size, x : x + size] for y in shifts for x in shifts]
    allowed = [turned for one in cut for turned in ((one, one.flip(-1)) if "flip" in kinds else (one,))]
    found = augmented(images[None], kinds, torch.tensor([3]), torch.tensor([5]))[0]
    which = torch.stack([(found == one).flatten(1).all(1) for one in allowed])
    assert which.sum(0).eq(1).all()
    down, right, mirrored = which.view(len(shifts), len(shifts), -1, 200).nonzero().T[:3]
    for of_all in (down, right):
        assert len(of_all.unique()) == len(shifts)
    if "flip" in kinds:
        assert 0.4 < mirrored.float().mean() < 0.6


def test_a_mutated_image_has_a_fifth_of_its_pixels_from_others_of_its_batch():
    """Another batch in the stack has other colours."""
    images = torch.stack([pictures(30, channels=2), pictures(30, channels=2) + 1000])
    found = augmented(images, "mutate", torch.tensor([3, 4]), torch.tensor([5]))
    for own, mutated in zip(images, found):
        changed = (own != mutated).any(1)
        assert 0.18 < changed.float().mean() < 0.22 and changed.flatten(1).any(1).all()
        colours = lambda x: {tuple(pixel) for pixel in x.movedim(1, -1).reshape(-1, 2).tolist()}
        assert colours(mutated) <= colours(own)


@pytest.mark.parametrize("kinds", ("flip+shift", "mutate"))
def test_models_of_a_stack_have_their_own_augmentation_at_each_step(kinds):
    images = pictures(40)
    seeds, steps = torch.tensor([4, 0, 4]), torch.tensor([7, 7, 8])
    found = augmented(images.expand(3, -1, -1, -1, -1), kinds, seeds, steps)
    for i in range(3):
        alone = augmented(images[None], kinds, seeds[i : i + 1], steps[i : i + 1])[0]
        assert torch.equal(found[i], alone) and alone.stride() == found[i].stride()
        assert (found[i] == found[i - 1]).flatten(1).all(1).float().mean() < 0.2


# Objectives with references


def test_energy_margins_are_one_sided():
    logits, target = batch(0)
    outside, _ = batch(1)
    margins = {"inside": -100.0, "outside": 100.0}
    torch.testing.assert_close(
        energy_margin(logits, target, reference_logits=outside, **margins), conditional_nll(logits, target)
    )
    margins = {"inside": 50.0, "outside": -50.0}
    wanted = (50 - log_partition(logits)).square().mean() + (log_partition(outside) + 50).square().mean()
    found = energy_margin(logits, target, reference_logits=outside, weight=2.0, **margins)
    torch.testing.assert_close(found, conditional_nll(logits, target) + 2 * wanted)


def test_labelled_references_are_further_examples():
    (logits, target), (more, _) = batch(0), batch(1)
    wanted = F.cross_entropy(torch.cat([logits, more]), torch.cat([target, target]))
    torch.testing.assert_close(labelled(logits, target, reference_logits=more), wanted)
