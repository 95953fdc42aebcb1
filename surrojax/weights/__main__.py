"""Makes a file that `init_from` takes out of a PyTorch state.

python -m surrojax.weights STATE OUT [--names NAMES.json]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from surrojax.errors import InputError
from surrojax.weights.files import layers_of
from surrojax.weights.pytorch import convert


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m surrojax.weights",
        description="Makes weights for --config.init_from out of a PyTorch state.",
    )
    parser.add_argument(
        "state", type=Path, help="state_dict as .safetensors, .npz, .pt or .pth"
    )
    parser.add_argument("out", type=Path, help="file to write, .safetensors or .npz")
    parser.add_argument(
        "--names",
        type=Path,
        help='JSON, {"their layer": "our layer"}; "" leaves a layer out',
    )
    given = parser.parse_args(arguments)
    try:
        weights = convert(given.state, given.out, given.names)
    except InputError as error:
        print(f"surrojax.weights: {error}", file=sys.stderr)
        sys.exit(2)
    layers = layers_of(weights)
    for layer, names in layers.items():
        print(layer, *(f"{name} {weights[name].shape}" for name in names), sep="  ")
    print(f"{given.out}: {len(layers)} layers")


if __name__ == "__main__":
    main()
