"""MMI: sessions and their XML in all spellings, a user's own table, every fault."""

import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import readers
from readers import left_out
from test_video import write_video

from surrojax.data import mmi
from surrojax.data.listing import Frame

METATAG = '<?xml version="1.0"?>\n<m><Metatag Name="{}" Value="{}"/></m>'


@pytest.fixture
def counted(monkeypatch):
    """Videos that are not decoded: as many frames as bytes."""
    monkeypatch.setattr(mmi, "count_frames", lambda file: file.stat().st_size)


def emotion(value: str) -> str:
    return METATAG.format("Emotion", value)


def session(
    root: Path, number: int, video: str | None, frames: int = 9, **xml: str | bytes
) -> Path:
    """A session's folder, its video of `frames` bytes, and XML files by stem."""
    folder = root / "Sessions" / str(number)
    folder.mkdir(parents=True)
    if video:
        (folder / video).write_bytes(b"x" * frames)
    for stem, text in xml.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{stem}.xml").write_bytes(content)
    return folder


complaint = partial(readers.complaint, mmi.scan)


def sequences(listing) -> dict[str, tuple[str, str]]:
    return {f.sequence: (f.label, f.subject) for f in listing.frames}


def test_the_middle_frames_of_real_videos_are_listed(tmp_path):
    first = session(tmp_path, 10, None, info=emotion("4"), session="<session/>")
    write_video(first / "S001-002.avi", 8)
    second = session(tmp_path, 9, None, info=emotion("Surprise"))
    write_video(second / "S003-001.AVI", 2)
    damaged = session(tmp_path, 11, "S004-001.avi", info=emotion("1"))
    listing = mmi.scan(tmp_path)
    assert listing.frames == (
        *(
            Frame("Sessions/9/S003-001.AVI", "surprise", "S003-001", "S003", "", n)
            for n in (0, 1)
        ),
        *(
            Frame("Sessions/10/S001-002.avi", "happy", "S001-002", "S001", "", n)
            for n in (3, 4, 5)
        ),
    )
    assert left_out(listing) == {
        (f"Sessions/{damaged.name}/S004-001.avi", "video does not decode")
    }
    assert listing.classes == ("happy", "surprise")
    assert listing.root == tmp_path and listing.name == "mmi"
    assert listing.notes[0] == "1 sequences have fewer than 3 frames"
    assert listing.notes[1].startswith("2 sequences show one of the six expressions")


@pytest.mark.parametrize(
    "xml",
    [
        '<m><Metatag Name="Emotion" Value="3"/></m>',
        '<m><Metatag Value="Fear" Name="emotion"/></m>',
        '<m><MetaTag NAME="Displayed Emotion">fear</MetaTag></m>',
        '<m xmlns="http://mmi"><Metatag Name="Emotion" Value="3"/></m>',
        '<a:m xmlns:a="http://mmi"><a:emotion a:value=" 3 "/></a:m>',
        "<m><Emotion>\n  Fearful\n</Emotion></m>",
        '<m><emotions><emotion id="17" name="fear"/></emotions></m>',
        '<session emotion="3"/>',
        '<session emotion_label="fear"><track view="2"/></session>',
        "\ufeff<m><emotion>afraid</emotion></m>",
        # What says how strong it is, or who has seen it, is none.
        "<m><emotion>fear</emotion><emotionIntensity>4</emotionIntensity></m>",
        "<m><emotion>fear</emotion><EmotionCoder>1</EmotionCoder></m>",
        '<?xml version="1.0" encoding="utf-16"?><m><emotion>3</emotion></m>'.encode(
            "utf-16"
        ),
    ],
)
def test_emotions_are_understood_in_all_spellings(tmp_path, counted, xml):
    session(tmp_path, 1, "S001-001.avi", session=xml)
    session(tmp_path, 2, "S002-001.avi", session=emotion("6"))
    assert sequences(mmi.scan(tmp_path))["S001-001"] == ("fear", "S001")


@pytest.mark.parametrize("other", ["bored", "8", "neutral", "disgust"])
def test_a_session_of_two_emotions_is_left_out(tmp_path, counted, other):
    session(tmp_path, 1, "S001-001.avi", a=emotion("1"), b=emotion(other))
    session(tmp_path, 2, "S002-001.avi", a=emotion("6"))
    session(tmp_path, 3, "S003-001.avi", a=emotion("5"))
    listing = mmi.scan(tmp_path)
    assert list(sequences(listing)) == ["S002-001", "S003-001"]
    assert left_out(listing) == {("Sessions/1/S001-001.avi", "labels disagree")}


def test_codes_are_in_the_order_of_the_database(tmp_path, counted):
    for code in range(10):
        session(tmp_path, code, f"S001-{code:03}.avi", a=emotion(str(code)))
    listing = mmi.scan(tmp_path)
    by_code = ["angry", "disgust", "fear", "happy", "sad", "surprise"]
    assert [label for label, _ in sequences(listing).values()] == by_code
    assert left_out(listing) == {
        (f"Sessions/{code}/S001-{code:03}.avi", "other emotion")
        for code in (0, 7, 8, 9)
    }


@pytest.mark.parametrize(
    ("video", "xml", "subject"),
    [
        ("s7-12.avi", '<subject id="3"/>', "S007"),
        ("clip.avi", '<subject id="3"/>', "S003"),
        ("clip.avi", "<Subject>S12</Subject>", "S012"),
        ("clip.avi", '<x subject_id="ann"/>', "ann"),
        ("clip.avi", METATAG.format("SubjectId", "4").split("\n")[1], "S004"),
    ],
)
def test_subjects_are_of_the_video_name_or_else_of_the_xml(
    tmp_path, counted, video, xml, subject
):
    session(tmp_path, 1, video, a=emotion("1"), session=f"<s>{xml}</s>")
    session(tmp_path, 2, "S099-001.avi", a=emotion("2"))
    assert ("angry", subject) in sequences(mmi.scan(tmp_path)).values()


def test_what_is_left_out_is_listed_with_its_reason(tmp_path, counted):
    session(tmp_path, 1, "S001-001.MP4", a=emotion("1"), b=emotion("Anger"))
    session(tmp_path, 2, "S001-002.mov", a=emotion("2"))
    session(tmp_path, 3, None, a=emotion("2"))
    session(tmp_path, 4, "S001-004.avi", session="<session/>")
    session(tmp_path, 5, "S001-005.avi", a=emotion("2"), b=emotion("3"))
    session(tmp_path, 6, "S001-006.avi", a=emotion("bored"))
    session(tmp_path, 7, "clip.avi", a=emotion("1"))
    session(tmp_path, 8, "S001-001.avi", a=emotion("1"))
    session(tmp_path, 9, "S001-009.avi", frames=0, a=emotion("1"))
    two = session(tmp_path, 10, "S001-010.avi", a=emotion("1"))
    (two / "S001-010.mpg").write_bytes(b"x")
    session(tmp_path, 12, "S001-012.avi")
    # The XML of action units is not asked, even if it is damaged.
    session(tmp_path, 13, "S001-013.avi", **{"S001-013-oao_aucs": emotion("1")[:20]})
    listing = mmi.scan(tmp_path)
    assert sequences(listing) == {
        "S001-001": ("angry", "S001"),
        "S001-002": ("disgust", "S001"),
    }
    assert left_out(listing) == {
        ("Sessions/3", "no video"),
        ("Sessions/4/S001-004.avi", "no emotion label"),
        ("Sessions/5/S001-005.avi", "labels disagree"),
        ("Sessions/6/S001-006.avi", "other emotion"),
        ("Sessions/7/clip.avi", "no subject"),
        ("Sessions/8/S001-001.avi", "same session twice"),
        ("Sessions/9/S001-009.avi", "video does not decode"),
        ("Sessions/10", "several videos"),
        ("Sessions/12/S001-012.avi", "no emotion label"),
        ("Sessions/13/S001-013.avi", "no emotion label"),
    }


def test_several_downloads_are_read_as_one_in_any_order(tmp_path, counted):
    names = [(f"S{s:03}-{n:03}.avi", s + n) for s in (1, 2, 11) for n in (1, 2, 3)]
    listings = []
    for copy, seed in (("a", 0), ("b", 1)):
        random.Random(seed).shuffle(names)
        for video, code in names:
            number = int(video[1:4]) * 100 + int(video[5:8])
            download = f"mmi-facial-expression-database_download_{number % 2}"
            value = str(code % 6 + 1)
            session(tmp_path / copy / download, number, video, a=emotion(value))
        (tmp_path / copy / ".DS_Store").write_bytes(b"x")
        listings.append(mmi.scan(tmp_path / copy))
    assert listings[0].frames == listings[1].frames
    assert Counter(f.subject for f in listings[0].frames) == {
        "S001": 9,
        "S002": 9,
        "S011": 9,
    }
    # Nine bytes, so nine frames.
    assert {f.number for f in listings[0].frames} == {3, 4, 5}


@pytest.mark.parametrize("above", ["", "MMI", "Sessions"])
def test_the_database_is_found_from_around_it_and_inside_it(tmp_path, counted, above):
    root = tmp_path / "mmi" if above == "MMI" else tmp_path
    for code in (1, 2):
        session(root, code, f"S001-00{code}.avi", a=emotion(str(code)))
    folder = tmp_path / "Sessions" if above == "Sessions" else tmp_path
    listing = mmi.scan(folder)
    assert len(listing.frames) == 6
    assert all((listing.root / frame.file).is_file() for frame in listing.frames)


def test_205_sequences_need_no_note(tmp_path, counted):
    for number in range(mmi.OFFICIAL):
        code = emotion(str(number % 6 + 1))
        session(tmp_path, number, f"S{number % 30:03}-{number:03}.avi", a=code)
    assert mmi.scan(tmp_path).notes == ()


@pytest.mark.parametrize(
    "content",
    [b"", emotion("1")[:-3].encode(), b"\xff\xfe\x00", b'<?xml encoding="no"?><a/>'],
)
def test_damaged_xml_is_named(tmp_path, counted, content):
    folder = session(tmp_path, 1, "S001-001.avi", session=content)
    message = complaint(tmp_path)
    assert message.startswith(f"{folder / 'session.xml'}: is no whole XML file")
    assert message.endswith("get the session again")


def test_xml_in_an_unknown_encoding_is_named(tmp_path, counted):
    content = b'<?xml version="1.0" encoding="no-such"?><a/>'
    session(tmp_path, 1, "S001-001.avi", session=content)
    assert "session.xml: is no whole XML file" in complaint(tmp_path)


def test_nothing_there_says_whom_to_ask(tmp_path):
    message = complaint(tmp_path)
    assert str(tmp_path) in message and "mmifacedb.eu" in message
    assert "licence" in message and "frames.csv" in message


def test_sessions_without_any_label_say_so(tmp_path, counted):
    session(tmp_path, 1, "S001-001.avi", session="<session/>")
    message = complaint(tmp_path)
    assert "1 left out: no emotion label" in message and "frames.csv" in message


def table(root: Path, *lines: str, header: str = "") -> Path:
    for name in ("v/a.avi", "v/b.mp4", "i/1.PNG", "i/2.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    file = root / "frames.csv"
    header = header or "video,image,frame,label,subject,sequence"
    file.write_text("\n".join([header, *lines]))
    return file


def test_a_table_of_frames_is_taken_as_it_stands(tmp_path):
    table(
        tmp_path,
        "v/b.mp4,,10,Happiness,ann,",
        "v\\a.avi,,3,neutral,ann,first",
        "v/a.avi,, 2.0 ,neutral,ann,first",
        '"v/b.mp4",,9,happy,ann,',
        "",
        ",i/1.PNG,,sad,S2,",
        ",i/2.png,,contempt,S2,",
    )
    # Sessions beside it are not asked.
    session(tmp_path, 1, "S001-001.avi", a=emotion("1"))
    listing = mmi.scan(tmp_path)
    assert listing.frames == (
        Frame("v/a.avi", "neutral", "first", "ann", "", 2),
        Frame("v/a.avi", "neutral", "first", "ann", "", 3),
        Frame("i/1.PNG", "sad", "i/1.PNG", "S2"),
        Frame("v/b.mp4", "happy", "v/b.mp4", "ann", "", 9),
        Frame("v/b.mp4", "happy", "v/b.mp4", "ann", "", 10),
    )
    assert left_out(listing) == {("i/2.png", "contempt")}
    assert listing.classes == ("happy", "sad", "neutral")
    assert listing.layout == "frames.csv"
    assert listing.notes == (
        "2 sequences show one of the six expressions, not the 205 of published "
        "results, which do not compare",
    )


def test_columns_may_be_absent_in_any_order_and_case(tmp_path):
    lines = ["S1,happy,i/1.PNG", "S1,sad,i/2.png"]
    table(tmp_path, *lines, header="\ufeffSubject, LABEL ,Image")
    assert [frame.file for frame in mmi.scan(tmp_path).frames] == ["i/1.PNG", "i/2.png"]


def test_names_in_a_table_are_compared_composed(tmp_path):
    one, two = "Jos\u00e9", "Jose\u0301"
    table(
        tmp_path,
        f",{one}/{one}.png,,happy,{one},{one}",
        f",{two}/2.png,,happy,{two},{two}",
        ",i/1.PNG,,sad,S1,",
    )
    readers.draw(tmp_path, f"{two}/{one}.png", f"{two}/2.png", f"{one}/3.png")
    assert mmi.scan(tmp_path).frames == (
        Frame("i/1.PNG", "sad", "i/1.PNG", "S1"),
        Frame(f"{two}/2.png", "happy", one, one),
        Frame(f"{two}/{one}.png", "happy", one, one),
    )


GOOD = "v/a.avi,,1,happy,ann,"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([GOOD, "v/c.avi,,1,happy,ann,"], "line 3, column 'video': no file 'v/c.avi'"),
        (["../x.avi,,1,happy,ann,"], "line 2, column 'video': no file '../x.avi'"),
        ([",v/a.avi,,happy,ann,"], "line 2, column 'image': 'v/a.avi' is no image"),
        ([",,1,happy,ann,"], "line 2, column 'video': one of the columns"),
        (["v/a.avi,i/1.PNG,1,happy,ann,"], "line 2, column 'video': one of the col"),
        (["v/a.avi,,,happy,ann,"], "line 2, column 'frame': '' is not a whole number"),
        (["v/a.avi,,-1,happy,ann,"], "column 'frame': '-1' is not a whole number of 0"),
        (["v/a.avi,,1.5,happy,ann,"], "column 'frame': '1.5' is not a whole number"),
        (["v/a.avi,,1,glad,ann,"], "line 2, column 'label': 'glad' is none of angry"),
        (["v/a.avi,,1,happy,,"], "line 2, column 'subject': is empty"),
        ([GOOD, GOOD], "line 3, column 'frame': v/a.avi is there twice; delete one"),
        (
            [GOOD, "v/a.avi,,2,sad,ann,"],
            "line 3, column 'sequence': 'v/a.avi' has another label or subject",
        ),
        ([GOOD, "v/a.avi,,2"], "line 3: has 3 fields, not 6; the file is damaged"),
        ([GOOD, '"v/a.avi,,2'], "cannot be read (unexpected end of data)"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, lines, fault):
    file = table(tmp_path, *lines)
    message = complaint(tmp_path)
    assert message.startswith(f"{file}: ") and fault in message
    assert ";" in message


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("video,frame,label", "line 1: no column 'subject'"),
        ("video;frame;label;subject", "with commas between them"),
        ("video,frame,label,label,subject", "line 1: two columns 'label'"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, header, fault):
    table(tmp_path, header=header)
    assert fault in complaint(tmp_path)


def test_a_video_needs_the_column_frame(tmp_path):
    table(tmp_path, "v/a.avi,happy,ann", header="video,label,subject")
    message = complaint(tmp_path)
    assert "line 2, column 'frame'" in message and "add the column" in message


def test_a_table_that_is_not_utf8_is_named(tmp_path):
    file = table(tmp_path)
    file.write_bytes(b"video,frame,label,subject\nv/a.avi,1,happy,Ren\xe9\n")
    message = complaint(tmp_path)
    assert "line 2: byte 20" in message and "save the file as UTF-8" in message
