"""What a run is: its fields, its key, and what depends on its seed."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

from gffn_core.checks import LABEL_SPACES
from gffn_core.data.datasets import Dataset
from gffn_core.data.files import sha256_of
from gffn_core.model import WIDTHS, ConvNet
from gffn_core.training.step import objective, options_of
from gffn_core.variants.augmentation import AUGMENTATIONS
from gffn_core.variants.references import kinds_of


@dataclass(frozen=True)
class Run:
    """One training, fully described: equal runs on equal data give equal results.

    epochs: the budget of the *long* scheme, which ends before it once validation accuracy has
    flattened (patience has run out) and the running training accuracy has been at least FITTED for
    ``fitted_epochs`` epochs in a row (thesis 5.1: "close to 100% for multiple epochs").
    learning_rate is Adam's, constant as in the thesis, which does not print it; 1e-3 is Adam's
    default. patience, patience_steps: *early* is decided once validation accuracy has not improved
    for that many epochs and that many steps (an epoch of large batches is but a few steps).
    weight_decay: AdamW's, decoupled from the gradient. width, norm, dropout, centred: see ``model.ConvNet``.
    augmentation: of training images, see ``variants.augmentation.augmented``. Running training accuracy, and
    with it FITTED, is then that on augmented images, so few such runs end before their budget.
    loss, options: name of an objective (``step.OBJECTIVES``) and what else it takes, such as
    ``{"kl_weight": 10.0}``: a mapping or pairs, kept as sorted pairs without those at their default.
    Initialisation and data order depend on ``seed`` alone, so runs that differ in their loss are pairs.
    """

    dataset: str
    loss: str
    batch_size: int
    epochs: int
    seed: int = 0
    label_space: str = "categorical"
    learning_rate: float = 1e-3
    patience: int = 3
    patience_steps: int = 100
    fitted_epochs: int = 10
    width: int = WIDTHS["narrow"]
    options: tuple[tuple[str, object], ...] = ()
    norm: str = "none"
    dropout: float = 0.0
    centred: bool = False
    weight_decay: float = 0.0
    augmentation: str = ""

    def __post_init__(self):
        if self.label_space not in LABEL_SPACES:
            raise ValueError(f"label_space={self.label_space!r} is unknown; use one of {LABEL_SPACES}")
        counts = ("batch_size", "epochs", "patience", "patience_steps", "fitted_epochs", "width")
        for field in (*counts, "seed"):
            if not isinstance(getattr(self, field), int):
                raise ValueError(f"{field}={getattr(self, field)!r} must be an integer")
        for field in (*counts, "learning_rate"):
            if not 0 < getattr(self, field) < math.inf:
                raise ValueError(f"{field}={getattr(self, field)} must be positive and finite")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay={self.weight_decay} must be finite and not negative")
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(f"augmentation={self.augmentation!r} is unknown; use one of {AUGMENTATIONS}")
        if self.references and self.batch_size < (least := len(kinds_of(self.references))):
            raise ValueError(
                f"batch_size={self.batch_size} is too small for references={self.references!r}, use"
                f" {least} or more"
            )
        # The loss itself says which options, and which values of them, it takes.
        logits = torch.zeros(2, 2 if self.references else 1, 2)
        losses_of_two = self.objective()(logits, torch.zeros(2, 1, dtype=torch.int64))
        if losses_of_two.shape != (2,):  # else nets trained together would get each other's gradients
            raise ValueError(
                f"loss {self.loss!r} gives the shape {tuple(losses_of_two.shape)} for two batches, "
                "which has to be (2,): logits (..., N, K), target (..., N) -> (...)"
            )
        defaults = options_of(self.loss)
        options = {name: value for name, value in dict(self.options).items() if value != defaults[name]}
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    def objective(self) -> Callable:
        """(logits, labels) -> loss."""
        return objective(self.loss, self.label_space, **dict(self.options))

    @property
    def references(self) -> str:
        """What references a step makes of its images, see ``variants.references.beside``; "" for none."""
        return dict(self.options).get("references", "")

    def settings(self) -> dict:
        """The fields as plain data, each option as one of them: what a record says of its run."""
        settings = asdict(self)
        return settings | dict(settings.pop("options"))

    @classmethod
    def of(cls, settings: dict) -> "Run":
        """The run that ``settings`` describe; TypeError or ValueError where they describe none."""
        names = {field.name for field in fields(cls)} - {"options"}
        options = {name: value for name, value in settings.items() if name not in names}
        if options.get("kl_weight") == 1:  # which the first records say of every loss
            del options["kl_weight"]
        return cls(**{name: settings[name] for name in names & set(settings)}, options=options)


def record_key(run: Run, data_sha256: str) -> str:
    """16 hexadecimal digits that name a run on exactly this data.

    Fields at their default are left out, so a field that is added later leaves old keys alone.
    """
    defaults = {field.name: field.default for field in fields(run)}
    named = {
        name: value
        for name, value in run.settings().items()
        if name not in defaults or value != defaults[name]
    }
    return sha256_of([named, data_sha256])[:16]


def initial_model(run: Run, dataset: Dataset) -> ConvNet:
    """The run's model before training, on the CPU; PyTorch's default initialisation from ``run.seed``."""
    # float32 is to be float32 in a GPU's convolutions too, whose inputs cuDNN would round to 10 bits.
    torch.backends.cudnn.allow_tf32 = False
    _, channels, size, _ = dataset.train_x.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        net = {"norm": run.norm, "dropout": run.dropout, "centred": run.centred}
        return ConvNet(channels, size, dataset.num_classes, run.width, seed=run.seed, **net)


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """Permutation of the n training examples for one epoch (1, 2, ...), independent of device and loss."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(1_000_003 * seed + epoch))


class Normalise:
    """uint8 images -> floats with zero mean and unit variance per channel of the training images.

    A channel that never varies there is only shifted, to 0.
    """

    def __init__(self, train_x: Tensor, device: str | torch.device):
        # Exact, from how often each of the 256 values occurs: the images as floats would be a gigabyte.
        mean, std = [], []
        for channel in train_x.unbind(1):
            counts = torch.bincount(channel.flatten(), minlength=256).tolist()
            n = channel.numel()
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value**2 * count for value, count in enumerate(counts))
            mean.append(total / (255 * n))
            std.append(math.sqrt((n * squares - total**2) / (255**2 * n * (n - 1))) or 1.0)
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        images = images.to(self.mean.device).float().div_(255).sub_(self.mean).div_(self.std)
        return images.contiguous(memory_format=torch.channels_last)
