"""Table 5: ResNet20 on FER2013, its four hyper-parameters tuned with PSO.

python launch.py --config=configs/fer2013_resnet20.py --workdir=runs/fer2013_resnet20

Wants FER2013 (`fer2013.tar.gz` or `fer2013.csv` of Kaggle) in `$SURROJAX_DATA`.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.dataset.name = "fer2013"
    config.network = "resnet20"
    return config
