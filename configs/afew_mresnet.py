"""Table 10: M-ResNet on AFEW, seven classes, tested on its validation part.

    python launch.py --config=configs/afew_mresnet.py --config.init_from=FACES

A tenth of the training clips validates. Wants `Train_AFEW` and `Val_AFEW` in
`$SURROJAX_DATA`. Alignment wants `pip install 'surrojax[faces]'`; the organisers' crops
do without, `--config.dataset.align=False`.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_mresnet_config()
    config.dataset.name = "afew"
    config.dataset.align = True
    return config
