"""Table 10: M-ResNet on AffectNet, seven classes, tested on its validation images.

    python launch.py --config=configs/affectnet_mresnet.py --config.init_from=FACES

A tenth of the training images validates. Wants `training.csv`, `validation.csv` and the
images in `$SURROJAX_DATA`, or `train_set` and `val_set`. The images, 39.5 GB at this
size, are streamed from the host where the device has no room for them. Alignment wants
`pip install 'surrojax[faces]'` and takes hours, once; `--config.dataset.align=False`
cuts the faces out by AffectNet's own boxes instead.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "affectnet"
    config.dataset.align = True
    return config
