"""Algorithm 1, line 4: the face-recognition network that M-ResNet comes from.

    python launch.py --config=configs/pretrain_faces.py --config.dataset.dir=PHOTOS

PHOTOS is a folder of identities, NAME/PHOTO.jpg (LFW, CASIA-WebFace, VGGFace2), or a
.tar of one. What it leaves is what `--config.init_from=runs/pretrain_faces` takes.
Training and sizes are those of Wen et al. (ECCV 2016); for LFW on two cores without a
GPU, half an hour:

    python launch.py --config=configs/pretrain_faces.py --config.dataset.dir=PHOTOS \
        --config.dataset.height=56 --config.dataset.width=48 --config.batch_size=64 \
        --config.dataset.window=0.7 --config.learning_rate.base=0.02 \
        --config.max_iterations=1500 --config.log_every=100
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.task = "pretrain"
    config.seed = 0

    config.dataset = ConfigDict()
    config.dataset.dir = config_dict.placeholder(str)
    config.dataset.height, config.dataset.width = 112, 96
    config.dataset.window = 1.0  # share of a photo that is kept around its middle
    config.dataset.shift = 2  # pixels that a photo is shifted at most
    config.dataset.min_photos = 2  # that a person needs to be trained on
    config.dataset.held_out = 150  # people for the reported verification
    config.dataset.validation = 100  # people for the choice of settings
    config.dataset.pairs = 3_000  # of one person and as many of two, at most

    config.batch_size = 256
    config.max_iterations = 28_000
    config.log_every = 500
    config.learning_rate = ConfigDict({"base": 0.1, "warm_up": 0.05})
    # Shares of the training after which the rate is a tenth of what it was.
    config.learning_rate.drops = (0.57, 0.86)
    config.momentum = 0.9
    config.weight_decay = 5e-4
    config.clip = 5.0  # the gradient's largest norm
    # L = softmax + weight * center loss; alpha: how fast the centers follow.
    config.center_loss = ConfigDict({"weight": 0.003, "alpha": 0.5})
    config.convolution = "auto"  # auto | matmul | direct | lax
    return config.lock()  # a file that misspells a field is told so
