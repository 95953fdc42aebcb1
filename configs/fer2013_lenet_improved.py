"""LeNet on FER2013 in the form that was found to tune best (docs/results.md).

python launch.py --config=configs/fer2013_lenet_improved.py

The paper's exact form is configs/fer2013_lenet.py. Different here: the surrogate
shares LeNet's trunk, so that candidates over-fit as LeNet does; they are compared by
cross-entropy, the leader is scored again in every round, proposals keep moving, weights
are dropped less to begin with. Stage 1 trains the current best alone and candidates
train a quarter of a round, and what that saves is spent on steps: 25,000 of them cost
3.4 trainings of 10,000. They are cut into five long rounds, so that candidates are
judged 1,250 steps ahead: strong dropout does not pay sooner. A round that ruins LeNet
is undone. The learning rate begins three times as high and has fallen by 16 at the end.
"""

from ml_collections import ConfigDict

from configs import fer2013_lenet


def get_config() -> ConfigDict:
    config = fer2013_lenet.get_config()
    config.max_iterations = 25_000
    config.learning_rate.base = 0.03
    config.learning_rate.halve_every = 6_250.0
    config.iterations_per_round = 5_000
    config.surrogate = "shared"
    config.stage1_settings = 1
    config.stage2_share = 0.25
    config.objective = "cross_entropy"
    config.reevaluate_incumbent = True
    config.undo_beyond = 3.0
    # A trunk that is held still tells no lambda_z from another.
    config.tune = ("lambda_V", "lambda_x", "lambda_W", "ratios")
    config.search.start.p_V = config.search.start.p_W = 0.1
    config.search.noise.coefficient = config.search.noise.ratio = 0.3
    return config
