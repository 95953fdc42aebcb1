"""Users' own networks, data and loops.

settings.py   the method's settings, by keyword
method.py     the method for a Flax module of the user's
data.py       arrays as the splits of a run
descent.py    the user's optimiser
identity.py   what tells a network or a function from another
tuning.py     all of it in one call
earlier.py    the run that a folder holds already
following.py  a schedule instead of a search
beginning.py  the state before round 1
training.py   the rounds
description.py  what config.json says
reading.py    the network, from a run's folder too
hints.py      lines about the data; outputs.py: about what the network yields
tuner.py      ask and tell, for a training loop of the user's
bounds.py     where that searches; numbers.py: what a user gives, checked
"""
