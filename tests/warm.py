"""What processes that the tests fork find done: imports, and the heads of the published records as chapters read them."""

import os
from pathlib import Path

import pytest  # noqa: F401
import torch.nn.parallel  # noqa: F401

import gffn_core.engine.workers
import gffn_core.pages.chapter
import gffn_core.pages.explorer  # noqa: F401
from gffn_core.experiments.store import Store

here = os.getcwd()
os.chdir(Path(__file__).resolve().parents[1] / "notebooks")
Store("../results").select([])
os.chdir(here)
