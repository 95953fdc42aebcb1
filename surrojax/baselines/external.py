"""Packages that baselines alone need, and that are imported when one is asked for."""

import importlib
import sys
import warnings
from typing import Any

from surrojax.errors import InputError


def load(module: str, attribute: str) -> Any:
    """Something of a module of this package that imports an external one.

    Raises:
      InputError: the external package is missing, or not for this Python.
    """
    if module == "hord" and sys.version_info >= (3, 12):
        raise InputError(
            "hord: pySOT 0.3.3 runs on Python 3.11 alone; leave hord out here"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old packages import what is deprecated
            return getattr(
                importlib.import_module(f"{__package__}.{module}"), attribute
            )
    except ImportError as error:
        raise InputError(
            f"{error.name or module}: is missing; install surrojax[baselines]"
        ) from error
