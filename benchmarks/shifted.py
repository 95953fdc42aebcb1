"""LeNet on shifted images: the improved form beside what is not tuned, at equal cost.

    python -m benchmarks.shifted --seeds=0,1
    python -m benchmarks.shifted --list

Learning rates begin at 0.03 and fall by 16; the same command goes on where it was
stopped, and keeps the small files of finished runs in results/shift.
"""

import sys

from benchmarks.ablation import LIGHT
from benchmarks.rows import alone
from benchmarks.variants import Study, Variant, falling

ROUNDS = ("--config.iterations_per_round=5000",)
"""As long as those of the improved form."""

STUDY = Study(
    name="shift",
    about=__doc__.splitlines()[0],
    shared=("--config.dataset.shift=2",),
    variants={
        "improved": Variant(
            "the improved form, 25,000 steps", "fer2013_lenet_improved_shift"
        ),
        "untuned": Variant(
            "not regularised, 35,000 steps",
            "fer2013_lenet",
            (*alone(), *ROUNDS, *falling(35_000)),
        ),
        "improved_long": Variant(
            "the improved form, 80,000 steps", "fer2013_lenet_improved_shift_long"
        ),
        "untuned_long": Variant(
            "not regularised, 110,000 steps",
            "fer2013_lenet",
            (*alone(), *ROUNDS, *falling(110_000)),
        ),
        "light_long": Variant(
            "p_z = p_x = 0.1, not tuned, 110,000 steps",
            "fer2013_lenet",
            (*alone(p_z=0.1, p_x=0.1), *ROUNDS, *falling(110_000)),
        ),
        "start_long": Variant(
            "the setting in which that search begins, not tuned, 110,000 steps",
            "fer2013_lenet",
            (*alone(p_z=0.1, p_x=0.1, **LIGHT), *ROUNDS, *falling(110_000)),
        ),
    },
    judged="test",
)


if __name__ == "__main__":
    sys.exit(STUDY.main())
