"""The rows of the paper's Tables 3 to 6: what each is, and the command that runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import records
from surrojax.baselines.folder import Folder, Run

RESULTS = Path(__file__).parent.parent / "results"

SCHEDULES = {
    "printed": (),
    "tall": ("--config.learning_rate.base=0.03",),
}
"""Learning rates: the paper's, 0.01 halved every 4,000 steps; and three times that."""

CONFIGS = {
    "lenet": "configs/fer2013_lenet.py",
    "resnet20": "configs/fer2013_resnet20.py",
    "mresnet": "configs/fer2013_mresnet.py",
}

MS_A_STEP = {
    ("lenet", False): 21.0,
    ("lenet", True): 85.0,
    ("resnet20", False): 230.0,
    ("resnet20", True): 670.0,
    ("mresnet", False): 5000.0,
    ("mresnet", True): 10400.0,
}
"""Of networks alone and tuned, for estimates: on one core, as the records were made,
evaluation included; M-ResNet's on two (docs/speed.md)."""

ITERATIONS = {"lenet": 25_000, "resnet20": 10_000, "mresnet": 40_000}
"""What a row is trained for here."""

PAPER_ITERATIONS = 80_000
"""What LeNet's rows are trained for in the paper (Tables 3 and 4)."""

LONG = "_80k"
"""How the name of a row that is trained for as long ends."""


@dataclass(frozen=True)
class Row:
    """One figure of one table: runs of `launch.py`.

    Attributes:
      table: its number.
      name: what the row is called here; with the network it names the folder.
      title: as the paper has it.
      network: whose config is run.
      flags: of `launch.py`.
      optimizer: `pso`, `de`, `ga` or none.
      paper: its figure in percent.
      seeds: how many.
    """

    table: int
    name: str
    title: str
    network: str
    flags: tuple[str, ...]
    optimizer: str
    paper: float
    seeds: int
    program: ClassVar[Sequence[str]] = records.LAUNCH

    @property
    def tuned(self) -> bool:
        """Whether anything is searched."""
        return "--config.tune=()" not in self.flags

    @property
    def iterations(self) -> int:
        """MaxIter here."""
        return ITERATIONS[self.network]

    def hours(self) -> float:
        """What all seeds take, about."""
        step = MS_A_STEP[self.network, self.tuned]
        return self.seeds * self.iterations * step / 3.6e6

    def folder(self, schedule: str) -> Path:
        """Its place below `results/`, or below another folder."""
        return Path("paper", f"{self.network}_{schedule}", self.name)

    def arguments(
        self,
        schedule: str,
        workdir: Path,
        iterations: int = 0,
        seeds: Sequence[int] = (),
    ) -> list[str]:
        """Of its program.

        Args:
          schedule: of `SCHEDULES`.
          workdir: below which its folder is.
          iterations: MaxIter, if another one.
          seeds: which; none: as many as the row has, from 0 on.
        """
        return [
            f"--config={CONFIGS[self.network]}",
            *self.flags,
            *SCHEDULES[schedule],
            f"--config.max_iterations={iterations or self.iterations}",
            *self._asked(seeds or range(self.seeds)),
            f"--workdir={workdir / self.folder(schedule)}",
        ]

    def _asked(self, seeds: Sequence[int]) -> list[str]:
        """What tells its program which runs."""
        return [f"--sweep=seed={','.join(map(str, seeds))}"]

    def runs(self, results: Path, schedule: str) -> list[dict[str, Any]]:
        """What its finished runs found, and their MaxIter.

        Args:
          results: where records are kept.
          schedule: of `SCHEDULES`.
        """
        return records.finished(results / self.folder(schedule))

    def keep(self, workdir: Path, results: Path, schedule: str) -> int:
        """Copies the small files of its finished runs; returns how many there are."""
        folder = self.folder(schedule)
        return records.copy_records(workdir / folder, results / folder)


@dataclass(frozen=True)
class Long(Row):
    """A row of LeNet's that is trained for as long as the paper's."""

    @property
    def iterations(self) -> int:
        """MaxIter here."""
        return PAPER_ITERATIONS


@dataclass(frozen=True)
class Compared(Row):
    """One figure that takes many trainings: runs of `surrojax.baselines`.

    Attributes:
      name: of its method.
      budget: of a run.
      trainings: that it pays for.
    """

    budget: int
    trainings: int
    program: ClassVar[Sequence[str]] = records.BASELINES

    def hours(self) -> float:
        """What all trainings take, about."""
        step = MS_A_STEP[self.network, False]
        return self.seeds * self.trainings * self.iterations * step / 3.6e6

    def folder(self, schedule: str) -> Path:
        """That of the comparison, which holds one of each method."""
        return Path("paper", f"{self.network}_{schedule}", "compared")

    def _asked(self, seeds: Sequence[int]) -> list[str]:
        return [
            f"--methods={self.name}",
            f"--budgets={self.budget}",
            f"--seeds={','.join(map(str, seeds))}",
        ]

    def runs(self, results: Path, schedule: str) -> list[dict[str, Any]]:
        """As of any row."""
        found = Folder(results / self.folder(schedule)).runs()
        mine = (self.name, self.budget)
        return [run for run in found if (run["method"], run["budget"]) == mine]

    def keep(self, workdir: Path, results: Path, schedule: str) -> int:
        """As of any row."""
        done = self.runs(workdir, schedule)
        kept = Folder(results / self.folder(schedule))
        for record in done:
            run = Run(self.name, self.budget, record["seed"])
            kept.own(run).parent.mkdir(parents=True, exist_ok=True)
            kept.write(run, record)
        return len(done)


def alone(**fixed: float) -> tuple[str, ...]:
    """Flags of a network that is trained alone, with some of the eight held."""
    flags = (f"--config.fixed.{name}={value:g}" for name, value in fixed.items())
    return ("--config.tune=()", *flags)


def _searched(names: str, optimizer: str) -> tuple[str, ...]:
    return (f"--config.tune={names}", f"--config.search.optimizer={optimizer}")


def _equal(kind: str, value: float) -> dict[str, float]:
    return {f"{kind}_{site}": value for site in ("z", "V", "x", "W")}


def _table_3() -> list[Row]:
    rows = []
    grid = {1e-7: 53.43, 1e-6: 54.04, 5e-6: 52.69, 1e-5: 54.36, 5e-5: 54.83}
    for value, paper in (grid | {1e-4: 54.54, 1e-3: 53.96}).items():
        flags = alone(lambda_x=value)
        name = f"lambda_x={value:g}"
        rows.append(Row(3, name, name, "lenet", flags, "grid", paper, 1))
    found = {"de": 56.92, "pso": 56.87}
    for optimizer, paper in found.items():
        flags = _searched("lambda_x", optimizer)
        title = f"lambda_x by {optimizer.upper()}"
        name = f"lambda_x_{optimizer}"
        rows.append(Row(3, name, title, "lenet", flags, optimizer, paper, 1))
    papers = (53.67, 54.44, 55.26, 56.13, 56.24, 55.08, 52.90)
    for tenths, paper in enumerate(papers, 1):
        value = tenths / 10
        flags, name = alone(p_z=value, p_x=value), f"p_z=p_x={value:g}"
        rows.append(Row(3, name, name, "lenet", flags, "grid", paper, 1))
    for optimizer, paper in {"de": 58.29, "pso": 58.79}.items():
        flags = _searched("p_z,p_x", optimizer)
        title, name = f"p_z, p_x by {optimizer.upper()}", f"p_z_p_x_{optimizer}"
        rows.append(Row(3, name, title, "lenet", flags, optimizer, paper, 1))
    return rows


def _table_4() -> list[Row]:
    coefficients, ratios = _equal("lambda", 1e-5), _equal("p", 0.5)
    fixed: tuple[tuple[str, str, dict[str, float], float], ...] = (
        ("baseline", "softmax loss alone (baseline)", {}, 52.97),
        ("lambda=1e-5", "all lambda = 1e-5", coefficients, 53.27),
        ("p=0.5", "all p = 0.5", ratios, 55.89),
        ("both", "all lambda = 1e-5, all p = 0.5", coefficients | ratios, 54.68),
    )
    searched = (
        ("coefficients", "four coefficients", {"de": 56.34, "pso": 57.37}),
        ("ratios", "four dropout ratios", {"de": 58.46, "pso": 58.74}),
        ("coefficients,ratios", "all eight", {"de": 59.68, "pso": 60.24}),
    )
    rows = [
        Row(4, name, title, "lenet", alone(**values), "none", paper, 3)
        for name, title, values, paper in fixed
    ]
    for names, title, papers in searched:
        for optimizer, paper in papers.items():
            name = f"{names.replace(',', '_')}_{optimizer}"
            flags = _searched(names, optimizer)
            named = f"{title} by {optimizer.upper()}"
            rows.append(Row(4, name, named, "lenet", flags, optimizer, paper, 3))
    last = rows[-1]
    title = f"{last.title}, {PAPER_ITERATIONS:,} steps"
    long = (last.network, last.flags, last.optimizer, last.paper, 1)
    return [*rows, Long(4, f"{last.name}{LONG}", title, *long)]


def _table_5() -> list[Row]:
    every = "coefficients,ratios"
    network = "resnet20"
    return [
        Row(5, "baseline", "baseline", network, alone(), "none", 58.18, 1),
        Compared(
            *(5, "grid_paper", "grid search", network, (), "grid", 58.68, 1),
            budget=10,
            trainings=49,
        ),
        Compared(
            *(5, "hord", "RBF-based", network, (), "dycors", 60.13, 1),
            budget=20,
            trainings=40,
        ),
        Row(5, "ga", "EA-based", network, _searched(every, "ga"), "ga", 59.88, 1),
        Row(5, "pso", "the method", network, _searched(every, "pso"), "pso", 62.08, 1),
    ]


ROWS = [
    *_table_3(),
    *_table_4(),
    *_table_5(),
    Row(
        6,
        "pso",
        "the method, from a face-recognition network",
        "mresnet",
        ("--config.init_from=runs/pretrain_faces",),
        "pso",
        72.47,
        1,
    ),
]
