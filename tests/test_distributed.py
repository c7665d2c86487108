"""The joint loss of a batch that is spread over processes, against one process that holds it all."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel

from gffn_core import JointCrossEntropyLoss, joint_nll
from gffn_core.checks import LABEL_SPACES

SHARDS = {1: [6], 2: [7, 2], 4: [5, 1, 7, 3]}  # of unequal size


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def mean_over_processes(value, group):
    value = value.detach().clone()
    dist.all_reduce(value, group=group)
    return value / dist.get_world_size(group)


def problem(sizes, seed=0):
    """The same net and whole batch in every process, and each process's part of it."""
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5)).double()
    inputs, target = 3 * torch.randn(sum(sizes), 4).double(), torch.randint(5, (sum(sizes),))
    return net, inputs, target, inputs.split(sizes), target.split(sizes)


def gradients(net, loss):
    return torch.autograd.grad(loss, list(net.parameters()))


def equals_the_whole_batch(group, rank, sizes):
    for space, weight in zip(LABEL_SPACES, (1.0, 0.3)):
        options = {"label_space": space, "kl_weight": weight}
        net, inputs, target, parts, targets = problem(sizes)
        here = parts[rank], targets[rank]
        wanted = joint_nll(net(inputs), target, **options)
        loss = joint_nll(net(here[0]), here[1], **options, group=group)
        close(mean_over_processes(loss, group), wanted)
        for ours, whole in zip(gradients(net, loss), gradients(net, wanted)):
            close(mean_over_processes(ours, group), whole)

        # Two accumulated batches, through DistributedDataParallel and the module.
        module = JointCrossEntropyLoss(**options, group=group)
        parallel = DistributedDataParallel(copy.deepcopy(net), process_group=group)
        second = [3 * torch.randn(sum(sizes), 4).double(), torch.randint(5, (sum(sizes),))]
        with parallel.no_sync():
            module(parallel(here[0]), here[1]).backward()
        module(parallel(second[0].split(sizes)[rank]), second[1].split(sizes)[rank]).backward()
        total = sum(joint_nll(net(x), t, **options) for x, t in ((inputs, target), second))
        for parameter, whole in zip(parallel.module.parameters(), gradients(net, total)):
            close(parameter.grad, whole)

        # Ignored positions count nowhere; a stack of models is still a stack.
        target = target.clone()
        target[0] = -100
        if sizes[0] > 1:
            loss = module(net(parts[rank]), target.split(sizes)[rank])
            close(mean_over_processes(loss, group), joint_nll(net(inputs[1:]), target[1:], **options))
        stack, labels = torch.randn(3, sum(sizes), 5).double(), torch.randint(5, (3, sum(sizes)))
        dist.broadcast(stack, 0, group), dist.broadcast(labels, 0, group)
        loss = joint_nll(stack.split(sizes, 1)[rank], labels.split(sizes, 1)[rank], **options, group=group)
        close(mean_over_processes(loss, group), joint_nll(stack, labels, **options))


def is_not_the_mean_of_local_losses(group, rank, sizes):
    net, inputs, target, parts, targets = problem(sizes)
    local = mean_over_processes(joint_nll(net(parts[rank]), targets[rank]), group)
    assert abs(local - joint_nll(net(inputs), target)) > 1e-3


def names_an_empty_part_everywhere(group, rank, sizes):
    size = 0 if rank == 1 else 3
    for call in (lambda *batch: joint_nll(*batch, group=group), JointCrossEntropyLoss(group=group)):
        with pytest.raises(ValueError, match=r"\[3.0, 0.0\]: every process needs at least one"):
            call(torch.zeros(size, 5), torch.zeros(size, dtype=torch.int64))


def sends_sixteen_bytes(group, rank, sizes):
    sent = []
    gather = dist.all_gather

    def counted(parts, mine, group):
        sent.append(mine.nbytes)
        return gather(parts, mine, group=group)

    dist.all_gather = counted
    net, _, _, parts, targets = problem(sizes)
    gradients(net, joint_nll(net(parts[rank]), targets[rank], group=group))
    assert sent == [16]


def all_checks(rank, folder):
    torch.set_num_threads(1)
    world = max(SHARDS)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    groups = {size: dist.new_group(range(size)) for size in SHARDS} | {world: dist.group.WORLD}
    for size, group in groups.items():
        if rank < size:
            equals_the_whole_batch(group, rank, SHARDS[size])
    batch = torch.randn(3, 5) + rank, torch.arange(3)
    assert torch.equal(joint_nll(*batch, group="world"), joint_nll(*batch, group=dist.group.WORLD))
    if rank < 2:
        for check in (is_not_the_mean_of_local_losses, names_an_empty_part_everywhere, sends_sixteen_bytes):
            check(groups[2], rank, SHARDS[2])
    dist.barrier()
    dist.destroy_process_group()


def test_on_one_two_and_four_processes(tmp_path):
    """A failure's traceback names the check. Processes are started once, from one that has imported torch."""
    start_processes(all_checks, (tmp_path,), nprocs=max(SHARDS), start_method="forkserver")


def test_sum_over_processes_is_refused():
    with pytest.raises(ValueError, match="'sum' is not supported with a group"):
        JointCrossEntropyLoss(reduction="sum", group="world")


def test_all_processes_are_asked_for_before_there_are_any():
    """``group.WORLD``, which is None until then, would train another loss without a word."""
    with pytest.raises(ValueError, match="call torch.distributed.init_process_group first"):
        JointCrossEntropyLoss(group="world")(torch.randn(4, 3), torch.zeros(4, dtype=torch.long))
