"""Commands that are forked from a process that has imported what they need.

Importing takes seconds; to say what is wrong with a command line, or what its flags
are, takes no time beside them.
"""

import os
import runpy
import sys
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from unittest.mock import patch

ROOT = Path(__file__).parent.parent
# What commands import once they run; none of these knows a flag.
IMPORTED = ["surrojax.baselines.runner", "surrojax.pretrain", "surrojax.run.sweep"]

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)


def _become(arguments, out, err):
    """Goes on as `python *arguments` would in the project's folder."""
    for file, number in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY), number)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    if arguments[0] == "-m":
        sys.argv = ["-m", *arguments[2:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def forked(arguments, environment, timeout):
    """What a command of Python left: exit code, output and errors.

    Args:
      arguments: `-m MODULE` or a file, and its arguments.
      environment: of the process that all are forked from; that of the first call.
      timeout: seconds.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        out.touch(), err.touch()
        process = FORKS.Process(target=_become, args=(arguments, out, err))
        with patch.dict(os.environ, environment, clear=True):
            process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{arguments}: still running after {timeout} s")
        return CompletedProcess(
            arguments, process.exitcode, out.read_text(), err.read_text()
        )
