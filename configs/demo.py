"""LeNet on faces drawn by code: over-fitting, and what tuning does about it.

make demo

or

python launch.py --config=configs/demo.py --workdir=runs/demo \
    "--sweep=tune=(),(coefficients,ratios)"

Trains once without any regularisation and once with all eight hyper-parameters tuned
by PSO: a minute and a half on two cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.max_iterations = 2_000
    config.iterations_per_round = 100
    return config
