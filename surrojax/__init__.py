"""Sparseness and dropout tuned during one training run, by a surrogate network.

Letters of the shape comments, everywhere in the package:

  N  candidates in the population
  D  hyper-parameters that are searched (`Space.tune`)
  M  hyper-parameters that a network has: 8, or 4 for ResNet20
  B  images of a minibatch
  K  classes
  C  channels of an image
  n_z, n_x  units that the layers FC1 and FC2 receive

Modules, in the order in which data flow: `data` (readers, protocols, augmentation),
`sites`, `space`, `networks`, `losses`, `search`, `evaluate`, `stage1`, `stage2`,
`algorithm`; then `checkpoint`, `records`, `importance`, `plots`, `report`, and
`experiment`, where a config, a folder and the rest meet.
"""

__version__ = "0.1.0"
