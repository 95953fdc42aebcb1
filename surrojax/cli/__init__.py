"""The command line: flags and their mistakes (commandline.py, calls.py), and --help."""
