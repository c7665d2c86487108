"""How a chapter opens, and what chapters share."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from gffn_core.experiments import profiles, sweep, tables
from gffn_core.experiments.store import Store
from gffn_core.pages import claims, figures, publish, words
from gffn_core.training.run import Run
from gffn_core.verdicts import ledger, values


@dataclass(frozen=True)
class Chapter:
    """The runs of a profile that a chapter shows, and what all of its figures rest on."""

    profile: str
    store: Store
    runs: list[Run]
    records: list[dict]

    @cached_property
    def table(self) -> pd.DataFrame:
        """``tables.frame`` of the records."""
        return tables.frame(self.records)

    @property
    def early(self) -> pd.DataFrame:
        return self.table[self.table["scheme"] == "early"]

    @property
    def long(self) -> pd.DataFrame:
        return self.table[self.table["scheme"] == "long"]

    @property
    def finished(self) -> list[dict]:
        """The records of runs that did not diverge."""
        return [record for record in self.records if not record["diverged"]]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """``values.pairs_of`` the records."""
        return values.pairs_of(self.records)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Data set -> its short title, for Markdown."""
        return {
            r["run"]["dataset"]: words.escape(tables.short_title(r["data"]["title"])) for r in self.records
        }

    def by_dataset(self, measure: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
        """A row per data set: what ``measure`` finds on its pairs."""
        return pd.DataFrame({name: measure(values.on(self.pairs, name)) for name in self.titles}).T

    @property
    def basis(self) -> str:
        return words.basis(self.records, self.profile)

    @property
    def coverage(self) -> str:
        """How much of the profile's grid the records cover, in words."""
        done, wanted = len(self.records), len(self.runs)
        if done == wanted:
            return f"all {wanted} runs of profile `{self.profile}`"
        return f"{done} of the {wanted} runs of profile `{self.profile}`; the others have not been run yet"

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """The verdicts that these runs give the thesis's claims."""
        return self.judge()

    def judge(self, **options) -> pd.DataFrame:
        """``ledger.ledger`` of the runs that the profile's claims need."""
        here = set(self.runs)
        others = [run for run in profiles.evidence(self.profile) if run not in here]
        records = [*self.records, *self.store.select(others).values()]
        return ledger.ledger(records, tables.step_ratios(self.store.root), **options)

    def variant(self, name: str) -> list[dict]:
        """Beside ``cpu`` the stored records of profile ``name``, which changes one choice; else none."""
        runs = profiles.profile(name).runs() if self.profile == "cpu" else []
        return list(self.store.select(runs).values())

    def by_batch_size(self, table: pd.DataFrame, metric: str, label: str, *, name: str, caption: str) -> None:
        """Draw ``figures.by_batch_size`` of one scheme, describe and show it."""
        cells = tables.summary(table, metric)
        lines = cells.sort_values("batch_size").groupby(["title", "loss"], sort=False)["mean"]
        ends = "; ".join(
            f"{title}, {tables.net(loss)}: {line.iloc[0]:.3f} to {line.iloc[-1]:.3f}"
            for (title, loss), line in lines
        )
        publish.show(
            figures.by_batch_size(table, metric, label),
            name=name,
            data=cells,
            alt=f"{label[0].upper()}{label[1:]}, {table['scheme'].iloc[0]} scheme, from the smallest"
            f" batch size to the largest. {ends}. {caption}",
            caption=caption,
            basis=self.basis,
        )

    def claims(self, topic: str) -> None:
        """Show what the thesis's statements on a topic come to; behind a fold its part of the ledger."""
        counts = self.ledger.query("chapter == @topic and family == 'thesis'")["verdict"].value_counts()
        counted = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        table = words.folded("each claim, its test and its verdict", claims.markdown(self.ledger, topic))
        display(Markdown(f"**Of {counts.sum()} statements of the thesis: {counted}.**\n\n{table}"))


def open_chapter(
    profile: str,
    results: str | Path,
    *,
    datasets: Collection[str] | None = None,
    announce: bool = True,
    train_missing: bool = False,
    device: str = "auto",
    root: str | Path | None = None,
) -> Chapter:
    """Read the runs of a profile, or train them (see ``sweep.results``), and say which are shown.

    datasets: only those of the profile that are among these. announce: False for a page that says it itself.
    ValueError where no run of one of the profile's losses is there, as chapters compare them.
    """
    store, grid = Store(results), profiles.profile(profile)
    runs = grid.runs([name for name in grid.datasets if datasets is None or name in datasets])
    records = sweep.results(runs, store, train_missing=train_missing, device=device, root=root)
    if missing := {run.loss for run in runs} - {run.loss for run in records}:
        losses = sorted(missing)
        raise ValueError(
            f"{results} holds no run of {profile!r} with loss {', '.join(losses)}, and a chapter compares"
            f" losses; `gffn sweep {profile} --losses {' '.join(losses)}` trains them"
        )
    chapter = Chapter(profile, store, runs, list(records.values()))
    if announce:
        basis = words.folded("runs", words.escape(chapter.basis))
        display(Markdown(f"**Shown here:** {chapter.coverage}.\n\n{basis}"))
    return chapter


def pair_near(records: Iterable[dict], dataset: str, batch_size: int) -> list[dict]:
    """The conditional and the joint record of ``dataset`` at the nearest batch size, lowest seed.

    Nearest on a log scale. Where the profile lacks the data set, its first one stands in.
    """
    records = list(records)
    names = [r["run"]["dataset"] for r in records]
    dataset = dataset if dataset in names else names[0]
    candidates = [r for r in records if r["run"]["dataset"] == dataset]
    nearest = min(
        candidates, key=lambda r: (abs(np.log2(r["run"]["batch_size"] / batch_size)), r["run"]["seed"])
    )["run"]
    same = ("batch_size", "seed", "label_space")
    pair = [r for r in candidates if all(r["run"][key] == nearest[key] for key in same)]
    return sorted(pair, key=lambda r: r["run"]["loss"])
