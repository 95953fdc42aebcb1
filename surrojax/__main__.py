"""Lists the package's commands, and runs one.

    python -m surrojax
    python -m surrojax predict runs/fer2013_lenet photos

is the same as `python -m surrojax.predict runs/fer2013_lenet photos`.
"""

import runpy
import sys
from collections.abc import Sequence

from surrojax import __version__
from surrojax.cli import usage
from surrojax.fields import suggest

COMMANDS = {
    "predict": "Puts images through the network of a run, and writes a table.",
    "export": "Writes a run's schedule and weights as files.",
    "report": "Writes the page on a run, or on several.",
    "baselines": "Compares the method with other tuners at the same cost.",
    "weights": "Makes weights to begin with out of a PyTorch state.",
}
"""What each does; each is a module of its own."""

ABOUT = """Sparseness and dropout tuned during one training run, by a surrogate network.

    python -m surrojax COMMAND ...
    python -m surrojax --version

Commands; each says more with --help
{commands}

Training, sweeps and pre-training: python launch.py --help, in the project's folder
From Python, for a network of your own: surrojax.tune"""

HELP = ("-h", "--help")


def main(arguments: Sequence[str]) -> int:
    """Runs the command that the first word names, with the words after it.

    Args:
      arguments: of the command line; none, or `--help`: the commands are listed.

    Returns:
      An exit code, where no command was run; a command ends with its own.
    """
    if not arguments or arguments[0] in HELP:
        print(ABOUT.format(commands=usage.list_commands(COMMANDS)))
        return 0
    name, *rest = arguments
    if name == "--version":
        print(__version__)
        return 0
    if name not in COMMANDS:
        near = suggest(name, list(COMMANDS))
        print(
            f"surrojax: there is no command {name!r}{near}; "
            f"they are {', '.join(COMMANDS)}; python launch.py trains",
            file=sys.stderr,
        )
        return 2
    sys.argv[1:] = rest
    runpy.run_module(f"surrojax.{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
