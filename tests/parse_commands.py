"""Parses commands as `launch.py` and `surrojax.baselines` do, without running them.

    python tests/parse_commands.py launch FILE.json

The file is a list of (words of a command line, whether its config, and each point of a
sweep, is checked as a whole too, which takes a second). What is wrong with one is
printed, a line each. Flags are a process's own, so each command has a fork.
"""

import json
import os
import sys
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from surrojax.cli import commandline
from surrojax.errors import InputError
from surrojax.run.sweep import points
from surrojax.settings import resolve

MODULES = {"launch": "launch", "baselines": "surrojax.baselines.__main__"}
LATER = ("hord", "hyperband", "nevergrad_tuners", "optuna_tuners")
"""Imported by methods when they are asked for; here once, before the forks."""


def parse(which, argv, whole):
    sys.argv = argv  # where ml_collections looks for what is overridden
    module = import_module(MODULES[which])
    rest = commandline.parse(module.CONFIG, module.ABOUT, argv)
    if len(rest) > 1:
        raise InputError(f"{rest[1]!r} is no flag")
    config = module.CONFIG.value
    if which == "baselines" and not module.TABLE.value:
        module._asked().check()
    if config is None or config.get("task") == "pretrain":
        return
    config.replay = None  # of a run that is not there
    if whole:
        resolve(config)
        if which == "launch":
            points(config, module.SWEEP.value)


def main(which, file):
    import_module(MODULES[which])
    if which == "baselines":
        for name in LATER:
            with suppress(ImportError):
                import_module(f"surrojax.baselines.{name}")
    for words, whole in json.loads(Path(file).read_text()):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            found = None
            try:
                with redirect_stdout(StringIO()):
                    parse(which, words, whole)
            except InputError as error:
                found = f"{' '.join(words)}: {error}"
            except SystemExit as asked:  # --help
                found = f"{' '.join(words)}: exits" if asked.code else None
            if found:
                print(found, flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            print(f"{' '.join(words)}: failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
