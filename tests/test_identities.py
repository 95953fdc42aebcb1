"""Folders of identities, the people that are held out, and verification."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from readers import complaint

from surrojax.data.identities import deal, read
from surrojax.errors import InputError
from surrojax.verification import FOLDS, _best_threshold, draw_pairs, verify


def photo(file, colour, size=(40, 40)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "lfw"
    photo(root / "Bea" / "Bea_0002.PNG", (0, 200, 0))
    photo(root / "Bea" / "Bea_0001.png", (0, 100, 0))
    photo(root / "Al" / "Al_0001.png", (250, 0, 0))
    photo(root / ".hidden" / "x.png", (1, 1, 1))
    (root / "Al" / "._Al_0001.png").write_bytes(b"a resource fork")
    (root / "Al" / "notes.txt").write_text("no photo")
    return root


def test_a_folder_is_read_in_the_order_of_names(folder):
    found = read(folder, 10, 8)
    assert found.names == ("Al", "Bea") and found.people.tolist() == [0, 1, 1]
    pixels = found.photos[np.array([0, 1, 2])]
    assert pixels.shape == (3, 10, 8, 3)
    assert pixels[:, 0, 0].tolist() == [[250, 0, 0], [0, 100, 0], [0, 200, 0]]


def test_an_archive_of_the_folder_is_the_same(folder, tmp_path):
    photo(folder / "contact_sheet.png", (0, 0, 255))  # nobody's
    with tarfile.open(tmp_path / "lfw.tar", "w") as archive:
        archive.add(folder, "lfw")
    a, b = read(folder, 10, 8), read(tmp_path / "lfw.tar", 10, 8)
    assert a.names == ("Al", "Bea")
    assert a.names == b.names and (a.people == b.people).all()
    rows = np.arange(3)
    np.testing.assert_array_equal(a.photos[rows], b.photos[rows])
    assert a.photos.fingerprint() == b.photos.fingerprint()
    assert a.photos.fingerprint() != read(folder, 10, 8, 0.5).photos.fingerprint()


def test_the_window_is_the_middle_in_the_wanted_proportions(tmp_path):
    for name in ("a", "b"):
        photo(tmp_path / name / "1.png", (0, 0, 0))
    image = np.zeros((40, 60, 3), np.uint8)
    image[8:32, 20:40] = 255  # 20 x 16 around the middle, and what is blended in
    Image.fromarray(image).save(tmp_path / "a" / "1.png")
    inside = read(tmp_path, 10, 8, 0.5).photos[np.array([0])]
    np.testing.assert_array_equal(inside, 255)
    assert (read(tmp_path, 10, 8, 1.0).photos[np.array([0])][0, 0] == 0).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "CMYK", "1"])
def test_photos_of_any_kind_become_rgb(tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    for name in ("a", "b"):
        file = tmp_path / name / f"1.{suffix}"
        file.parent.mkdir()
        Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(file)
    assert (read(tmp_path, 9, 9).photos[np.array([0, 1])] == 255).all()


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    """As all other images are read; so are their endings."""
    pixels = np.zeros((6, 6, 3), np.uint8)
    pixels[:, 3:] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "1.tif", exif=exif)
    [turned] = read(tmp_path, 6, 6).photos[np.array([0])]
    np.testing.assert_array_equal(turned, pixels[::-1, ::-1])


def test_what_cannot_be_read_is_named(folder, tmp_path):
    (folder / "Al" / "Al_0002.jpg").write_bytes(b"no photo at all")
    found = read(folder, 10, 8)
    assert complaint(found.photos.__getitem__, np.array([1])) == (
        f"{folder}, Al/Al_0002.jpg: cannot be read as a photo (it is no image of a "
        "known kind); replace or delete it"
    )
    with pytest.raises(InputError, match="no such folder or .tar archive"):
        read(tmp_path / "nowhere", 10, 8)
    (tmp_path / "bad.tar").write_bytes(b"x" * 2000)
    with pytest.raises(InputError, match="bad.tar: cannot be read"):
        read(tmp_path / "bad.tar", 10, 8)
    photo(tmp_path / "one" / "Al" / "1.png", (0, 0, 0))
    with pytest.raises(InputError, match="photos of 1 people found"):
        read(tmp_path / "one", 10, 8)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_that_is_cut_off_or_damaged_is_named(folder, tmp_path, mode):
    whole = tmp_path / "lfw.tar"
    with tarfile.open(whole, mode) as archive:
        archive.add(folder, "lfw")
    assert len(read(whole, 10, 8).people) == 3
    content = whole.read_bytes()
    middle = len(content) // 2
    damaged = content[:middle] + bytes(64) + content[middle + 64 :]
    for name, part in (("cut.tar", content[:middle]), ("damaged.tar", damaged)):
        if mode == "w" and name == "damaged.tar":
            continue  # pixels have no sum
        (tmp_path / name).write_bytes(part)
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            read(tmp_path / name, 10, 8)


@pytest.mark.parametrize("inside", [0, 200])
def test_an_archive_that_is_cut_off_at_a_header_is_named(folder, tmp_path, inside):
    """Between two files, or inside of the header of the second."""
    last = last_header(folder, tmp_path / "lfw.tar")
    with (tmp_path / "lfw.tar").open("r+b") as file:
        file.truncate(last + inside)
    with pytest.raises(InputError, match="lfw.tar: cannot be read .*end of data"):
        read(tmp_path / "lfw.tar", 10, 8)


def test_an_archive_with_a_damaged_header_is_named(folder, tmp_path):
    last = last_header(folder, tmp_path / "lfw.tar")
    with (tmp_path / "lfw.tar").open("r+b") as file:
        file.seek(last + 5)
        file.write(b"#")
    with pytest.raises(InputError, match="lfw.tar: cannot be read .*header is dam"):
        read(tmp_path / "lfw.tar", 10, 8)


def last_header(folder, file):
    """Makes an archive; where the header of its last member begins."""
    with tarfile.open(file, "w") as archive:
        archive.add(folder, "lfw")
    with tarfile.open(file) as archive:
        return archive.getmembers()[-1].offset


def tree(root, *files):
    for number, file in enumerate(files):
        photo(root / file, (number, 0, 0), (4, 4))
    return root


def packed(root):
    with tarfile.open(root.with_suffix(".tar"), "w") as archive:
        archive.add(root, ".")
    return root.with_suffix(".tar")


def photos_of(source):
    """The names of the people, and by name the numbers of their photos in `tree`."""
    found = read(source, 4, 4)
    red = found.photos[np.arange(len(found.people))][:, 0, 0, 0]
    return {
        name: red[found.people == person].tolist()
        for person, name in enumerate(found.names)
    }


@pytest.mark.parametrize("pack", [lambda root: root, packed])
@pytest.mark.parametrize(
    "around",
    [
        ("", ""),
        ("lfw/", "lfw/"),
        ("sets/lfw/funneled/", "sets/lfw/funneled/"),
        ("vgg/train/", "vgg/test/"),
        ("Training/faces/", "val/faces/"),
    ],
)
def test_folders_around_all_people_are_nobodys(tmp_path, around, pack):
    first, second = around
    root = tree(
        tmp_path / "photos",
        f"{first}Al/1.png",
        f"{first}Al/2.png",
        f"{second}Bea/1.png",
        f"{second}sheet.png",
    )
    assert photos_of(pack(root)) == {"Al": [0, 1], "Bea": [2]}


@pytest.mark.parametrize("pack", [lambda root: root, packed])
@pytest.mark.parametrize(
    ("files", "two", "who", "up", "out"),
    [
        (
            (
                "Al/album1/1.png",
                "Al/album2/2.png",
                "Bea/album0/1.png",
                "Cy/album2/1.png",
            ),
            "Al/album2 and Cy/album2",
            "Al or album2",
            "Al/album2 right into Al",
            "album2 beside Al",
        ),
        (
            ("lfw/Al/trip/1.png", "lfw/Bea/home/1.png"),
            "lfw/Al/trip and lfw/Bea/home",
            "Al or trip",
            "lfw/Al/trip right into lfw/Al",
            "trip beside Al",
        ),
        (
            ("Al/1.png", "Bea/1.png", "Bea/trip/1.png"),
            "Bea/trip and Al",
            "Bea or trip",
            "Bea/trip right into Bea",
            "trip beside Bea",
        ),
        (
            ("Al/1.png", "Bea/Al/1.png"),
            "Bea/Al and Al",
            "Bea or Al",
            "Bea/Al right into Bea",
            "Al beside Bea",
        ),
    ],
)
def test_albums_are_not_taken_for_people(tmp_path, files, two, who, up, out, pack):
    source = pack(tree(tmp_path / "photos", *files))
    assert complaint(read, source, 4, 4) == (
        f"{source}: photos lie in {two}, and nothing tells whether {who} is a person; "
        f"put photos there as NAME/PHOTO.jpg: those in {up}, or the folder {out}"
    )


@pytest.mark.parametrize("pack", [lambda root: root, packed])
def test_sets_of_many_people_lie_side_by_side(tmp_path, pack):
    people = [f"{of}/n_{of}{n}/1.png" for of in ("lfw", "casia") for n in range(10)]
    found = photos_of(pack(tree(tmp_path / "photos", *people)))
    assert len(found) == 20 and found["n_lfw3"] == [3]
    shared = tree(tmp_path / "shared", *people, "lfw/n_casia1/1.png")
    assert "nothing tells whether" in complaint(read, pack(shared), 4, 4)
    few = tree(tmp_path / "few", *people[:-1])
    assert "nothing tells whether" in complaint(read, pack(few), 4, 4)
    albums = [f"{who}/{who}_{n}/1.png" for who in ("Al", "Bea") for n in range(10)]
    named = tree(tmp_path / "named", *albums)
    assert "nothing tells whether" in complaint(read, pack(named), 4, 4)
    videos = [f"id{who}/v{who}.{n}/1.png" for who in range(5) for n in range(10)]
    many = tree(tmp_path / "many", *videos)
    assert "nothing tells whether" in complaint(read, pack(many), 4, 4)
    direct = tree(tmp_path / "direct", *people, "lfw/sheet.png")
    assert "nothing tells whether" in complaint(read, pack(direct), 4, 4)


@pytest.mark.parametrize("pack", [lambda root: root, packed])
def test_what_lies_beside_splits_is_named(tmp_path, pack):
    root = tree(tmp_path / "all", "train/Al/1.png", "test/Bea/1.png", "docs/fig.png")
    source = pack(root)
    assert complaint(read, source, 4, 4) == (
        f"{source}: photos lie in docs, beside test and train, and nothing tells whose "
        "they are; move them into one of those, or away"
    )


def test_a_person_whom_a_link_repeats_is_one(tmp_path):
    root = tree(tmp_path / "photos", "Al/1.png", "Bea/1.png")
    (root / "Chief").symlink_to(root / "Al")
    assert photos_of(root) == {"Al": [0], "Bea": [1]}
    (root / "latest").symlink_to(root)
    assert photos_of(root) == {"Al": [0], "Bea": [1]}


def test_links_to_folders_of_people_are_followed_but_not_in_circles(tmp_path):
    tree(tmp_path, "far/Al/1.png", "far/Al/2.png", "near/Bea/1.png")
    (tmp_path / "near/Al").symlink_to(tmp_path / "far/Al")
    (tmp_path / "near/Bea/again").symlink_to(tmp_path / "near")
    assert photos_of(tmp_path / "near") == {"Al": [0, 1], "Bea": [2]}


def test_a_folder_of_photos_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    root = tree(tmp_path, "Al/1.png", "Bea/1.png")
    scandir = os.scandir

    def refuse(place):
        if Path(place) == root / "Bea":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    message = complaint(read, root, 4, 4)
    assert message.startswith(f"{root}/Bea: cannot be read (Permission denied);")


def test_a_name_composed_and_decomposed_is_one_person(tmp_path):
    root = tree(tmp_path, "Pe\u0301rez/1.png", "P\u00e9rez/2.png", "Al/1.png")
    assert photos_of(root) == {"Al": [2], "P\u00e9rez": [0, 1]}


def many(tmp_path, people):
    """Every second person has one photo, the others have three."""
    for person in range(people):
        for number in range(1 + 2 * (person % 2)):
            photo(tmp_path / f"p{person:02}" / f"{number}.png", (person, 0, 0), (4, 4))
    return read(tmp_path, 4, 4)


def test_people_are_on_one_side_only(tmp_path):
    identities = many(tmp_path, 40)
    sides = deal(identities, 0, held_out=5, validation=4, min_photos=1)
    everyone = np.concatenate([sides.train, sides.validation, sides.held_out])
    assert sorted(everyone.tolist()) == list(range(40))
    assert (len(sides.validation), len(sides.held_out)) == (4, 5)
    # Who is verified has pairs, and so more than one photo.
    assert (np.concatenate([sides.validation, sides.held_out]) % 2 == 1).all()
    fewer = deal(identities, 0, held_out=5, validation=4, min_photos=2)
    assert (fewer.train % 2 == 1).all() and len(fewer.train) == 20 - 9
    other = deal(identities, 1, held_out=5, validation=4, min_photos=1)
    assert set(other.held_out) != set(sides.held_out)


def test_too_few_people_are_refused(tmp_path):
    with pytest.raises(InputError, match="20 people have two photos .* hold out fewer"):
        deal(many(tmp_path, 40), 0, held_out=15, validation=10, min_photos=2)


PEOPLE = np.repeat(np.arange(60), 4)


def test_pairs_are_balanced_once_each_and_of_one_fold():
    pairs = draw_pairs(PEOPLE, 200, seed=0)
    assert pairs.same.sum() == (~pairs.same).sum() == 200
    np.testing.assert_array_equal(
        PEOPLE[pairs.first] == PEOPLE[pairs.second], pairs.same
    )
    seen = {frozenset(pair) for pair in zip(pairs.first, pairs.second, strict=True)}
    assert len(seen) == 400 and all(len(pair) == 2 for pair in seen)
    folds = [
        set(PEOPLE[pairs.first[pairs.fold == f]])
        | set(PEOPLE[pairs.second[pairs.fold == f]])
        for f in range(FOLDS)
    ]
    assert sum(map(len, folds)) == len(set.union(*folds))  # people of one fold only


def test_pairs_of_too_few_people_are_refused():
    with pytest.raises(InputError, match="9 people are too few"):
        draw_pairs(np.repeat(np.arange(9), 2), 100, seed=0)


def test_features_that_tell_people_apart_verify_perfectly():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 32))[PEOPLE] + 0.05 * rng.normal(size=(240, 32))
    found = verify(features, draw_pairs(PEOPLE, 300, seed=0))
    assert found.accuracy == 1.0 and found.auc == 1.0 and found.standard_error == 0.0


def test_features_of_noise_verify_nothing():
    features = np.random.default_rng(0).normal(size=(240, 32))
    found = verify(features, draw_pairs(PEOPLE, 300, seed=0))
    assert abs(found.accuracy - 0.5) < 0.08 and abs(found.auc - 0.5) < 0.08


@pytest.mark.parametrize("levels", [3, 1000])
def test_no_threshold_is_better(levels):
    """Nor where scores are equal, and where it is best to take all or none."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        scores = rng.integers(0, levels, 12) / 10
        same = rng.random(12) < rng.random()
        cuts = [-np.inf, *np.unique(scores), np.inf]
        best = max(((scores >= cut) == same).sum() for cut in cuts)
        found = _best_threshold(scores, same)
        assert ((scores >= found) == same).sum() == best


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 8))[PEOPLE] + 1.5 * rng.normal(size=(240, 8))
    pairs = draw_pairs(PEOPLE, 60, seed=0)
    found = verify(features, pairs)
    a, b = features[pairs.first], features[pairs.second]
    norms = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    cosine = (a * b).sum(1) / norms
    wins = [x > y for x in cosine[pairs.same] for y in cosine[~pairs.same]]
    assert found.auc == pytest.approx(np.mean(wins))
    accuracies = []
    for fold in range(FOLDS):
        here = pairs.fold == fold
        best = max(
            cosine[~here],
            key=lambda t: ((cosine[~here] >= t) == pairs.same[~here]).mean(),
        )
        accuracies.append(((cosine[here] >= best) == pairs.same[here]).mean())
    assert found.accuracy == pytest.approx(np.mean(accuracies), abs=0.02)
