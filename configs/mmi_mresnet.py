"""Table 9: M-ResNet on MMI, six classes, ten person-independent folds.

    python launch.py --config=configs/mmi_mresnet.py --config.init_from=FACES

Wants MMI's sessions (a video and its XML each) in `$SURROJAX_DATA`, or a `frames.csv`
that says which frames to take. Otherwise as configs/ck_mresnet.py.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "mmi"
    config.dataset.fold = -1
    config.dataset.align = True
    config.dataset.crops = 25  # 615 frames, 15,375 images
    return config
