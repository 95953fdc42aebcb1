"""MMI: videos from neutral to the peak of an expression and back, a session each."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from surrojax.data.csvs import Row, find, read_rows
from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.labels import CONTEMPT, expression
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.video import VIDEO_SUFFIXES, choose, count_frames
from surrojax.data.walk import (
    child,
    composed,
    files,
    find_file,
    find_root,
    folders,
    is_image,
    natural,
)
from surrojax.errors import InputError

OFFICIAL = 205
"""Sequences of the six expressions that published results are on."""

FRAMES_CSV = "frames.csv"
"""What a user may put in the folder to say which frames count."""

WHERE_FROM = (
    "the MMI Facial Expression Database from mmifacedb.eu (free for research, after "
    "registering and signing its end-user licence agreement)"
)

_NAMES = ("MMI", "mmi-facial-expression-database")
_DOWNLOAD = "mmi-facial-expression-database"
_CODES = {
    "1": "angry",
    "2": "disgust",
    "3": "fear",
    "4": "happy",
    "5": "sad",
    "6": "surprise",
}
_SIX = frozenset(_CODES.values())
_SESSION = re.compile("S([0-9]+)-([0-9]+)", re.IGNORECASE)
_OWN = ("value", "name", "label", "id")
# What says how strong an emotion is, or who has seen it, is none.
_EMOTION = re.compile(".*emotions?(|label|code|name|type|class|category|id|value)")
_SUBJECT_NAMES = {"subject", "subjectid", "subjectnumber"}


def scan(folder: Path) -> Listing:
    """Finds the sessions of MMI that are labelled with one of the six expressions.

    A session is a folder as downloaded: `Sessions/1/` with the video `S001-001.avi` and
    the XML files `S001-001.xml` and `session.xml`. Several downloads, folders
    `mmi-facial-expression-database...` with `Sessions` in each, are read as one.

    The label is looked for in all XML files of a session but those of action units
    (`...aucs.xml`), with or without a namespace, in these spellings, in any case:

    - `<Metatag Name="Emotion" Value="4"/>`, or the value as the element's text: any
      element with an attribute `Name` that contains `emotion`;
    - `<emotion>happiness</emotion>`, `<emotion value="4"/>`: any element whose name
      contains `emotion`, its text or else `value`, `name`, `label` or `id`;
    - `<session emotion="4">`: any attribute whose name contains `emotion`.

    A value is a word (`happiness`, `Happy`) or a code: 1 anger, 2 disgust, 3 fear,
    4 happiness, 5 sadness, 6 surprise. The subject is the number in the video's name,
    `S001` of `S001-001.avi`; for a name of another form, the `id` or the text of an
    element `subject`, or an element, attribute or `Metatag` called `subjectId`.

    A session with another emotion, or with two that disagree, is left out.

    An expression rises and falls again, so the peak is taken to be mid-sequence: the
    middle frame of those that decode, and its two neighbours. A video recorded lying on
    its side is read as it is.

    A file `frames.csv` in the folder is read instead. Its columns are `video` or
    `image` (a file, relative to the folder), `frame` (of a video, from 0), `label`,
    `subject` and, if wanted, `sequence`, by default the file. Its rows are taken as
    they stand, neutral ones too; that a frame is there shows when it is decoded.

    Args:
      folder: where MMI is, or what has it in a sub-folder.

    Returns:
      Six classes; from `frames.csv`, those that are there.

    Raises:
      InputError: there is no MMI, an XML file is damaged or a row is wrong.
    """
    root = find_root(
        folder,
        _NAMES,
        lambda place: bool(find(place, FRAMES_CSV) or _session_folders(place)),
        f"folder Sessions, nor {FRAMES_CSV},",
        WHERE_FROM,
    )
    table = find(root, FRAMES_CSV)
    listing = _scan_table(root, table) if table else _scan_sessions(root)
    return check(
        listing,
        f"get sessions with an emotion label of {WHERE_FROM}, or list the frames in "
        f"{root / FRAMES_CSV}",
    )


def _session_folders(place: Path) -> list[Path]:
    """The sessions of one download or of several."""
    if place.name.casefold() == "sessions":
        return folders(place)
    downloads = [f for f in folders(place) if f.name.casefold().startswith(_DOWNLOAD)]
    return [
        session
        for around in (place, *downloads)
        if (sessions := child(around, "Sessions"))
        for session in folders(sessions)
    ]


def _scan_sessions(root: Path) -> Listing:
    frames: list[Frame] = []
    left_out: list[LeftOut] = []
    sequences: set[str] = set()
    short = 0

    def leave_out(path: Path, reason: str) -> None:
        left_out.append(LeftOut(path.relative_to(root).as_posix(), reason))

    for session in _session_folders(root):
        videos = files(session, VIDEO_SUFFIXES)
        if len(videos) != 1:
            leave_out(session, "several videos" if videos else "no video")
            continue
        video = videos[0]
        labels, subjects = _read_xml(session)
        label = next(iter(labels), "")
        subject = _subject(video, subjects)
        if not labels:
            leave_out(video, "no emotion label")
        elif len(labels) > 1:
            leave_out(video, "labels disagree")
        elif label not in _SIX:
            leave_out(video, "other emotion")
        elif not subject:
            leave_out(video, "no subject")
        elif video.stem.upper() in sequences:
            leave_out(video, "same session twice")
        elif not (numbers := choose(count_frames(video))):
            leave_out(video, "video does not decode")
        else:
            sequence = video.stem.upper()
            sequences.add(sequence)
            short += len(numbers) < 3
            file = video.relative_to(root).as_posix()
            frames += [Frame(file, label, sequence, subject, "", n) for n in numbers]
    notes = [f"{short} sequences have fewer than 3 frames"] if short else []
    return _listing(root, "sessions", frames, left_out, notes)


def _read_xml(session: Path) -> tuple[set[str], set[str]]:
    """What the XML files of a session say: emotions and subjects.

    Emotions are canonical names, or what stands there if that is none of the six.
    """
    emotions: set[str] = set()
    subjects: set[str] = set()
    for file in files(session, {".xml"}):
        if file.stem.casefold().endswith("aucs"):
            continue
        for name, value in _values(file):
            if _EMOTION.fullmatch(name):
                emotions.add(_CODES.get(value) or expression(value) or value)
            elif name in _SUBJECT_NAMES:
                subjects.add(value)
    return emotions, subjects


def _values(file: Path) -> Iterator[tuple[str, str]]:
    """Names in lower case and the values that belong to them, none empty."""
    try:
        tree = ElementTree.parse(file)
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(
            f"{file}: is no whole XML file ({error}); get the session again"
        ) from error
    for element in tree.iter():
        attributes = {_local(key): text for key, text in element.attrib.items()}
        text = (element.text or "").strip()
        own = (text, *map(attributes.get, _OWN))
        pairs = [
            *attributes.items(),
            (_local(element.tag), next(filter(None, own), "")),
        ]
        if "name" in attributes:
            pairs.append((attributes["name"].lower(), attributes.get("value") or text))
        for name, value in pairs:
            if value.strip():
                yield name.replace("_", "").replace("-", ""), value.strip()


def _local(name: str) -> str:
    """A tag or attribute in lower case, without its namespace."""
    return name.rpartition("}")[2].lower()


def _subject(video: Path, stated: set[str]) -> str:
    """`S001` of a video, or what its XML files state; empty if neither is clear.

    The file's name comes first: it is the one numbering that all sessions share.
    """
    name = _SESSION.fullmatch(video.stem)
    if name:
        return f"S{int(name[1]):03}"
    if len(stated) != 1:
        return ""
    (text,) = stated
    number = re.fullmatch("S?([0-9]+)", text, re.IGNORECASE)
    return f"S{int(number[1]):03}" if number else text


def _scan_table(root: Path, table: Path) -> Listing:
    frames: dict[tuple[str, int | None], Frame] = {}
    sequences: dict[str, tuple[str, str]] = {}
    optional = ("video", "image", "frame", "sequence")
    for row in read_rows(table, ("label", "subject"), optional):
        frame = _frame(root, row)
        key = frame.file, frame.number
        if key in frames:
            raise row.fault("frame", f"{frame.file} is there twice", "delete one row")
        frames[key] = frame
        said = frame.label, frame.subject
        if sequences.setdefault(frame.sequence, said) != said:
            raise row.fault(
                "sequence",
                f"{frame.sequence!r} has another label or subject in an earlier row",
            )
    left_out = [
        LeftOut(frame.file, CONTEMPT)
        for frame in frames.values()
        if frame.label == CONTEMPT
    ]
    kept = [frame for frame in frames.values() if frame.label != CONTEMPT]
    kept.sort(key=lambda f: (natural(f.sequence), natural(f.file), f.number or 0))
    return _listing(root, FRAMES_CSV, kept, left_out, [])


def _frame(root: Path, row: Row) -> Frame:
    given = [column for column in ("video", "image") if row.fields.get(column)]
    if len(given) != 1:
        raise row.fault("video", "one of the columns video and image must be filled")
    (column,) = given
    wanted = PurePosixPath(row.fields[column].replace("\\", "/"))
    inside = not wanted.is_absolute() and ".." not in wanted.parts
    path = find_file(root, wanted) if inside else None
    if path is None:
        raise row.fault(column, f"no file {str(wanted)!r} in {root}")
    if column == "image" and not is_image(Path(path)):
        raise row.fault(column, f"{str(path)!r} is no image by its ending")
    number = (
        row.whole("frame", 0) if column == "video" and "frame" in row.fields else None
    )
    if column == "video" and number is None:
        raise row.fault(
            "frame", "a video needs the number of a frame", "add the column"
        )
    label = expression(row.fields["label"])
    if label is None:
        raise row.fault(
            "label",
            f"{row.fields['label'][:20]!r} is none of {', '.join(EXPRESSIONS)}",
        )
    subject = composed(row.fields["subject"])
    if not subject:
        raise row.fault("subject", "is empty, and folds are dealt by subject")
    sequence = composed(row.fields.get("sequence", "")) or str(path)
    return Frame(str(path), label, sequence, subject, "", number)


def _listing(
    root: Path,
    layout: str,
    frames: list[Frame],
    left_out: list[LeftOut],
    notes: list[str],
) -> Listing:
    found = len({frame.sequence for frame in frames if frame.label in _SIX})
    if found != OFFICIAL:
        notes = [
            *notes,
            f"{found} sequences show one of the six expressions, not the {OFFICIAL} of "
            "published results, which do not compare",
        ]
    return Listing(
        name="mmi",
        root=root,
        layout=layout,
        classes=canonical(frame.label for frame in frames),
        frames=tuple(frames),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
