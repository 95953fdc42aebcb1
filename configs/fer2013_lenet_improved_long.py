"""LeNet on FER2013 in the improved form, for the paper's 80,000 steps.

python launch.py --config=configs/fer2013_lenet_improved_long.py

It is configs/fer2013_lenet_improved.py with all lengths 3.2 times as long: five rounds
of 16,000 steps, at the cost of 3.44 trainings of 32,000.
"""

from ml_collections import ConfigDict

from configs import fer2013_lenet_improved

TIMES = 3.2


def get_config() -> ConfigDict:
    return stretched(fer2013_lenet_improved.get_config())


def stretched(config: ConfigDict) -> ConfigDict:
    """The same config, its run, rounds and learning rates longer."""
    config.max_iterations = round(TIMES * config.max_iterations)
    config.iterations_per_round = round(TIMES * config.iterations_per_round)
    config.learning_rate.halve_every *= TIMES
    return config
