"""Table 7: M-ResNet on CK+, seven classes, ten person-independent folds.

    python launch.py --config=configs/ck_mresnet.py --config.init_from=FACES

runs all ten folds and pools them; `--config.dataset.fold=0` runs one. Wants CK+'s
folders `cohn-kanade-images` and `Emotion` in `$SURROJAX_DATA`, or the folder of 48x48
images by expression (with `--config.dataset.align=False`, as its faces are cut out
already; it has six classes). Alignment wants `pip install 'surrojax[faces]'`. FACES:
see configs/pretrain_faces.py; without it, M-ResNet is trained from scratch.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "ck"
    config.dataset.fold = -1
    config.dataset.align = True
    config.dataset.crops = 18  # 1,245 frames, 22,410 images
    return config
