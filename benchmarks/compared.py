"""The comparisons at equal cost: what each is, and the command that runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import records
from surrojax.baselines.methods import OURS, start_row


@dataclass(frozen=True)
class Comparison:
    """Runs of `surrojax.baselines` on one network and data.

    Attributes:
      name: with `compare_` before it, that of its folder.
      config: of configs/, without its ending: what all rivals train.
      steps: of their trainings of full length; rates begin at 0.03 and have fallen by
        16 at the end.
      ours: by row, the config of the method, without its ending.
      changes: other fields of `config`, for all rows.
      flags: of the program.
    """

    name: str
    config: str
    steps: int
    ours: Mapping[str, str]
    changes: Mapping[str, float | str] = field(default_factory=dict)
    flags: Sequence[str] = ("--pbt_every=1",)

    @property
    def network(self) -> str:
        """That is trained."""
        return self.config.removeprefix("fer2013_")

    @property
    def folder(self) -> str:
        """Its name, in `runs/` and in `results/`."""
        return f"compare_{self.name}"

    @property
    def fields(self) -> dict[str, float | str]:
        """Of `config`, what is different here."""
        return {
            **self.changes,
            "max_iterations": self.steps,
            "learning_rate.base": 0.03,
            "learning_rate.halve_every": self.steps / 4,
        }

    def command(
        self, methods: Sequence[str], budget: float, seeds: Sequence[int]
    ) -> str:
        """As a user would type it."""
        arguments = [
            f"--config=configs/{self.config}.py",
            *(f"--config.{name}={_said(value)}" for name, value in self.fields.items()),
            *self.flags,
            *(
                f"--ours={row}=configs/{config}.py"
                for row, config in self.ours.items()
                # The first says what the budget is.
                if row == OURS or {row, start_row(row)} & {*methods}
            ),
            f"--workdir={Path('runs', self.folder)}",
            f"--methods={','.join(methods)}",
            f"--budgets={budget:g}",
            f"--seeds={','.join(map(str, seeds))}",
        ]
        return records.command(arguments, records.BASELINES)


def _said(value: float | str) -> str:
    """A field's value, as a flag has it."""
    return value if isinstance(value, str) else f"{value:g}"


SHIFT = {"dataset.shift": 2}
WIDE = {"surrojax_wide": "fer2013_lenet_improved_wide"}
LENET = Comparison(
    "lenet",
    "fer2013_lenet",
    10_000,
    {"surrojax": "fer2013_lenet_improved", **WIDE},
)

SHIFT_LONG = Comparison(
    "lenet_shift_long",
    "fer2013_lenet",
    32_000,
    {
        "surrojax": "fer2013_lenet_improved_shift_long",
        "surrojax_wide": "fer2013_lenet_improved_wide_long",
    },
    SHIFT,
    flags=(),
)

COMPARISONS = (
    LENET,
    Comparison(
        "lenet_shift",
        "fer2013_lenet",
        10_000,
        {"surrojax": "fer2013_lenet_improved_shift", **WIDE},
        SHIFT,
    ),
    Comparison(
        "lenet_ferplus",
        LENET.config,
        LENET.steps,
        LENET.ours,
        {"dataset.name": "ferplus"},
    ),
    Comparison(
        "lenet_long",
        "fer2013_lenet",
        32_000,
        {"surrojax": "fer2013_lenet_improved_long"},
        flags=(),
    ),
    SHIFT_LONG,
    Comparison(
        "resnet20",
        "fer2013_resnet20",
        10_000,
        {"surrojax": "fer2013_resnet20_improved"},
    ),
)
