"""LeNet on FER2013 in the form that was found to tune best (docs/results.md).

python launch.py --config=configs/fer2013_lenet_improved.py

The paper's exact form is configs/fer2013_lenet.py. Different here: the surrogate
shares LeNet's trunk, candidates and settings are compared by cross-entropy, the leader
is scored again in every round, proposals keep moving, weights are dropped less to begin
with, and the learning rate is three times as high and has fallen by 16 at the end.
"""

from ml_collections import ConfigDict

from configs import fer2013_lenet


def get_config() -> ConfigDict:
    config = fer2013_lenet.get_config()
    config.max_iterations = 10_000
    config.learning_rate.base = 0.03
    config.learning_rate.halve_every = 2_500.0
    config.surrogate = "shared"
    config.objective = config.selection = "cross_entropy"
    config.reevaluate_incumbent = True
    # A trunk that is held still tells no lambda_z from another.
    config.tune = ("lambda_V", "lambda_x", "lambda_W", "ratios")
    config.search.start.p_V = config.search.start.p_W = 0.1
    config.search.noise = ConfigDict({"coefficient": 0.3, "ratio": 0.3})
    return config
