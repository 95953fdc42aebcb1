"""What a run was computed with."""

import importlib.metadata
import platform

PACKAGES = ("surrojax", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that figures depend on."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }
