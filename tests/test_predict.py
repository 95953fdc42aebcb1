"""Image files through the network of a run, and what a run exports."""

import csv
import json
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import small_run
from PIL import Image
from safetensors.numpy import load_file

import surrojax
from surrojax import export, predict
from surrojax.data import EXPRESSIONS, align, faces
from surrojax.data.pictures import find
from surrojax.errors import InputError
from surrojax.experiment import restore
from surrojax.run import prediction

PROBABILITIES = [f"probability_{name}" for name in EXPRESSIONS]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield small_run.make(monkeypatch, tmp_path_factory.mktemp("predict"))


def rows_of(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def test_predictions_are_those_of_the_run(root, tmp_path, capsys):
    """Files of 48 x 48 in colour, read to 12 x 12 grey, over four crops."""
    out = tmp_path / "found.csv"
    images = root / "images"
    assert predict.main([str(root / "run"), str(images), f"--out={out}"]) == 0
    found = {row["file"]: row for row in rows_of(out)}
    said = capsys.readouterr().out
    begin = f"{out}: 70 images: "
    assert said.startswith(begin) and said.count("\n") == 1
    counts = dict(part.split() for part in said.removeprefix(begin).split(","))
    labels = [row["prediction"] for row in found.values()]
    assert counts == {name: str(labels.count(name)) for name in set(labels)}
    most = [int(count) for count in counts.values()]
    assert most == sorted(most, reverse=True)
    assert list(next(iter(found.values()))) == ["file", "prediction", *PROBABILITIES]
    assert len(found) == 70
    reported = rows_of(root / "run/predictions.csv")
    assert len(reported) == 14  # a fold to validate, a fold to test
    tested = [row for row in reported if row["split"] == "test"]
    for row in tested:
        here = found[str(images / row["sample"])]
        assert here["prediction"] == row["prediction"]
        for name in PROBABILITIES:
            assert float(here[name]) == pytest.approx(float(row[name]), abs=1.1e-4)
    assert len({row["probability_happy"] for row in tested}) > 3


def test_images_as_the_run_was_given_them(root, tmp_path):
    """Written as PNG files of the network's size, they are what they were."""
    dataset = surrojax.load(root / "run")
    side = small_run.SIDE
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, side, side, 1), dtype=np.uint8)
    # Crops are cut from a larger image than the network takes: 12 / 0.9.
    pixels = pixels.repeat(2, axis=1).repeat(2, axis=2)[:, :13, :13]
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    table = dataset.predict_folder(tmp_path)
    expected = dataset.predict(pixels)
    np.testing.assert_allclose(table[PROBABILITIES], expected, rtol=1e-5, atol=1e-7)
    assert list(table["prediction"]) == [EXPRESSIONS[k] for k in expected.argmax(1)]


def test_batches_change_nothing(root, monkeypatch):
    result = surrojax.load(root / "run")
    whole = result.predict_folder(root / "images/happy")
    monkeypatch.setattr(prediction, "BATCH", 3)
    parts = result.predict_folder(root / "images/happy")
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-5)


def test_places_are_files_and_folders_in_natural_order(tmp_path):
    for name in ("b/2.png", "b/10.png", "a.jpg", "b/notes.txt", "b/.hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = ["a.jpg", "b/2.png", "b/10.png"]
    assert find([tmp_path]) == [tmp_path / name for name in names]
    single = [tmp_path / "b/10.png", tmp_path / "b", tmp_path / "b/2.png"]
    assert find(single) == [tmp_path / name for name in names[1:]]


def test_what_a_folder_has_besides_images_is_told(tmp_path, caplog):
    for name in ("a.gif", "b/b.gif", "b/list.csv", "README", "LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    others = "3 without an ending, 2 .gif, 2 .csv"
    with pytest.raises(InputError, match=rf"no images \({others}\); name a folder"):
        find([tmp_path])
    assert find([tmp_path / "a.gif"]) == [tmp_path / "a.gif"]
    assert not caplog.messages
    (tmp_path / "c.png").write_bytes(b"")
    assert find([tmp_path]) == [tmp_path / "c.png"]
    assert f"named as images are: {others}; an image of" in caplog.messages[0]


def test_a_table_goes_into_a_pipe(root, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        image = root / "images/happy/p00_happy.png"
        assert predict.main([str(root / "run"), str(image), f"--out={pipe}"]) == 0
        header, line = read.result(timeout=30).splitlines()
    assert header.startswith("file,prediction,") and "p00_happy.png" in line
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]
    said = capsys.readouterr()
    assert not said.out and said.err.startswith(f"{pipe}: 1 image: ")


def test_drawn_faces_in_colour_and_a_table_beside(root, tmp_path):
    for name in ("happy", "sad"):
        face = faces.draw(faces.action_units(name), image_size=40, channels=3)
        Image.fromarray(face).save(tmp_path / f"{name}.png")
    out = tmp_path / "table.csv"
    table = surrojax.load(root / "run").predict_folder(tmp_path, out)
    written = pd.read_csv(out)
    assert list(written["file"]) == [
        str(tmp_path / f) for f in ("happy.png", "sad.png")
    ]
    assert list(written["prediction"]) == list(table["prediction"])
    np.testing.assert_allclose(written[PROBABILITIES].sum(axis=1), 1, atol=5e-4)


def test_the_best_round_s_network_is_another(root):
    result = surrojax.load(root / "run")
    image = root / "images/sad/p00_sad.png"
    best = result.predict_folder(image, best=True)
    pixels = np.asarray(Image.open(image).convert("L").resize((13, 13), 2))
    expected = result.best.probabilities(pixels[None])[0]
    np.testing.assert_allclose(
        best[PROBABILITIES].iloc[0].astype(float), expected, 1e-4
    )


def test_a_face_that_is_not_found_has_no_prediction(
    root, tmp_path, monkeypatch, caplog
):
    class Blind:
        def landmarks(self, image):
            return None if image.mean() > 200 else align.template(len(image))

    monkeypatch.setattr(align, "Detector", Blind)
    for name, level in (("bright", 250), ("dark", 20)):
        Image.new("RGB", (30, 30), (level,) * 3).save(tmp_path / f"{name}.png")
    out = tmp_path / "found.csv"
    arguments = [str(root / "run"), str(tmp_path), f"--out={out}"]
    with caplog.at_level(logging.WARNING, "surrojax"):
        assert predict.main([*arguments, "--align"]) == 0
    assert caplog.messages == [
        f"{tmp_path}/bright.png: no face found; it has no prediction"
    ]
    bright, dark = rows_of(out)
    assert bright["prediction"] == "" and {bright[n] for n in PROBABILITIES} == {""}
    assert dark["prediction"] in EXPRESSIONS
    table = surrojax.load(root / "run").predict_folder(tmp_path, align=True)
    assert table["prediction"].isna().tolist() == [True, False]
    assert predict.main([*arguments, "--no-align"]) == 0
    assert all(row["prediction"] for row in rows_of(out))


def test_without_any_face_the_command_fails(root, tmp_path, monkeypatch, capsys):
    class Blind:
        def landmarks(self, image):
            return None

    monkeypatch.setattr(align, "Detector", Blind)
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    out = tmp_path / "found.csv"
    arguments = [str(root / "run"), str(tmp_path), f"--out={out}", "--align"]
    assert predict.main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"surrojax.predict: {out}: 0 images; no face found in 1; 1 could not be read"
    )


def test_a_file_that_cannot_be_read_stops_no_other(root, tmp_path, capsys, caplog):
    image = root / "images/happy/p00_happy.png"
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(image.read_bytes())
    (tmp_path / "b.png").write_bytes(image.read_bytes()[:60])
    out = tmp_path / "found.csv"
    arguments = [str(root / "run"), str(tmp_path), f"--out={out}"]
    with caplog.at_level(logging.WARNING, "surrojax"):
        assert predict.main(arguments) == 0
    [line] = caplog.messages
    assert line.startswith(f"{tmp_path}/b.png: cannot be read as an image (")
    assert line.endswith("); it has no prediction")
    a, b, c = rows_of(out)
    assert a["prediction"] == c["prediction"] in EXPRESSIONS
    assert b["file"] == f"{tmp_path}/b.png"
    assert {b[name] for name in ("prediction", *PROBABILITIES)} == {""}
    told = f"{out}: 2 images: {a['prediction']} 2; 1 could not be read"
    assert capsys.readouterr().out == f"{told}\n"
    assert predict.main(arguments) == 0
    assert capsys.readouterr().out == f"{told}; it replaced an earlier file\n"
    table = surrojax.load(root / "run").predict_folder(tmp_path)
    assert table.attrs["unreadable"] == [f"{tmp_path}/b.png"]
    assert table["prediction"].isna().tolist() == [False, True, False]


def test_a_mistake_is_one_line_and_writes_nothing(root, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    image = root / "images/happy/p00_happy.png"
    (tmp_path / "damaged/a.png").write_bytes(b"no image")
    (tmp_path / "damaged/b.png").write_bytes(image.read_bytes()[:60])
    own = str(root / "run/predictions.csv")
    for run, images, out, message in (
        ("run", tmp_path / "damaged", "x.csv", "none of the 2 files can be read; name"),
        ("run", tmp_path / "damaged/b.png", "x.csv", "); name an image"),
        ("run", tmp_path / "empty", "x.csv", "empty: has no images"),
        ("run", tmp_path / "none", "x.csv", "none: there is no such file or folder"),
        ("run", image, own, f"is a file of the run in {root / 'run'}; name another"),
        ("run", image, root / "run/config.json", "is a file of the run in"),
        ("run", image, root / "run/checkpoints/1/x.csv", "is a file of the run in"),
        ("run", image, "x.png", "x.png: is named as an image is; name a file such as"),
        ("images", image, "x.csv", "images: is no folder of a run"),
        ("run", image, "absent/x.csv", "absent/x.csv: its folder is not there; make"),
        ("run", "~nobody-here/a", "x.csv", "~nobody-here is nobody's home on"),
    ):
        before = (root / "run/predictions.csv").read_bytes()
        target = tmp_path / out
        code = predict.main([str(root / run), str(images), f"--out={target}"])
        assert code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("surrojax.predict: ") and message in line
        assert not (tmp_path / "x.csv").exists()
        assert (root / "run/predictions.csv").read_bytes() == before


def test_a_run_loads_with_its_network(root):
    result = surrojax.load(str(root / "run"))
    _, state = restore(root / "run")
    for mine, kept in zip(
        result.variables["params"]["head"].values(),
        state.fusion.original.params["head"].values(),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, kept)
    outcome = json.loads((root / "run/result.json").read_text())
    assert result.test_accuracy == outcome["test_accuracy"]
    assert result.setting == outcome["hyper"] and result.classes == EXPRESSIONS
    assert result.best_round["round"] == outcome["best_round"]["round"]
    assert result.plot_fidelity().axes and result.plot_confusion_matrix().axes


def test_what_is_no_run_does_not_load(tmp_path):
    with pytest.raises(InputError, match="is no folder of a run"):
        surrojax.load(tmp_path)
    (tmp_path / "config.json").write_text('{"task": "pretrain"}')
    with pytest.raises(InputError, match=r"holds no run of launch.py or surrojax.tune"):
        surrojax.load(tmp_path)
    (tmp_path / "config.json").write_text('{"config": {"task": "pretrain"}}')
    with pytest.raises(InputError, match="holds a pre-training.*--config.init_from"):
        surrojax.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("config.json", "config", None, "a: holds no run of launch.py or"),
        ("config.json", "classes", [], "a/config.json: classes or allowed are not"),
        ("config.json", "classes", None, "a/config.json: classes or allowed are not"),
        ("config.json", "classes", 3, "a/config.json: classes: 3 are not those of"),
        ("config.json", "classes", "joy", "a/config.json: classes: 'joy' are not"),
        ("config.json", "allowed", 3, "a/config.json: classes or allowed are not"),
        ("config.json", "config.tune", 3, "a/config.json: is no run's config.json"),
        ("config.json", "config.eta", {}, "a/config.json: is no run's config.json"),
        ("config.json", "config.fixed.p_z", [0, 0], "a/config.json: is no run's"),
        ("metrics.jsonl", None, 3, "a/metrics.jsonl, line 1: not the record of"),
        ("result.json", None, 3, "a/result.json: is no run's result.json"),
        ("result.json", None, {}, "a/result.json: is no run's result.json"),
        ("result.json", "test_accuracy", "x", "a/result.json: is no run's result.json"),
    ],
)
def test_a_file_of_another_shape_is_named(root, tmp_path, name, field, value, message):
    folder = shutil.copytree(root / "run", tmp_path / "a")
    saved = value
    if field is not None:
        saved = place = json.loads((folder / name).read_text())
        *way, last = field.split(".")
        for key in way:
            place = place[key]
        place[last] = value
    (folder / name).write_text(json.dumps(saved) + "\n")
    with pytest.raises(InputError, match=message):
        _ = surrojax.load(folder).variables


def test_images_must_be_whole_pixels(root):
    result = surrojax.load(root / "run")
    grey = np.full((2, 13, 13), 90, np.uint8)
    np.testing.assert_allclose(result.predict(grey), result.predict(grey[..., None]))
    with pytest.raises(InputError, match=r"predict: images of shape \(2, 13, 13, 1\)"):
        result.predict(grey[..., None] / 255)
    with pytest.raises(InputError, match=r"\(2, 13, 13, 3\).*height, width, 1\] of"):
        result.predict(np.repeat(grey[..., None], 3, axis=-1))
    with pytest.raises(InputError, match="predict: no images"):
        result.predict(grey[:0])


def test_schedule_and_weights_in_one_line(root, tmp_path, capsys):
    run = root / "run"
    names = ("s.csv", "s.json", "w.safetensors", "w.npz")
    outs = [str(tmp_path / name) for name in names]
    assert export.main([str(run), *outs]) == 0
    assert capsys.readouterr().out.split() == outs
    assert (tmp_path / "s.csv").read_bytes() == (run / "schedule.csv").read_bytes()
    schedule = surrojax.read_schedule(tmp_path / "s.json")
    assert schedule.rows() == surrojax.load(run).schedule.rows()
    expected = load_file(run / "weights.safetensors")
    assert set(expected) >= {"Dense_0.kernel", "head.V", "head.bias_W"}
    for found in (load_file(tmp_path / "w.safetensors"), np.load(tmp_path / "w.npz")):
        assert set(found) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    assert export.main([str(run), outs[3], "--best"]) == 0
    best = surrojax.load(run).best.variables["params"]["head"]["V"]
    np.testing.assert_array_equal(np.load(tmp_path / "w.npz")["head.V"], best)


def test_a_schedule_is_exported_for_a_training_of_another_length(
    root, tmp_path, capsys
):
    run, out = root / "run", tmp_path / "longer.json"
    rows = surrojax.load(run).schedule.rows()
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert export.main([str(run), str(out), "--steps=20"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert "is for max_iterations=18 and iterations_per_round=6 now" in last
    longer = surrojax.read_schedule(out).rows()
    assert longer == [row | {"step": 2 * row["step"]} for row in rows]
    for outs, message in (
        ([str(tmp_path / "s.csv"), "--steps=2"], "schedule: 2 are no steps to"),
        ([str(tmp_path / "w.npz"), "--steps=20"], "steps: 20 are given for a schedule"),
    ):
        assert export.main([str(run), *outs]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"surrojax.export: {message}")
    assert list(tmp_path.iterdir()) == [out]


def test_an_export_that_cannot_be_made_writes_nothing(root, tmp_path, capsys):
    for run, wrong, message in (
        ("run", "w.onnx", "w.onnx: give it one of the endings .csv, .json"),
        ("images", "w.npz", "images: is no folder of a run"),
        ("run", root / "run/config.json", "config.json: is a file of the run in"),
        ("run", root / "run/weights.safetensors", "is a file of the run in"),
    ):
        outs = [str(tmp_path / "s.csv"), str(tmp_path / wrong)]
        assert export.main([str(root / run), *outs]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("surrojax.export: ") and message in line
        assert not list(tmp_path.iterdir())


def test_a_run_of_arrays_has_no_way_to_read_images(tmp_path):
    trained = surrojax.run.result.Trained({"params": {}}, lambda inputs: inputs)
    record = {"round": 1, "hyper": {"p_z": 0.1}, "original": {}}
    result = surrojax.Result([record], lambda: trained, ("a", "b"))
    with pytest.raises(InputError, match="read them yourself and call predict"):
        result.predict_folder(tmp_path)
    with pytest.raises(InputError, match="give it a workdir"):
        result.report()
    with pytest.raises(InputError, match="no surrogate was fitted"):
        result.plot_fidelity()
