"""Variants of the method on a tenth of Training that none of them sees.

    python -m benchmarks.ablation --seeds=0,1,2
    python -m benchmarks.ablation --list

Each is LeNet on FER2013, under a learning rate that begins at 0.03 and falls by 16; the
same command goes on where it was stopped, and keeps the small files of finished runs in
results/ablation.
"""

import sys

from benchmarks.rows import alone
from benchmarks.variants import Study, Variant, falling

SHORT = falling(10_000)

BY_LOSS = ("--config.objective=cross_entropy", "--config.reevaluate_incumbent=True")
START = ("--config.search.start.p_V=0.1", "--config.search.start.p_W=0.1")
NOISE = ("--config.search.noise.coefficient=0.3", "--config.search.noise.ratio=0.15")
SHARED = ("--config.surrogate=shared",)

LIGHT = {"lambda_V": 1e-5, "lambda_x": 1e-5, "lambda_W": 1e-5, "p_V": 0.1, "p_W": 0.1}
"""Where the search of the improved form begins, but for the ratios of features."""

WIDE = (
    "--config.search.start.p_V=0",
    "--config.search.start.p_W=0",
    "--config.search.center.coefficient=3.16e-6",
    "--config.search.initial_width.coefficient=2.5",
    "--config.search.center.ratio=0.126",
    "--config.search.initial_width.ratio=1.84",
)
"""No beginning: the first population fills the box of the other tuners."""

ON_THE_TRUNK = 493_404
"""Multiply-accumulates of a candidate that shares LeNet's trunk with six others."""

PAPER, IMPROVED = "fer2013_lenet", "fer2013_lenet_improved"

VARIANTS = {
    "dropout": Variant(
        "p_z = p_x = 0.5, not tuned",
        PAPER,
        (*SHORT, *alone(p_z=0.5, p_x=0.5)),
    ),
    "dropout_longer": Variant(
        "the same for 35,000 steps",
        PAPER,
        (*falling(35_000), *alone(p_z=0.5, p_x=0.5)),
    ),
    "light_longer": Variant(
        "p_z = p_x = 0.2 for 35,000 steps",
        PAPER,
        (*falling(35_000), *alone(p_z=0.2, p_x=0.2)),
    ),
    "start_longer": Variant(
        "the setting in which the improved form's search begins, for 35,000 steps",
        PAPER,
        (*falling(35_000), *alone(p_z=0.5, p_x=0.5, **LIGHT)),
    ),
    "paper": Variant("the paper's form", PAPER, SHORT),
    "by_loss": Variant(
        "scored by cross-entropy, leader re-scored, noise, p_V = p_W = 0.1 at first",
        PAPER,
        (*SHORT, *BY_LOSS, *START, *NOISE),
    ),
    "shared": Variant(
        "and a shared trunk",
        PAPER,
        (*SHORT, *BY_LOSS, *START, *NOISE, *SHARED),
        ON_THE_TRUNK,
    ),
    "selected": Variant(
        "and stage 1 by cross-entropy, twice the noise of ratios",
        PAPER,
        (
            *SHORT,
            *BY_LOSS,
            *START,
            *SHARED,
            "--config.selection=cross_entropy",
            "--config.search.noise.coefficient=0.3",
            "--config.search.noise.ratio=0.3",
        ),
        ON_THE_TRUNK,
    ),
    "short": Variant(
        "and one setting in stage 1, a quarter of stage 2, 25,000 steps",
        IMPROVED,
        (*falling(25_000), "--config.iterations_per_round=1000"),
    ),
    "improved": Variant(
        "the improved form: the same, NI = 5,000",
        IMPROVED,
        falling(25_000),
    ),
    "ratios": Variant(
        "the improved form, ratios alone",
        IMPROVED,
        (*falling(25_000), "--config.tune=ratios"),
    ),
    "from_light": Variant(
        "the improved form from p_z = p_x = 0.1",
        IMPROVED,
        (
            *falling(25_000),
            "--config.search.start.p_z=0.1",
            "--config.search.start.p_x=0.1",
        ),
    ),
    "light_start_longer": Variant(
        "the setting in which that search begins, for 35,000 steps",
        PAPER,
        (*falling(35_000), *alone(p_z=0.1, p_x=0.1, **LIGHT)),
    ),
    "wide": Variant(
        "the improved form from the whole box of the tuners",
        IMPROVED,
        (*falling(25_000), *WIDE),
    ),
    "wide_ratios": Variant(
        "the same of the ratios alone",
        IMPROVED,
        (*falling(25_000), *WIDE, "--config.tune=ratios"),
    ),
    "growing": Variant(
        "NI = 800 at first, doubled after every round, 24,800 steps",
        IMPROVED,
        (
            *falling(24_800),
            "--config.iterations_per_round=800",
            "--config.double_every=1",
        ),
    ),
    "half": Variant(
        "NI = 2,500, half of stage 2, 20,000 steps",
        IMPROVED,
        (
            *falling(20_000),
            "--config.iterations_per_round=2500",
            "--config.stage2_share=0.5",
        ),
    ),
    "few": Variant(
        "NI = 4,000, half of stage 2, three candidates, 24,000 steps",
        IMPROVED,
        (
            *falling(24_000),
            "--config.iterations_per_round=4000",
            "--config.stage2_share=0.5",
            "--config.search.population=3",
        ),
    ),
    "horizon": Variant(
        "NI = 2,500 and candidates trained as long, at twice the cost",
        IMPROVED,
        (
            *falling(25_000),
            "--config.iterations_per_round=2500",
            "--config.stage2_share=1.0",
        ),
    ),
}

STUDY = Study(
    name="ablation",
    about=__doc__.splitlines()[0],
    shared=("--config.dataset.held_out=True",),
    variants=VARIANTS,
    judged="held out",
)


if __name__ == "__main__":
    sys.exit(STUDY.main())
