"""AFEW: short clips of films, as videos or as the organisers' crops of the faces."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from surrojax.data.labels import expression
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.video import CHOICES, VIDEO_SUFFIXES, count_frames
from surrojax.data.walk import (
    child,
    files,
    files_below,
    find_root,
    folders,
    images,
    is_image,
    natural,
)
from surrojax.errors import InputError
from surrojax.fields import check_known

OFFICIAL = {"train": 757, "test": 365}
"""Clips of the two parts that the paper's figures are on; a tenth of 757 validates."""

WHERE_FROM = (
    "AFEW from Abhinav Dhall's group, organisers of EmotiW "
    "(sites.google.com/view/emotiw2018; for research, after signing their agreement)"
)

_NAMES = ("AFEW", "EmotiW")
_SPLITS = {
    "train": ("Train_AFEW", "Train"),
    # The test labels are not published, so Val is what is reported.
    "test": ("Val_AFEW", "Val"),
}
_UNLABELLED = "Test_AFEW"
_CROPS = "alignedfaces"


def scan(folder: Path, frames: str = "middle") -> Listing:
    """Finds the clips of AFEW in its training and validation parts.

    `Train_AFEW/Angry/<clip>.avi` are the clips, and the organisers' crops lie in
    `Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/<clip>/*.jpg`, also as
    `Faces/Angry/<clip>/`; the same in `Val_AFEW`, whose folder of crops may be called
    `AlignedFaces_LBPTOP_Points_Val`. A clip's label is that of the folder around its
    video, or around its crops.

    Three frames stand for a clip: of its crops, by name order, or, where it has none,
    of the frames of its video that decode. All are listed, for in which there is a face
    shows only when they are prepared.

    Args:
      folder: where AFEW is, or what has it in a sub-folder.
      frames: `middle` or `spread`: see `video.choose`.

    Returns:
      Seven classes; the splits `train`, and `test` of the validation part.

    Raises:
      InputError: there is no AFEW, or one of its two parts is missing.
    """
    check_known("config.dataset.frames", frames, CHOICES)
    root = find_root(
        folder,
        _NAMES,
        lambda place: any(_part(place, split) for split in _SPLITS),
        "Train_AFEW and Val_AFEW with clips",
        WHERE_FROM,
    )
    found: list[Frame] = []
    left_out: list[LeftOut] = []
    notes = []
    counts: dict[str, int] = {}
    for split, names in _SPLITS.items():
        part = _part(root, split)
        if part is None:
            raise InputError(
                f"{root}: no {names[0]} with clips; put it there; it comes with "
                f"{WHERE_FROM}"
            )
        clips = _clips(root, part, left_out)
        listed = _frames(root, split, clips, left_out)
        found += listed
        from_video = len({f.sequence for f in listed if f.number is not None})
        counts[split] = len({f.sequence for f in listed})
        cropped = counts[split] - from_video
        notes.append(f"{split}: {cropped} clips from crops, {from_video} from videos")
    if counts != OFFICIAL:
        notes.append(
            f"{counts['train']} training and {counts['test']} validation clips, not "
            f"the {OFFICIAL['train']} and {OFFICIAL['test']} that the paper used: its "
            "results do not compare"
        )
    unlabelled = child(root, _UNLABELLED)
    if unlabelled:
        left_out.append(LeftOut(unlabelled.name, "no label"))
    listing = Listing(
        name="afew",
        root=root,
        layout=f"train and val, {frames} frames",
        classes=canonical(frame.label for frame in found),
        frames=tuple(found),
        choice=frames,
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
    return check(listing, f"get {WHERE_FROM} whole")


@dataclass
class _Clip:
    """What is known of one clip."""

    labels: set[str] = field(default_factory=set)
    videos: list[Path] = field(default_factory=list)
    crops: list[Path] = field(default_factory=list)
    crop_folders: list[Path] = field(default_factory=list)


def _part(place: Path, split: str) -> Path | None:
    """The folder of a split, if it has clips or crops."""
    part = child(place, *_SPLITS[split])
    # Some archives hold a folder inside one of the same name.
    while part and (inner := child(part, part.name)):
        part = inner
    if part is None:
        return None
    has_clips = any(
        files_below(around, VIDEO_SUFFIXES)
        for around in folders(part)
        if expression(around.name)
    )
    return part if has_clips or _crop_folder(part) else None


def _crop_folder(part: Path) -> Path | None:
    """The folder with the clips' folders of crops."""
    found = [f for f in folders(part) if f.name.casefold().startswith(_CROPS)]
    if not found:
        return None
    if len(found) > 1:
        raise InputError(
            f"{part}: has both {found[0].name!r} and {found[1].name!r}, and nothing "
            "tells which has its crops; keep one of them there"
        )
    around = child(found[0], found[0].name) or found[0]
    return child(around, "Faces") or around


def _clips(root: Path, part: Path, left_out: list[LeftOut]) -> dict[str, _Clip]:
    """The clips of a split by name, in order; other things join `left_out`."""
    clips: dict[str, _Clip] = {}

    def leave_out(path: Path, reason: str) -> None:
        left_out.append(LeftOut(path.relative_to(root).as_posix(), reason))

    for file in files(part):
        leave_out(file, "outside the clips")
    for around in folders(part):
        label = expression(around.name)
        if label is None:
            if not around.name.casefold().startswith(_CROPS):
                leave_out(around, "folder of no class")
            continue
        for file in files_below(around):
            if file.suffix.lower() not in VIDEO_SUFFIXES:
                leave_out(file, "not a video")
                continue
            clip = clips.setdefault(file.stem, _Clip())
            if label in clip.labels:
                leave_out(file, "same clip twice")
                continue
            clip.labels.add(label)
            clip.videos.append(file)
    crop_folder = _crop_folder(part)
    if crop_folder:
        for label, folder in _labelled(crop_folder):
            clip = clips.setdefault(folder.name, _Clip())
            clip.labels |= {label} if label else set()
            if clip.crop_folders:
                leave_out(folder, "same clip twice")
                continue
            clip.crop_folders.append(folder)
            clip.crops += images(folder)
            for file in files_below(folder):
                if not is_image(file):
                    leave_out(file, "not an image")
        for file in files(crop_folder):
            leave_out(file, "outside the clips")
    return {name: clips[name] for name in sorted(clips, key=natural)}


def _labelled(crop_folder: Path) -> Iterator[tuple[str | None, Path]]:
    """Each clip's folder of crops, and its label where a folder around it says so."""
    for folder in folders(crop_folder):
        label = expression(folder.name)
        if label:
            yield from ((label, inner) for inner in folders(folder))
        else:
            yield None, folder


def _frames(
    root: Path, split: str, clips: dict[str, _Clip], left_out: list[LeftOut]
) -> list[Frame]:
    """The frames of each clip; clips without join `left_out`."""
    found: list[Frame] = []
    for name, clip in clips.items():
        sequence = f"{split}/{name}"
        label = next(iter(clip.labels), "")
        place = (clip.videos or clip.crop_folders)[0].relative_to(root).as_posix()
        if not clip.labels:
            left_out.append(LeftOut(place, "no label"))
        elif len(clip.labels) > 1:
            left_out.append(LeftOut(place, "labels disagree"))
        elif clip.crops:
            for crop in clip.crops:
                file = crop.relative_to(root).as_posix()
                found.append(Frame(file, label, sequence, split=split))
        elif not clip.videos:
            left_out.append(LeftOut(place, "no face crops"))
        elif not (count := count_frames(clip.videos[0])):
            left_out.append(LeftOut(place, "video does not decode"))
        else:
            found += [Frame(place, label, sequence, "", split, n) for n in range(count)]
    return found
