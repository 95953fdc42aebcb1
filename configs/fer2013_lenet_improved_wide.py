"""LeNet on FER2013 in the improved form, with no setting to begin with.

python launch.py --config=configs/fer2013_lenet_improved_wide.py

It is configs/fer2013_lenet_improved.py, but that the first candidates are spread over
all ratios from 0.02 to 0.8, alike for all four, as other tuners are given them. LeNet
is trained with their middle in the first round. The coefficients are 0: with them in
the search it did no better (docs/results.md).
"""

from math import log, sqrt

from ml_collections import ConfigDict

from configs import fer2013_lenet_improved

LOWEST, HIGHEST = 0.02, 0.8


def get_config() -> ConfigDict:
    config = fer2013_lenet_improved.get_config()
    config.tune = ("ratios",)
    config.search.center.ratio = sqrt(LOWEST * HIGHEST)
    config.search.initial_width.ratio = log(HIGHEST / LOWEST) / 2
    config.search.start.p_V = config.search.start.p_W = 0.0
    # One that is drawn from so wide a box would have a fifth of all steps.
    config.first_setting = "center"
    return config
