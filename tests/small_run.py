"""A quick run on a folder of drawn images, as launch.py makes it."""

import flax.linen as nn
from conftest import draw_nothing
from drawn import label_folders

from configs import common
from surrojax import settings
from surrojax.data import EXPRESSIONS
from surrojax.experiment import train
from surrojax.networks import Pair
from surrojax.networks.head import Head

SIDE = 12


class Small(nn.Module):
    """Fast to compile; on FER's seven classes."""

    @nn.compact
    def __call__(self, images, ratio, train):
        z = nn.Dense(4)(images.reshape(images.shape[0], -1))
        return Head(7, hidden=5, name="head")(z, ratio, train)


def use_small_networks(monkeypatch):
    """In place of those that a config names."""
    pair = Pair(Small(), Small(), shape=(SIDE, SIDE, 1))
    monkeypatch.setattr(settings, "make_pair", lambda config, classes: pair)


def config_of(images, **changes):
    config = common.get_config()
    config.dataset.name, config.dataset.dir = "folder", str(images)
    config.dataset.align = False
    config.batch_size, config.iterations_per_round, config.max_iterations = 4, 3, 9
    config.search.population = 2
    config.execution.devices = 1
    config.dataset.crops = 4
    config.update_from_flattened_dict(changes)
    return config


def make(monkeypatch, root):
    """Trains once: a folder with `images` and `run`."""
    use_small_networks(monkeypatch)
    draw_nothing(monkeypatch)
    monkeypatch.setenv("SURROJAX_CACHE", str(root / "cache"))
    images = label_folders(root / "images", EXPRESSIONS, images=10)
    train(config_of(images), root / "run", quiet=True)
    return root
