"""Users' own networks, data and loops.

settings.py   the method's settings, by keyword
method.py     the method for a Flax module of the user's
data.py       arrays as the splits of a run
tuning.py     all of it in one call
tuner.py      ask and tell, for a training loop of the user's
"""
