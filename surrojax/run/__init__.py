"""What a run is beside the method: its folder, its rounds, its end.

What a folder holds:

records.py     config.json, metrics.jsonl, schedule.csv, result.json
files.py       files written as a whole
checkpoint.py  the only file that knows Orbax; board.py: TensorBoard
diary.py       all that a run writes down
replay.py      a schedule from a file or a run
loading.py     a run from its folder; result.py: what it is worth

How a run goes:

setup.py       what a config stands for, made once; hints.py: lines about the data
idle.py        flags that have no effect
keeper.py      the folder of a config's run; restoring.py: its network, taken up again
rounds.py      Algorithm 1's rounds with what is reported of them
stream.py      the same rounds for data that stay on the host
execution.py   which of several equal ways a run is computed in, and why
processes.py   several processes that are one run
stopping.py progress.py learnt.py stopwatch.py

How it ends, and several of them:

outcome.py     what a finished run reports; pooling.py: its folds
importance.py  which hyper-parameters moved the score
replicas.py    several seeds in one program; sweep.py: several settings
crossing.py    trained on one database, tested on another
prediction.py  a run's network on image files
"""
