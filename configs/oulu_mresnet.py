"""Table 8: M-ResNet on Oulu-CASIA, six classes, ten person-independent folds.

    python launch.py --config=configs/oulu_mresnet.py --config.init_from=FACES

Takes the visible-light camera (Table 8) in strong light; Section 3.2 speaks of the
infrared one, `--config.dataset.camera=NI`. Wants `B_OriginalImg` in `$SURROJAX_DATA`,
or `PreProcess_Img` with `--config.dataset.align=False`. Otherwise as
configs/ck_mresnet.py.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "oulu"
    config.dataset.fold = -1
    config.dataset.align = True
    config.dataset.crops = 16  # 1,440 frames, 23,040 images
    return config
