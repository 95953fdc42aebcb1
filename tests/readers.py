"""What tests of readers share: files in a folder, and what is said of them."""

import pytest

from surrojax.errors import InputError


def draw(root, *names, size=1):
    """Files of so many bytes; a name that ends in `/` is a folder."""
    for name in names:
        place = root / name
        folder = place if name.endswith("/") else place.parent
        folder.mkdir(parents=True, exist_ok=True)
        if folder != place:
            place.write_bytes(b"x" * size)
    return root


def complaint(call, *arguments, **options):
    """The message of the InputError, which is one line."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left_out(listing):
    """(file, reason) of all that a listing leaves out."""
    return {(entry.file, entry.reason) for entry in listing.left_out}


def by_sequence(listing):
    """Subject, label and the files of each sequence, all of which are there."""
    found = {}
    for frame in listing.frames:
        assert (listing.root / frame.file).is_file()
        entry = found.setdefault(frame.sequence, (frame.subject, frame.label, []))
        assert entry[:2] == (frame.subject, frame.label)
        entry[2].append(frame.file)
    return found
