"""What the method is compared with, every method at the same price.

    python -m surrojax.baselines --config=configs/fer2013_lenet.py --workdir=DIR \\
        --methods=untuned,dropout,twice,random,surrojax --seeds=0,1,2 --budgets=1,10
    python -m surrojax.baselines --workdir=DIR --table

    budget.py      what a run of the method costs, and how a tuner spends as much
    box.py         where every tuner searches
    trainer.py     trains the original, from the weights and minibatches of a seed
    store.py       trainings on the disk, so that none is done twice
    attempt.py     one run of a method, with its bill
    plain.py       fixed settings, the best of several trainings, random search, grids
    black_box.py   tuners that ask for a setting and are told its score
    hyperband.py, pbt.py, replay.py, ours.py    methods that need more than that
    methods.py     all of them by name
    runner.py      the runs of a folder, one after the other
    rows.py        what they come to: a row for each method and budget
    table.py       the rows as a table
    figure.py      the rows as a figure

Validation data choose everywhere. The test split is looked at once a training, and a
method never sees what was found there.
"""
