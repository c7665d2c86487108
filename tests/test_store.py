"""The store: what was saved is read back, and what is damaged counts as absent."""

import dataclasses
import errno
import gzip
import json
import math
import os
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gffn_core.cli import main
from gffn_core.data.files import sha256_of, write_atomically
from gffn_core.experiments import sweep
from gffn_core.experiments.store import Store
from gffn_core.training.loop import train
from gffn_core.training.run import Run, initial_model, record_key


@pytest.fixture(scope="module")
def result(tiny):
    return train(Run("digits", "joint", batch_size=50, epochs=1), tiny, out_of_distribution=tiny)


def variant(result, *, run=None, **data):
    """The same result as if of another run, or on other data."""
    finished = data.pop("finished", result.provenance["finished"])
    return dataclasses.replace(
        result,
        run=dataclasses.replace(result.run, **run or {}),
        data=result.data | data,
        provenance=result.provenance | {"finished": finished},
    )


def damages(intact, step):
    """Truncated copies, and copies with one bit of one byte changed."""
    for position in range(1, len(intact), step):
        yield intact[:position]
        for bit in (0, 5, 7):
            changed = bytearray(intact)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def test_a_full_disk_under_torch_save_is_named(tmp_path):
    """torch.save itself answers with an internal error about positions in the file."""

    class Full:
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.checkpoint"
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        write_atomically(path, lambda file: torch.save({"a": torch.zeros(9)}, Full()))
    assert not list(tmp_path.iterdir())


# Round trip


def test_saved_results_are_selected_in_the_order_asked_for(result, store):
    others = [variant(result, run={"seed": seed}) for seed in (3, 1, 2)]
    saved = {other.run: store.save(other) for other in others}
    missing = dataclasses.replace(result.run, seed=9)
    wanted = [others[2].run, missing, others[0].run]
    found = Store(store.root).select(wanted)
    assert list(found.items()) == [(run, saved[run]) for run in (wanted[0], wanted[2])]
    assert len(store.records()) == 3


def test_record_holds_the_result(result, store):
    record = store.save(result)
    assert record["key"] == record_key(result.run, result.data["sha256"])
    assert Run.of(record["run"]) == result.run
    assert record["data"] == result.data
    assert record["curves"]["val_nll"] == pytest.approx(result.curves["val_nll"], rel=1e-5)
    for key, logits in result.logits.items():
        np.testing.assert_array_equal(store.logits(record)[key], logits)


def test_floats_keep_six_digits_and_nan_becomes_none(result, store):
    """JSON has no NaN; an empty calibration bin has no accuracy."""
    curves = {"val_nll": [1 / 3, 123456789.0, math.nan, math.inf], "count": [123456789]}
    record = store.save(dataclasses.replace(result, curves=curves))
    assert record["curves"] == {"val_nll": [0.333333, 123457000.0, None, None], "count": [123456789]}
    text = next(store.runs.glob("*.json")).read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert store.select([result.run])[result.run] == record
    bins = store.save(result)["evaluations"]["long"]["calibration"]["uniform10"]
    assert [a is None for a in bins["accuracy"]] == [n == 0 for n in bins["count"]]
    assert 0 in bins["count"]


def test_same_run_on_other_data_is_another_record(result, store, monkeypatch):
    """The official data wins over a file of one's own, then the run that finished last."""
    run = result.run
    own = variant(result, official=False, sha256="own", finished="2030-01-01T00:00:00+00:00")
    older = variant(result, sha256="older", finished="2001-01-01T00:00:00+00:00")
    store.save(own)
    assert store.select([run])[run]["data"]["sha256"] == "own"
    store.save(older)
    assert store.select([run])[run]["data"]["sha256"] == "older"
    store.save(result)
    assert store.select([run])[run]["data"]["sha256"] == result.data["sha256"]
    assert len(store.records()) == 3
    # Whoever has the data asks for the records on it.
    for version in ("own", "older"):
        assert store.select([run], {run.dataset: version})[run]["data"]["sha256"] == version
    assert store.select([run], {run.dataset: "another"}) == {}
    monkeypatch.setattr(sweep, "sweep", lambda *args, **kwargs: 0)
    monkeypatch.setattr(
        sweep, "datasets_of", lambda runs, root: {run.dataset: SimpleNamespace(sha256="older")}
    )
    found = sweep.results([run], store, train_missing=True, device="cpu")
    assert found[run]["data"]["sha256"] == "older"


# Publishing


def test_published_records_are_all_a_reader_needs(result, store, tmp_path):
    runs = [variant(result, run={"seed": seed}).run for seed in range(3)]
    saved = {run: store.save(variant(result, run={"seed": run.seed})) for run in runs}
    path, count = store.publish("grid", runs[:2])
    assert count == 2
    reader = Store(tmp_path / "reader")
    write_atomically(reader.published / path.name, lambda file: file.write(path.read_bytes()))
    assert reader.select(runs) == {run: saved[run] for run in runs[:2]}
    with pytest.raises(FileNotFoundError, match="not published"):
        reader.logits(saved[runs[0]])


def test_publishing_is_reproducible(result, store, monkeypatch):
    """Same records, same bytes: publishing again does not dirty the repository."""
    results = [variant(result, run={"seed": seed}) for seed in range(3)]
    runs = [other.run for other in results]
    for other in results:
        store.save(other)
    path, _ = store.publish("grid", runs)
    first = path.read_bytes()
    monkeypatch.setattr(gzip.time, "time", lambda: 2e9)  # gzip would note the time
    assert store.publish("grid", runs)[0].read_bytes() == first
    for file in store.runs.iterdir():
        file.unlink()
    assert store.publish("grid", runs)[0].read_bytes() == first  # from the published records alone


def test_publishing_adds_to_what_is_published(result, store, tmp_path):
    """A machine that trained one part of a grid does not drop the part another one published."""
    other = variant(result, run={"seed": 1})
    store.save(result)
    path, _ = store.publish("grid", [result.run, other.run])
    elsewhere = Store(tmp_path / "elsewhere")
    write_atomically(elsewhere.published / path.name, lambda file: file.write(path.read_bytes()))
    elsewhere.save(other)
    assert elsewhere.publish("grid", [result.run, other.run])[1] == 2


def test_publishing_loses_no_record_unless_told_to(result, store):
    """A profile whose settings changed asks for other runs than those that were published."""
    here = variant(result, run={"seed": 1, "batch_size": 25, "loss": "conditional"})
    runs = [here.run, result.run]
    store.save(result)
    store.save(here)
    path, _ = store.publish("grid", runs)
    before = path.read_bytes()
    other = variant(result, run={"seed": 2})
    store.save(other)
    with pytest.raises(
        ValueError,
        match=rf"{path} would lose 1 of its 2 records \(data sets digits; batch sizes 25; losses conditional\).*--drop",
    ):
        store.publish("grid", [result.run, other.run])
    assert path.read_bytes() == before
    assert store.publish("grid", [result.run, other.run], drop=True)[1] == 2
    # A record on other data that takes a published one's place is a loss, too.
    store.save(variant(result, sha256="newer", finished="2100-01-01T00:00:00+00:00"))
    with pytest.raises(ValueError, match="would lose 1 of its 2"):
        store.publish("grid", [result.run, other.run])


def test_publishing_nothing_is_an_error(tmp_path, capsys):
    for more in ([], ["--drop"]):
        assert main(["publish", "cpu", "--results", str(tmp_path), *more]) == 1
        assert f"{tmp_path} holds no record of 'cpu'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_published_file_that_lacks_a_line_is_noticed(result, store):
    runs = [variant(result, run={"seed": seed}).run for seed in range(3)]
    for run in runs:
        store.save(variant(result, run={"seed": run.seed}))
    path, _ = store.publish("grid", runs)
    for file in store.runs.iterdir():
        file.unlink()
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    for changed in (lines[:-1], lines[:1] + lines[2:], lines[1:], [lines[0], lines[2], lines[1], lines[3]]):
        path.write_bytes(gzip.compress(b"".join(changed), mtime=0))
        with pytest.warns(UserWarning, match=f"{path} is damaged .its first line .* restore it with git"):
            assert store.records() == []
        damaged = path.read_bytes()
        with pytest.raises(ValueError, match="restore it with git"):
            store.publish("grid", runs)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "change",
    ({"loss": "hinge"}, {"momentum": 0.9}, {"seed": None}, {"batch_size": "4"}, {"references": ["blur"]}),
)
def test_a_record_of_an_unknown_run_is_left_out_by_name(change, result, store, monkeypatch):
    """As another version of the package may write it: one record more, and the rest stays usable."""
    record = store.save(result)
    strange = json.loads(json.dumps(record)) | {"key": "0123456789abcdef"}
    strange["run"] |= change
    stored = json.dumps({"sha256": sha256_of(strange), "record": strange})
    file = store.runs / "0123456789abcdef.json"
    file.write_text(stored)
    with pytest.warns(UserWarning, match=f"{file}: record 0123456789abcdef is left out"):
        assert store.records() == [record]
    monkeypatch.setattr(Store, "select", lambda *_: {1: record, 2: strange})
    path, _ = store.publish("grid", [result.run])
    monkeypatch.undo()
    file.unlink()
    with pytest.warns(UserWarning, match=f"{path}: record 0123456789abcdef is left out"):
        assert store.select([result.run]) == {result.run: record}
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="would lose 1 of its 2 records"):
        store.publish("grid", [result.run])
    with pytest.warns(UserWarning):
        assert store.publish("grid", [result.run], drop=True)[1] == 1
    assert store.records() == [record]


@pytest.mark.parametrize("change", ({"key": None}, {"run": []}))
def test_a_record_without_key_or_run_is_left_out_by_name(change, result, store):
    record = store.save(result)
    strange, file = record | change, store.runs / "0123456789abcdef.json"
    for one in (strange, {name: value for name, value in strange.items() if name not in change}):
        file.write_text(json.dumps({"sha256": sha256_of(one), "record": one}))
        with pytest.warns(UserWarning, match=f"{file} is damaged"):
            assert store.records() == [record]


def test_a_run_repeated_here_comes_before_its_published_copy(result, store):
    store.save(result)
    store.publish("grid", [result.run])
    again = store.save(dataclasses.replace(result, curves={"val_nll": [7.0]}))
    assert store.records() == [again]


# Damage


def test_damaged_record_is_absent(result, store):
    store.save(variant(result, run={"seed": 1}))
    other = store.records()
    record = store.save(result)
    path = store.runs / f"{record['key']}.json"
    for damaged in damages(path.read_bytes(), 199):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match=f"{path} is damaged and will be computed again"):
            assert store.records() == other


def test_damaged_publication_is_ignored(result, store):
    """Or, where the byte says nothing about the content, reads as before."""
    runs = [result.run, variant(result, run={"seed": 1}).run]
    store.save(result)
    store.publish("a", runs[:1])
    store.save(variant(result, run={"seed": 1}))
    path, _ = store.publish("b", runs[1:])
    for file in store.runs.iterdir():
        file.unlink()
    both = store.select(runs)
    assert len(both) == 2
    for damaged in (b"", *damages(path.read_bytes(), 29)):  # empty after a checkout on a full disk
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = store.select(runs)
        if caught or not damaged:
            assert f"{path} is damaged" in str(caught[0].message)
            assert found == {runs[0]: both[runs[0]]}
        else:
            assert found == both


def test_record_of_another_format_is_absent(result, store, monkeypatch):
    monkeypatch.setattr("gffn_core.experiments.store.FORMAT", 99)
    store.save(result)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="format is 99"):
        assert store.select([result.run]) == {}


# Writing


def test_interrupted_write_leaves_nothing(tmp_path):
    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    path = tmp_path / "new" / "file"
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupted)
    assert not list(path.parent.iterdir())
    write_atomically(path, lambda file: file.write(b"whole"))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupted)
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


def test_interrupted_just_after_the_move_it_says_so(tmp_path, monkeypatch):
    """And not that the scratch file, which took its name, is missing."""

    def move(*paths):
        os.rename(*paths)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", move)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", lambda file: file.write(b"whole"))
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_empty_store(store):
    assert store.records() == []
    assert store.select([Run("digits", "joint", 4, 1)]) == {}
    assert not store.root.exists()  # reading creates nothing


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A store with the checkpoint of a run, and the checkpoint's bytes."""
    store = Store(tmp_path_factory.mktemp("begun"))
    assert store.checkpoint("key") is None
    store.save_checkpoint("key", {"state": {"weights": torch.linspace(-1, 1, 99)}, "step": 4})
    found = store.checkpoint("key")
    assert found["step"] == 4 and found["state"]["weights"].equal(torch.linspace(-1, 1, 99))
    return store, (store.runs / "key.checkpoint").read_bytes()


@given(
    damage=st.sampled_from(("flipped bit", "zeroed block", "truncation")),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    block=st.sampled_from((1, 64, 512)),
)
def test_a_damaged_checkpoint_is_a_warning_and_none(begun, damage, place, bit, block):
    store, content = begun
    path = store.runs / "key.checkpoint"
    position = int(place * len(content))
    damaged = bytearray(content)
    if damage == "flipped bit":
        damaged[position] ^= 1 << bit
    elif damage == "zeroed block":
        damaged[position : position + block] = bytes(len(damaged[position : position + block]))
        assume(damaged != content)
    else:
        del damaged[position:]
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="key.checkpoint is damaged, its run starts anew"):
        assert store.checkpoint("key") is None


def test_keys_stay_what_they_are():
    """A changed default or a renamed field would orphan every stored result."""
    assert record_key(Run("mnist", "joint", 64, 30), "0") == "f34745cd6f24dab7"


def test_a_net_is_loaded_only_if_it_is_the_one_that_was_measured(result, store, tiny):
    record = store.save(result)
    model = initial_model(result.run, tiny)
    store.load_into(model, record)
    for name, value in result.weights["long"].items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)
    path = store.runs / f"{record['key']}.safetensors"
    intact = path.read_bytes()
    path.write_bytes(intact[:-3] + bytes([intact[-3] ^ 1]) + intact[-2:])
    with pytest.raises(ValueError, match="other weights of '.*' than those that were measured.*SHA-256"):
        for scheme in record["evaluations"]:
            store.load_into(model, record, scheme)
    path.with_suffix(".npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"npz is damaged .*`gffn evaluate` makes it anew"):
        store.logits(record)


def test_what_was_not_trained_here_is_named(result, store):
    record = store.save(result)
    for path in store.runs.iterdir():
        path.unlink()
    with pytest.raises(
        FileNotFoundError, match="npz is missing: logits are not published; train the run here"
    ):
        store.logits(record)
    with pytest.raises(
        FileNotFoundError, match="safetensors is missing: weights are not published; train the run here"
    ):
        store.weights(record)


def test_a_written_file_is_on_the_disk_and_everybody_may_read_it(tmp_path, monkeypatch):
    """All of it, before it takes its name: after a power cut the file is whole or absent."""
    path, synced = tmp_path / "file", []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle).st_size, path.exists())))
    write_atomically(path, lambda file: file.write(b"whole"))
    assert synced == [(5, False)]
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_killed_processes_left_goes_after_a_day(store):
    """By the next sweep; what is newer a process, perhaps of another machine, may still be writing."""
    store.runs.mkdir(parents=True)
    ages = {".abcdefgh.tmp": 24.003, ".recently.tmp": 23.99, ".new-file.tmp": 0, "key.checkpoint": 99}
    for name, hours in ages.items():
        (store.runs / name).touch()
        os.utime(store.runs / name, (time.time() - hours * 3600,) * 2)
    sweep.sweep([], store)
    assert {path.name for path in store.runs.iterdir()} == ages.keys() - {".abcdefgh.tmp"}
