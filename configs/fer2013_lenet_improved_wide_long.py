"""LeNet on FER2013, no setting to begin with, for the paper's 80,000 steps.

python launch.py --config=configs/fer2013_lenet_improved_wide_long.py

It is configs/fer2013_lenet_improved_wide.py with all lengths 3.2 times as long. With
images shifted at random: --config.dataset.shift=2.
"""

from ml_collections import ConfigDict

from configs import fer2013_lenet_improved_wide
from configs.fer2013_lenet_improved_long import stretched


def get_config() -> ConfigDict:
    return stretched(fer2013_lenet_improved_wide.get_config())
