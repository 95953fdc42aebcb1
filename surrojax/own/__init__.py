"""Users' own networks, data and loops.

settings.py   the method's settings, by keyword
method.py     the method for a Flax module of the user's
data.py       arrays as the splits of a run
tuning.py     all of it in one call
reading.py    the network, from a run's folder too
hints.py      lines about the data; outputs.py: about what the network yields
tuner.py      ask and tell, for a training loop of the user's
"""
