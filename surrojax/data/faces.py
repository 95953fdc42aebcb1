"""Faces drawn by code: a database of seven expressions that needs no download.

Brows, eyes, nose and mouth are moved as the action units of FACS move them. Every
subject has its own proportions, colours and way of showing an expression; every
image has its own intensity, pose, light, background and grain. No subject is in two
splits.

All lengths are in face units: the picture spans -1..1 in x (right) and y (down),
whatever its size in pixels. Per pixel only sums, products, quotients, square roots
and comparisons are used, which IEEE 754 rounds alike on every machine.
"""

import hashlib
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from surrojax.data.dataset import EXPRESSIONS, Dataset, Split
from surrojax.errors import InputError
from surrojax.fields import check_known

ACTION_UNITS = {
    # angry, disgust, fear, happy, sad, surprise, neutral
    "inner_brow": (-1.0, -0.7, 0.8, 0.0, 0.9, 0.9, 0.0),  # raised (AU1), lowered (AU4)
    "outer_brow": (0.1, -0.4, 0.2, 0.1, -0.5, 0.9, 0.0),  # raised (AU2)
    "furrow": (1.0, 0.4, 0.5, 0.0, 0.3, 0.0, 0.0),  # frown lines (AU4)
    "upper_lid": (0.1, -0.4, 0.9, -0.1, -0.5, 0.9, 0.0),  # raised (AU5), dropped
    "lower_lid": (0.5, 0.6, 0.0, 0.7, 0.0, -0.2, 0.0),  # tightened (AU6, AU7)
    "nose_wrinkle": (0.2, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # AU9
    "upper_lip": (-0.3, 1.0, 0.2, 0.3, 0.0, 0.0, 0.0),  # raised (AU10), pressed (AU24)
    "smile": (-0.3, -0.6, -0.2, 1.0, -1.0, 0.0, 0.0),  # corners up (AU12), down (AU15)
    "stretch": (-0.5, -0.1, 0.7, 0.7, -0.2, -0.7, 0.0),  # lips (AU20), funnel (AU22)
    "jaw_drop": (0.0, 0.1, 0.5, 0.3, 0.0, 1.0, 0.0),  # AU25 to AU27
    "teeth": (0.0, 0.6, 0.5, 1.0, 0.0, 0.1, 0.0),
    "cheek_fold": (0.2, 0.8, 0.0, 0.8, 0.2, 0.0, 0.0),  # AU6, AU11
}
"""Each action unit at full intensity, one value per class in the canonical order."""

IDENTITY = {
    # the mean subject, and how far others may lie on either side
    "head_width": (0.70, 0.08),
    "head_height": (0.90, 0.06),
    "jaw_taper": (0.25, 0.18),
    "eye_height": (-0.16, 0.05),
    "eye_spacing": (0.30, 0.04),
    "eye_width": (0.155, 0.025),
    "eye_opening": (0.085, 0.022),
    "brow_height": (0.20, 0.04),
    "brow_thickness": (0.035, 0.016),
    "brow_slant": (0.0, 0.03),
    "nose_length": (0.20, 0.04),
    "nose_width": (0.10, 0.025),
    "mouth_height": (0.46, 0.05),
    "mouth_width": (0.25, 0.05),
    "lip_thickness": (0.05, 0.022),
    "skin": (0.74, 0.22),
    "hair": (0.35, 0.32),
    "hairline": (-0.62, 0.14),
    "hair_length": (0.10, 0.45),
}
VIEW = {
    # the frontal, evenly lit picture, and how far an image departs at difficulty 1
    "yaw": (0.0, 0.16),
    "roll": (0.0, 0.14),  # radians
    "scale": (1.0, 0.09),
    "shift_x": (0.0, 0.07),
    "shift_y": (0.0, 0.07),
    "gaze": (0.0, 0.04),
    "asymmetry": (0.0, 0.10),
    "light": (1.0, 0.22),
    "light_x": (0.0, 0.28),
    "light_y": (0.0, 0.18),
    "brightness": (0.0, 18.0),  # grey levels
    "backdrop": (130.0, 70.0),  # grey levels
}
EXTRAS = {
    # what is absent from a plain picture: the largest amount, and its probability
    "glasses": (1.0, 0.25),
    "beard": (0.9, 0.25),
    "cover": (1.0, 0.20),
}
GRAIN = 10.0  # standard deviation per pixel, grey levels
CLUTTER = 45.0  # standard deviation of the backdrop, grey levels
RESTING = 0.1  # standard deviations, in units of full intensity: of a resting face,
STYLE = 0.2  # of a subject's gain per action unit
WOBBLE = 0.1  # and of one image
FAINTEST = 0.4  # the smallest intensity of an expression

DEFAULTS: dict[str, float] = (
    dict.fromkeys(ACTION_UNITS, 0.0)
    | {name: mean for name, (mean, _) in (IDENTITY | VIEW).items()}
    | dict.fromkeys(EXTRAS, 0.0)
    | {"cover_x": 0.6, "cover_y": 0.6, "grain": 0.0, "clutter": 0.0, "texture": 0.0}
)
"""Every parameter of a picture: the mean subject, neutral, frontal, free of noise."""

_POSITIVE = {"scale", "head_width", "head_height", "eye_width", "eye_opening"}
_POSITIVE |= {"nose_width", "mouth_width"}
_LATTICE = 7  # knots of the backdrop on a side
_CHUNK_PIXELS = 1 << 16


def action_units(expression: str, intensity: float = 1.0) -> dict[str, float]:
    """The action units of one of EXPRESSIONS, to be passed to `draw`.

    Intensity 0 is a neutral face, 1 a full one. Raises InputError for a name that
    is not an expression.
    """
    check_known("expression", expression, EXPRESSIONS)
    column = EXPRESSIONS.index(expression)
    return {name: intensity * row[column] for name, row in ACTION_UNITS.items()}


def draw(
    parameters: Mapping[str, float], image_size: int = 28, channels: int = 1
) -> np.ndarray:
    """One face, `[image_size, image_size, channels]` uint8: grey levels or RGB.

    Args:
      parameters: any of DEFAULTS' names with the value to use instead; for instance
        `action_units("happy", 0.8) | {"yaw": 0.1}`. `grain` and `clutter` are in
        grey levels, `texture` is the seed (0 or more) that they are drawn from.
      image_size: pixels on a side, at least 12.
      channels: 1 or 3.

    Raises:
      InputError: a parameter that is unknown, or an argument out of range.
    """
    for name, value in parameters.items():
        if name not in DEFAULTS:
            raise InputError(f"parameters: {name!r} is not one of faces.DEFAULTS")
        _require(np.isfinite(value), name, value, "use a finite number")
        _require(name not in _POSITIVE or value > 0, name, value, "use more than 0")
        _require(name != "texture" or value >= 0, name, value, "use 0 or more")
    _check_format(image_size, channels)
    scene = {k: np.full(1, v) for k, v in (DEFAULTS | dict(parameters)).items()}
    return _render(scene, image_size, channels)[0]


def load(
    image_size: int = 28,
    channels: int = 1,
    seed: int = 0,
    subjects: int = 144,
    images_per_subject: int = 21,
    difficulty: float = 1.0,
) -> Dataset:
    """The database: a third of the subjects in each of train, validation and test.

    `image_size` and `channels` do not change the scenes, only how they are pictured.
    The grain is drawn per pixel, equally strong at any size.

    Args:
      image_size: pixels on a side, at least 12.
      channels: 1 (grey levels) or 3 (RGB).
      seed: at least 0; another seed is another population.
      subjects: people in all, at least 3; what is left of the division by three goes
        to train, then to validation.
      images_per_subject: a multiple of 7, so that the classes are balanced.
      difficulty: 0 gives full expressions on plain frontal faces, 1 the usual range
        of intensity, pose, light, occlusion and noise; at most 2.

    Raises:
      InputError: an argument out of range.
    """
    _check_format(image_size, channels)
    k = len(EXPRESSIONS)
    _require(seed >= 0, "seed", seed, "use 0 or more")
    _require(subjects >= 3, "subjects", subjects, "three splits need 3 or more")
    balanced = images_per_subject > 0 and images_per_subject % k == 0
    remedy = f"balanced classes need a multiple of {k}"
    _require(balanced, "images_per_subject", images_per_subject, remedy)
    _require(0 <= difficulty <= 2, "difficulty", difficulty, "use 0 to 2")

    splits, people, classes = {}, {}, np.arange(k, dtype=np.int32)
    repeats, parts = images_per_subject // k, np.array_split(np.arange(subjects), 3)
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        each = [_sample(seed, s, repeats, difficulty) for s in part.tolist()]
        scenes = {key: np.concatenate([one[key] for one in each]) for key in DEFAULTS}
        splits[name] = Split(
            images=_render(scenes, image_size, channels),
            labels=np.tile(classes, len(part) * repeats),
            subjects=np.repeat([f"s{s:04d}" for s in part], images_per_subject),
        )
        people[name] = len(part)
    pixels = hashlib.sha256()
    for split in splits.values():
        pixels.update(split.pixels().data)
    manifest = {
        "source": "drawn by code",
        "seed": seed,
        "image_size": image_size,
        "channels": channels,
        "images_per_subject": images_per_subject,
        "difficulty": difficulty,
        "subjects": people,
        "counts": {
            name: dict(
                zip(EXPRESSIONS, np.bincount(split.labels).tolist(), strict=True)
            )
            for name, split in splits.items()
        },
        "sha256": pixels.hexdigest(),
    }
    return Dataset(
        "faces",
        EXPRESSIONS,
        splits["train"],
        splits["validation"],
        splits["test"],
        manifest,
    )


def _require(fulfilled: bool, name: str, value: float, remedy: str) -> None:
    if not fulfilled:
        raise InputError(f"{name}: {value} cannot be used; {remedy}")


def _check_format(image_size: int, channels: int) -> None:
    _require(image_size >= 12, "image_size", image_size, "use 12 or more")
    _require(channels in (1, 3), "channels", channels, "use 1 (grey) or 3 (RGB)")


def _generator(*seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _sample(seed: int, subject: int, repeats: int, difficulty: float) -> dict:
    """The scenes of one subject, `[7 * repeats]` a parameter, the classes in turn.

    Each subject has its own stream, so that it is the same in a larger population.
    """
    rng = _generator(seed, subject)
    n = repeats * len(EXPRESSIONS)
    scenes = {name: np.full(n, value) for name, value in DEFAULTS.items()}
    for name, (_, spread) in IDENTITY.items():
        scenes[name] += spread * rng.uniform(-1, 1)
    faintest = max(0.0, 1 - (1 - FAINTEST) * difficulty)
    intensity = rng.uniform(faintest, 1 + 0.1 * difficulty, n)
    for name, row in ACTION_UNITS.items():
        resting, style = difficulty * rng.standard_normal(2) * (RESTING, STYLE)
        wobble = difficulty * WOBBLE * rng.standard_normal(n)
        shown = max(0.2, 1 + style) * intensity * np.tile(row, repeats)
        scenes[name] += shown + resting + wobble
    for name, (_, spread) in VIEW.items():
        scenes[name] += difficulty * spread * rng.uniform(-1, 1, n)
    for name, (most, probability) in EXTRAS.items():
        times = n if name == "cover" else 1  # glasses and beard are the subject's own
        present = rng.uniform(size=times) < difficulty * probability
        scenes[name] += most * present * rng.uniform(0.5, 1, times)
    angle = rng.uniform(0, 2 * np.pi, n)
    scenes["cover_x"], scenes["cover_y"] = 0.75 * np.cos(angle), 0.75 * np.sin(angle)
    scenes["grain"] += difficulty * GRAIN * rng.uniform(0.5, 1.5, n)
    scenes["clutter"] += difficulty * CLUTTER
    scenes["texture"] += rng.integers(1 << 32, size=n)
    return scenes


def _render(scenes: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Pictures `[n, size, size, channels]` uint8, in chunks that fit the cache."""
    n = len(scenes["texture"])
    step = max(1, _CHUNK_PIXELS // size**2)
    images = np.empty((n, size, size, channels), np.uint8)
    for start in range(0, n, step):
        chunk = {name: x[start : start + step] for name, x in scenes.items()}
        images[start : start + step] = _Painter(chunk, size, channels).picture()
    return images


class _Painter:
    """Paints one chunk of scenes, from the backdrop to what is nearest the eye.

    `u`, `v` are each pixel's coordinates in the frame of the head; `turned` is `u`
    for the features, and `side` their distance from its line of symmetry (left and
    right are painted at once). Edges are blended over a pixel's side, `pixel`.
    """

    def __init__(self, scenes: dict[str, np.ndarray], size: int, channels: int) -> None:
        def column(x: np.ndarray) -> np.ndarray:
            return x.astype(np.float32)[:, None, None]

        self.p = p = SimpleNamespace(**{name: column(x) for name, x in scenes.items()})
        self.rngs = [_generator(int(seed)) for seed in scenes["texture"]]
        self.channels = channels
        axis = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        x, y = (self.x - p.shift_x) / p.scale, (self.y - p.shift_y) / p.scale
        cos, sin = column(np.cos(scenes["roll"])), column(np.sin(scenes["roll"]))
        self.u, self.v = x * cos + y * sin, y * cos - x * sin
        self.pixel = 2 / (size * p.scale)
        # a turned head carries its features sideways and narrows the far half
        self.turned = self.u - p.yaw + 0.5 * p.yaw * self.u * self.u
        self.side = np.abs(self.turned)
        self.skin = p.skin[..., None] * self.rgb(240, 198, 170)
        self.lips = p.skin[..., None] * self.rgb(190, 105, 105)
        self.hair = p.hair[..., None] * self.rgb(200, 165, 120) + 15
        self.dark, self.white = self.rgb(35, 22, 20), self.rgb(235, 235, 228)
        self.canvas = np.empty((*self.u.shape, channels), np.float32)

    def picture(self) -> np.ndarray:
        """The finished chunk, `[n, size, size, channels]` uint8."""
        self.paint_backdrop()
        self.paint_head()
        self.paint_nose()
        self.paint_mouth()
        self.paint_eyes()
        self.paint_brows()
        self.paint_extras()
        p = self.p
        light = p.light + p.light_x * self.x + p.light_y * self.y
        levels = self.canvas * light[..., None] + p.brightness[..., None]
        for level, grain, rng in zip(levels, p.grain, self.rngs, strict=True):
            level += grain * rng.standard_normal((*level.shape[:2], 1), np.float32)
        return np.rint(levels.clip(0, 255)).astype(np.uint8)

    def rgb(self, *levels: float) -> np.ndarray:
        """A colour in the picture's channels, to broadcast over its pixels."""
        colour = np.array(levels, np.float32)
        luma = np.array([0.299, 0.587, 0.114], np.float32)
        return colour if self.channels == 3 else (colour * luma).sum(keepdims=True)

    def fill(self, coverage: np.ndarray, colour: np.ndarray) -> None:
        """Blends a colour in where the coverage (0..1 a pixel) says so."""
        self.canvas += coverage[..., None] * (colour - self.canvas)

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """Coverage of the region where a signed distance is negative."""
        return (0.5 - distance / self.pixel).clip(0, 1)

    def line(self, distance: np.ndarray, half: np.ndarray | float) -> np.ndarray:
        """Coverage of the strip within `half` of the zeros of a signed distance."""
        return self.inside(distance - half) - self.inside(distance + half)

    def paint_backdrop(self) -> None:
        """Grey noise on a coarse lattice, interpolated."""
        size, p = self.canvas.shape[1], self.p
        at = (_LATTICE - 1) * np.arange(size, dtype=np.float32) / (size - 1)
        low = np.minimum(at.astype(int), _LATTICE - 2)
        part = (at - low).astype(np.float32)[:, None]
        grid = (_LATTICE, _LATTICE)
        knots = np.stack([r.standard_normal(grid, np.float32) for r in self.rngs])
        knots = p.backdrop + p.clutter * knots
        rows = knots[:, low] + part * (knots[:, low + 1] - knots[:, low])
        left, right = rows[:, :, low], rows[:, :, low + 1]
        self.canvas[:] = (left + part[:, 0] * (right - left))[..., None]

    def paint_head(self) -> None:
        p, u, v = self.p, self.u, self.v
        width, height = p.head_width, p.head_height
        self.fill(self.inside(_ellipse(u, v - 1.1, 0.6 * width, 0.5)), 0.8 * self.skin)
        crown = _ellipse(u, v + 0.08, width + 0.08, height + 0.06)
        locks = np.maximum(np.abs(u) - width - 0.08, v - p.hair_length)
        self.fill(self.inside(np.where(v < 0, crown, locks)), self.hair)
        jaw = u * (1 + p.jaw_taper * v.clip(0, None))
        length = np.where(v > 0, height + 0.07 * p.jaw_drop, height)
        face = self.inside(_ellipse(jaw, v, width, length))
        face = face * self.inside(p.hairline + 0.25 * u * u - v)
        rim = 1 - 0.3 * (self.turned / width) ** 2
        self.fill(face, self.skin * rim[..., None])
        beard = p.beard * self.inside(0.48 - v - 0.5 * self.side)
        self.fill(face * beard, self.hair)

    def paint_nose(self) -> None:
        p, side = self.p, self.side
        tip = self.v - p.eye_height - 0.18 - p.nose_length
        bridge = self.line(side - 0.07, 0.02) * self.inside(np.abs(tip + 0.17) - 0.12)
        self.fill(0.5 * bridge, 0.62 * self.skin)
        across, wing = side - 0.6 * p.nose_width, 0.5 * p.nose_width
        nostril = _ellipse(across, tip + 0.03 * p.nose_wrinkle, wing, 0.028)
        self.fill(self.inside(nostril), 0.4 * self.skin)
        wrinkle = p.nose_wrinkle.clip(0, 1) * self.inside(side - 0.13)
        for height in (0.03, 0.12):
            crease = self.line(self.v - p.eye_height - height + 0.5 * side, 0.018)
            self.fill(wrinkle * crease, 0.45 * self.skin)
        fold = self.line(0.8 * (side - p.nose_width - 0.06) - 0.6 * tip, 0.02)
        fold = fold * self.inside(np.abs(tip - 0.12) - 0.15)
        self.fill(0.7 * p.cheek_fold.clip(0, 1) * fold, 0.5 * self.skin)

    def paint_mouth(self) -> None:
        p = self.p
        half = p.mouth_width * (1 + 0.32 * p.stretch).clip(0.3, None)
        s = self.turned / half  # -1 and 1 at the corners
        arch = (1 - s * s).clip(-0.5, None)
        jaw, teeth = p.jaw_drop.clip(0, None), p.teeth.clip(0, 1)
        raised = 0.05 * p.upper_lip.clip(0, None)
        bend = 0.12 * (p.smile + p.asymmetry * s)
        v = self.v - p.mouth_height - 0.02 * jaw - bend * (arch - 0.5)
        top = (0.09 * jaw + raised + 0.03 * teeth) * arch
        bottom = (0.22 * jaw + 0.5 * raised + 0.03 * teeth) * arch
        lip = p.lip_thickness * (1 + 0.5 * p.upper_lip.clip(-1, 0)) * arch
        within = self.inside(self.side - half)
        lips = self.inside(-v - top - lip) * self.inside(v - bottom - 1.2 * lip)
        self.fill(within * lips, self.lips)
        gap = within * self.inside(-v - top) * self.inside(v - bottom)
        self.fill(gap, self.dark)
        self.fill(teeth * gap * self.inside(v + 0.5 * (top - bottom)), self.white)
        self.fill(within * self.line(v + top, 0.014), self.dark)

    def paint_eyes(self) -> None:
        p = self.p
        across, v = self.side - p.eye_spacing, self.v - p.eye_height
        arch = (1 - (across / p.eye_width) ** 2).clip(-0.5, None)
        top = p.eye_opening * (1 + 0.75 * p.upper_lid).clip(0.15, None) * arch
        bottom = p.eye_opening * (0.8 - 0.52 * p.lower_lid).clip(0.08, None) * arch
        within = self.inside(np.abs(across) - p.eye_width)
        opening = within * self.inside(-v - top) * self.inside(v - bottom)
        self.fill(opening, self.white)
        gaze = across - p.gaze * np.sign(self.turned)
        self.fill(opening * self.inside(_ellipse(gaze, v, 0.07, 0.07)), self.dark)
        self.fill(within * self.line(v + top, 0.02), self.dark)
        pouch = p.lower_lid.clip(0, 1) * self.line(v - bottom - 0.045, 0.014)
        self.fill(within * pouch, 0.5 * self.skin)

    def paint_brows(self) -> None:
        p = self.p
        s = (self.side - p.eye_spacing) / 0.2  # -1 at the inner end, 1 at the outer
        v = self.v - p.eye_height + p.brow_height
        frown = self.line(self.side - 0.05, 0.018) * self.inside(np.abs(v) - 0.09)
        self.fill(p.furrow.clip(0, 1) * frown, 0.5 * self.skin)
        inner, outer = 0.1 * p.inner_brow, 0.1 * p.outer_brow
        lift = 0.5 * (inner + outer) + (0.5 * (outer - inner) + p.brow_slant) * s
        skew = 0.3 * p.asymmetry * np.sign(self.turned)
        brow = self.line(v + lift + skew + 0.03 * s * s, p.brow_thickness)
        self.fill(brow * self.inside(0.2 * np.abs(s) - 0.2), 0.8 * self.hair)

    def paint_extras(self) -> None:
        p = self.p
        across, v = self.side - p.eye_spacing, self.v - p.eye_height
        rim = self.line(_ellipse(across, v, 0.22, 0.18), 0.02)
        arm = self.line(v + 0.05, 0.02) * self.inside(0.2 - np.abs(across))
        frame = np.maximum(rim, arm) * self.inside(self.side - p.head_width)
        self.fill(p.glasses.clip(0, 1) * frame, self.dark)
        hand = _ellipse(self.u - p.cover_x, self.v - p.cover_y, 0.28, 0.22)
        self.fill(p.cover.clip(0, 1) * self.inside(hand), 0.85 * self.skin)


def _ellipse(
    x: np.ndarray, y: np.ndarray, rx: np.ndarray | float, ry: np.ndarray | float
) -> np.ndarray:
    """Signed distance from an ellipse about the origin, to first order."""
    a, b = x / rx, y / ry
    slope = np.sqrt((a / rx) ** 2 + (b / ry) ** 2)
    return (a * a + b * b - 1) / (2 * slope + np.float32(1e-3))
