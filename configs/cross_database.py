"""Tables 11 and 12: trained on one database, tuned on a fold of another, tested on it.

    python launch.py --config=configs/cross_database.py --config.init_from=FACES
    python launch.py --config=configs/cross_database.py --config.dataset.target=oulu \
        --workdir=runs/fer2013_to_oulu

Ten times, once for each fold of the target; beside it the paper's rival, a fixed
setting trained without and with that fold. All three are in one table. `dataset.name`
is the source and may be any database, as may the target; both are looked for in
`$SURROJAX_DATA`, or in `dataset.dir` and `dataset.target_dir`.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "fer2013"
    config.dataset.target = "ck"
    config.dataset.fold = -1
    config.dataset.align = True  # but for FER2013
    return config
