"""Databases drawn by code in their official layouts, for the tests that train."""

import numpy as np
from PIL import Image

CODES = (1, 3, 4, 5, 6, 7)  # CK+'s numbers of the six expressions


def ck(root, subjects=20, size=(64, 48), seed=0):
    """CK+: one sequence a subject; a band grows bright where the label says."""
    rng = np.random.default_rng(seed)
    for number in range(subjects):
        subject, which = f"S{number:03}", number % 6
        images = root / "cohn-kanade-images" / subject / "001"
        labels = root / "Emotion" / subject / "001"
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for frame in range(1, 8):
            picture = rng.integers(0, 60, size[::-1], dtype=np.uint8)
            picture[8 * which : 8 * which + 8] += np.uint8(frame * 25)
            name = f"{subject}_001_{frame:08}"
            Image.fromarray(picture).save(images / f"{name}.png")
        (labels / f"{name}_emotion.txt").write_text(f"   {CODES[which]}.0000000e+00\n")
    return root


def label_folders(root, expressions, images=12, side=48, seed=0):
    """`label/image`: each expression a row of the picture that is bright."""
    rng = np.random.default_rng(seed)
    for index, expression in enumerate(expressions):
        folder = root / expression
        folder.mkdir(parents=True)
        for number in range(images):
            picture = rng.integers(0, 60, (side, side, 3), dtype=np.uint8)
            picture[6 * index : 6 * index + 6] += 150
            Image.fromarray(picture).save(folder / f"p{number:02}_{expression}.png")
    return root
