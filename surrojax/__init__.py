"""Sparseness and dropout tuned during one training run, by a surrogate network.

Letters of the shape comments, everywhere in the package:

  N  candidates in the population
  D  hyper-parameters that are searched (`Space.tune`)
  M  hyper-parameters that a network has: 8, or 4 for ResNet20
  B  images of a minibatch
  n  samples of a split
  S  steps that are taken in one call; of `round_outcome.Outcome`, settings side by side
  K  classes
  C  channels of an image
  n_z, n_x  units that the layers FC1 and FC2 receive

Modules, in the order in which data flow: `data` (readers, protocols, augmentation),
`sites`, `space`, `networks`, `losses`, `search`, `evaluate`, `stage1`, `stage2`,
`programs`, `round_outcome`, `algorithm`; then `run`, a run's folder and rounds,
`plots`, `report`, and `experiment`, where a config, a folder and the rest meet. For
users' own networks, data and loops: `own`.

What is here by name: `tune`, a network and arrays in one call; `Tuner`, ask and tell;
`load`, the result of a run's folder.
"""

from typing import TYPE_CHECKING

from surrojax.lazy import attach

if TYPE_CHECKING:
    from surrojax.errors import InputError
    from surrojax.own.method import own_method
    from surrojax.own.settings import FER2013, PAPER, Settings
    from surrojax.own.tuner import Tuner
    from surrojax.own.tuning import tune
    from surrojax.run.loading import load
    from surrojax.run.replay import read_schedule, write_schedule
    from surrojax.run.result import Result
    from surrojax.schedule import Schedule

__version__ = "0.1.0"

__all__ = [
    "FER2013",
    "PAPER",
    "InputError",
    "Result",
    "Schedule",
    "Settings",
    "Tuner",
    "load",
    "own_method",
    "read_schedule",
    "tune",
    "write_schedule",
]

# No more than what is asked for is imported: JAX is set up before it begins.
__getattr__, __dir__ = attach(
    __name__,
    {
        "FER2013": "own.settings",
        "PAPER": "own.settings",
        "InputError": "errors",
        "Result": "run.result",
        "Schedule": "schedule",
        "Settings": "own.settings",
        "Tuner": "own.tuner",
        "load": "run.loading",
        "own_method": "own.method",
        "read_schedule": "run.replay",
        "tune": "own.tuning",
        "write_schedule": "run.replay",
    },
)
