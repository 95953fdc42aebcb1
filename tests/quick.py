"""Flags with which XLA compiles in a fraction of the time, and computes slowly."""

import mmap
from importlib.util import find_spec
from pathlib import Path

# Each of the first two halves the time of compilation; the last takes a tenth off.
QUICK = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def flags():
    """Those that this XLA knows, as XLA_FLAGS has them; another ends the process."""
    [package] = find_spec("jaxlib").submodule_search_locations
    libraries = list(Path(package).glob("libjax_common.*"))
    if len(libraries) != 1:  # that of another layout cannot be asked
        return ""
    with libraries[0].open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # A string of C's; one that was taken away still stands among names of fields.
    names = {flag: f"\0{flag.strip('-').split('=')[0]}\0".encode() for flag in QUICK}
    return " ".join(flag for flag in QUICK if content.find(names[flag]) >= 0)
