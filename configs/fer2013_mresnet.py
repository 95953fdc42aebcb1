"""Table 6: M-ResNet on FER2013, all eight hyper-parameters tuned with PSO.

    python launch.py --config=configs/fer2013_mresnet.py --config.init_from=FACES

Wants FER2013 (`fer2013.tar.gz` or `fer2013.csv` of Kaggle) in `$SURROJAX_DATA`. FACES
is a face-recognition network to fine-tune, see configs/pretrain_faces.py; without it,
M-ResNet is trained from scratch.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "fer2013"
    return config
