"""Ask and tell: bounds, leaders, trajectories, files, mistakes."""

import json
import math

import jax
import numpy as np
import pytest

from surrojax import InputError, Tuner

BOUNDS = {"weight_decay": (1e-6, 1e-2), "dropout": (0.01, 0.9)}


def score(setting):
    """Highest, 0, at weight_decay = 1e-4 and dropout = 0.3; smooth in the logarithm."""
    decay = math.log10(setting["weight_decay"] / 1e-4) / 2
    dropout = math.log10(setting["dropout"] / 0.3)
    return -(decay**2 + dropout**2)


def go(tuner, rounds):
    for _ in range(rounds):
        tuner.tell([score(setting) for setting in tuner.ask()])
    return tuner


@pytest.mark.parametrize("search", ["pso", "de", "ga"])
def test_all_settings_are_within_bounds(search):
    tuner = Tuner(BOUNDS, search=search, population=5, noise=3.0)
    for _ in range(6):
        asked = tuner.ask()
        assert len(asked) == 5 and asked == tuner.ask()
        for setting in asked:
            assert list(setting) == list(BOUNDS)
            for name, (low, high) in BOUNDS.items():
                assert low <= setting[name] <= high
        tuner.tell([score(setting) for setting in asked])
        assert tuner.ask() != asked
    assert tuner.round == 6


def test_the_first_settings_are_a_latin_hypercube_of_the_whole_box():
    bounds = {"a": (1e-4, 1.0)}
    places = [math.log10(s["a"]) + 4 for s in Tuner(bounds, population=4).ask()]
    assert sorted(int(place) for place in places) == [0, 1, 2, 3]


def test_they_lie_around_the_start():
    start = {"dropout": 0.3, "weight_decay": 1e-4}
    width = {"dropout": 0.1, "weight_decay": 0.5}
    for setting in Tuner(BOUNDS, start=start, width=width).ask():
        for name, middle in start.items():
            away = abs(math.log10(setting[name] / middle))
            assert away <= width[name] + 1e-5


def test_the_best_is_the_highest_score_of_all_rounds():
    tuner = Tuner(BOUNDS)
    first = tuner.ask()
    assert tuner.best == first[0] and tuner.best_score == -math.inf
    tuner.tell([0.1, 0.2, 0.9, 0.3, 0.1, 0.1])
    assert tuner.best == first[2] and tuner.best_score == pytest.approx(0.9)
    tuner.ask()
    tuner.tell([0.5] * 6)
    assert tuner.best == first[2]
    third = tuner.ask()
    tuner.tell([0.0, 0.0, 0.0, 0.0, 0.95, 0.0])
    assert tuner.best == third[4]
    assert [r["round"] for r in tuner.history] == [1, 2, 3]
    assert tuner.history[0]["settings"] == first
    assert tuner.history[2]["best"] == third[4]


def test_before_a_finite_score_the_first_setting_is_best():
    tuner = Tuner(BOUNDS, population=3)
    first = tuner.ask()
    tuner.tell([math.nan] * 3)
    assert tuner.best == first[0] and tuner.best_score == -math.inf
    asked = tuner.ask()
    tuner.tell([math.nan, math.nan, -7.0])
    assert tuner.best == asked[2] and tuner.best_score == -7.0


def test_the_history_as_a_frame():
    tuner = Tuner(BOUNDS, population=2)
    columns = ["round", "weight_decay", "dropout", "score"]
    assert list(tuner.frame.columns) == columns and len(tuner.frame) == 0
    asked = tuner.ask()
    tuner.tell([0.25, math.nan])
    asked += tuner.ask()
    tuner.tell([-1.0, 0.5])
    frame = tuner.frame
    assert list(frame.columns) == columns
    assert frame["round"].tolist() == [1, 1, 2, 2]
    assert frame[list(BOUNDS)].to_dict("records") == asked
    np.testing.assert_array_equal(frame["score"], [0.25, np.nan, -1.0, 0.5])
    assert frame["score"].idxmax() == 3


def test_it_says_how_far_it_is():
    tuner = Tuner({"dropout": (0.1, 0.4)}, search="de", population=4, width=0.0)
    assert repr(tuner) == "Tuner(de, 0 rounds, best score -inf; dropout=0.2)"
    tuner.ask()
    tuner.tell([0.1, 0.1, 0.125, 0.1])
    assert repr(tuner) == "Tuner(de, 1 rounds, best score 0.125; dropout=0.2)"


def test_numbers_of_other_libraries_are_numbers(tmp_path):
    plain = Tuner({"a": (0.5, 2)}, start={"a": 1}, width={"a": 0.25}, noise=0.5)
    other = Tuner(
        {"a": np.array([0.5, 2], np.float32)},
        start={"a": np.float32(1)},
        width={"a": np.float64(0.25)},
        noise=np.float32(0.5),
    )
    assert other.ask() == plain.ask()
    other.save(tmp_path / "tuner.json")
    assert Tuner.load(tmp_path / "tuner.json").ask() == plain.ask()


@pytest.mark.parametrize("failed", [math.nan, -math.inf])
def test_what_failed_never_leads(failed):
    tuner = Tuner(BOUNDS, population=3)
    asked = tuner.ask()
    tuner.tell([failed, -5.0, failed])
    assert tuner.best == asked[1]
    assert tuner.history[0]["scores"] == [None, -5.0, None]
    tuner.ask()
    tuner.tell([failed] * 3)
    assert tuner.best == asked[1] and tuner.best_score == -5.0


def test_a_seed_decides_all():
    a, b = (go(Tuner(BOUNDS, seed=3), 4) for _ in range(2))
    assert a.history == b.history and a.ask() == b.ask()
    other = go(Tuner(BOUNDS, seed=4), 1)
    assert other.history[0]["settings"] != a.history[0]["settings"]


@pytest.mark.parametrize("told", [0, 3])
@pytest.mark.parametrize("search", ["pso", "de", "ga"])
def test_it_goes_on_from_a_file_to_the_last_bit(tmp_path, search, told):
    file = tmp_path / "tuner.json"
    whole = Tuner(BOUNDS, search=search, seed=1, noise=0.1, start={"dropout": 0.5})
    go(whole, told).save(file)
    again = Tuner.load(file)
    assert again.round == told and again.best_score == whole.best_score
    go(whole, 3), go(again, 3)
    assert again.history == whole.history and again.ask() == whole.ask()


def test_pso_gets_nearer_than_random_points():
    """Medians over ten seeds, 120 evaluations each."""
    found, drawn = [], []
    for seed in range(10):
        found.append(go(Tuner(BOUNDS, seed=seed), 20).best_score)
        rng = np.random.default_rng(seed)
        drawn.append(
            max(
                score({n: np.exp(rng.uniform(*np.log(b))) for n, b in BOUNDS.items()})
                for _ in range(120)
            )
        )
    assert np.median(found) > 0.5 * np.median(drawn)
    assert np.median(found) > -1e-3


def test_lead_replaces_the_leader():
    tuner = go(Tuner(BOUNDS), 2)
    tuner.lead({"weight_decay": 1e-3, "dropout": 0.7}, score=-1e-9)
    assert tuner.best == pytest.approx({"weight_decay": 1e-3, "dropout": 0.7})
    assert tuner.best_score == pytest.approx(-1e-9)
    leader = tuner.best
    tuner.ask()
    tuner.tell([-1.0] * 6)
    assert tuner.best == leader
    tuner.lead({"weight_decay": 1e-3, "dropout": 0.7})  # without a score, all beat it
    asked = tuner.ask()
    tuner.tell([-9.0, -9.0, -8.0, -9.0, -9.0, -9.0])
    assert tuner.best == asked[2]


def test_a_leader_that_failed_is_beaten_by_all():
    tuner = go(Tuner(BOUNDS), 1)
    tuner.lead({"weight_decay": 1e-3, "dropout": 0.7}, score=math.nan)
    asked = tuner.ask()
    tuner.tell([-9.0, -9.0, -8.0, -9.0, -9.0, -9.0])
    assert tuner.best == asked[2] and tuner.best_score == -8.0
    with pytest.raises(InputError, match="no later one would beat infinity"):
        tuner.lead({"weight_decay": 1e-3, "dropout": 0.7}, score=math.inf)


def test_numpy_s_integers_are_saved(tmp_path):
    tuner = Tuner(BOUNDS, seed=np.int64(3), population=np.int32(4))
    tuner.save(tmp_path / "tuner.json")
    assert Tuner.load(tmp_path / "tuner.json").ask() == tuner.ask()
    with pytest.raises(InputError, match="seed = 1.5 must be a whole number"):
        Tuner(BOUNDS, seed=1.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bounds": {}}, "bounds: name at least one"),
        (
            {"bounds": {"a": (2.0, 1.0)}},
            r"bounds: a: \(2.0, 1.0\) must be two positive",
        ),
        ({"bounds": {"a": (0.0, 1.0)}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": (1.0,)}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": 1.0}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": (1.0, math.inf)}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": (1.0, 2.0, 3.0)}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": ["x", "y"]}}, r"bounds: a: \['x', 'y'\] .* two positive"),
        ({"bounds": {"a": "12"}}, "bounds: a: '12' must be two positive"),
        ({"bounds": {"a": ("1e-6", "1e-2")}}, "bounds: a: .* two positive"),
        ({"bounds": {"a": (None, 1.0)}}, "bounds: a: .* two positive"),
        ({"bounds": ["a", "b"]}, "bounds: name at least one .*0.9"),
        ({"bounds": {0: (0.1, 1.0)}}, "bounds: 0 is no name"),
        ({"start": {"dropout": "low"}}, "start: dropout = 'low' must be a number"),
        ({"width": "wide"}, "width = 'wide' must be a number"),
        ({"noise": None}, "noise = None must be a number"),
        ({"constants": {"w": "x"}}, "constants: w = 'x' must be a number"),
        ({"start": {"dropout": 0.95}}, "start: dropout = 0.95 is not within bounds"),
        ({"start": {"drop": 0.5}}, "start: drop = 0.5 .* known are weight_decay"),
        ({"width": {"drop": 0.5}}, "width: drop = 0.5 must be of"),
        ({"width": -1.0}, "width: weight_decay = -1.0 must be"),
        ({"noise": math.nan}, "noise: nan must be finite"),
        (
            {"search": "psoo"},
            "search: 'psoo' is unknown .*mean 'pso'.*; choose from pso, de",
        ),
        ({"constants": {"w": math.nan}}, "constants: w = nan must be finite"),
        ({"constants": {"c2": -1}}, "constants.c2: -1.0 is out of range; the least"),
        ({"constants": {"F": 0.1}}, "constants: 'F' is unknown; .* w, c1, c2"),
        ({"constants": 0.6}, "constants: 0.6 must be a dict of numbers by name"),
        ({"start": ["dropout"]}, "start: .'dropout'. must be a dict of numbers"),
        ({"population": 1}, "population: 1 is too few for pso"),
        ({"search": "de", "population": 3}, "population: 3 is too few for de"),
    ],
)
def test_a_mistake_is_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        Tuner(**{"bounds": BOUNDS} | given)
    assert "\n" not in str(caught.value)


def test_scores_are_counted_and_must_not_be_infinite():
    tuner = Tuner(BOUNDS)
    tuner.ask()
    by_number = {number: 0.1 for number in range(6)}
    for given in (by_number, set(by_number), "scores", b"scores", 0.1):
        with pytest.raises(InputError, match="must be a score for each setting"):
            tuner.tell(given)
    with pytest.raises(InputError, match="tell: 2 scores for 6 settings"):
        tuner.tell([0.1, 0.2])
    with pytest.raises(InputError, match="tell: score 5 = 'bad' must be a number"):
        tuner.tell([0.1, 0.1, 0.1, 0.1, 0.1, "bad"])
    with pytest.raises(InputError, match="the score of setting 1 is infinite"):
        tuner.tell([0.1, math.inf, 0.1, 0.1, 0.1, 0.1])
    for large in (1e39, -1e39):
        with pytest.raises(InputError, match="setting 1 is too large for 32 bits"):
            tuner.tell([0.1, large, 0.1, 0.1, 0.1, 0.1])
    assert tuner.round == 0


def test_scores_are_told_once_of_what_was_asked_for(tmp_path):
    """A notebook's cell that is run twice told old scores of new settings."""
    tuner, file = Tuner(BOUNDS), tmp_path / "tuner.json"
    message = "the settings of round {} were not asked for yet; call ask"
    with pytest.raises(InputError, match=message.format(1)):
        tuner.tell([0.1] * 6)
    tuner.ask()
    tuner.save(file)  # between the two
    tuner = Tuner.load(file)
    tuner.tell(np.full(6, 0.1))
    for once in (tuner, reloaded(tuner, file)):
        with pytest.raises(InputError, match=message.format(2)):
            once.tell([0.1] * 6)
    assert tuner.round == 1


def reloaded(tuner, file):
    tuner.save(file)
    return Tuner.load(file)


def test_scores_are_shown_as_they_were_told():
    tuner = Tuner(BOUNDS)
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7]
    tuner.ask()
    tuner.tell(scores)
    assert tuner.history[0]["scores"] == scores and tuner.best_score == 0.7


@pytest.mark.parametrize("search", ["pso", "de", "ga"])
def test_a_search_is_the_same_in_64_bits(tmp_path, search):
    def asked():
        tuner = go(Tuner(BOUNDS, search=search, seed=4, noise=0.1), 3)
        tuner.save(tmp_path / "tuner.json")
        assert Tuner.load(tmp_path / "tuner.json").ask() == tuner.ask()
        return tuner.ask()

    before = asked()
    with jax.enable_x64(True):
        assert asked() == before


def test_a_file_may_be_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    go(Tuner(BOUNDS), 1).save("~/tuner.json")
    assert (tmp_path / "tuner.json").exists()
    assert Tuner.load("~/tuner.json").round == 1


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "tuner.json").mkdir()
    with pytest.raises(InputError, match="tuner.json: is a folder; name a file"):
        go(Tuner(BOUNDS), 1).save(tmp_path / "tuner.json")
    assert [f.name for f in tmp_path.iterdir()] == ["tuner.json"]


def test_bounds_may_be_beyond_32_bits():
    """Their logarithms are not."""
    for low, high in (
        *((1e-300, 1e300), (1e-50, 1e-45), (1e-300, 1e-100), (1e200, 1e300)),
    ):
        values = [s["a"] for s in Tuner({"a": (low, high)}).ask()]
        assert len(set(values)) == 6 and low < min(values) and max(values) < high
    with pytest.raises(InputError, match="bounds: a: .* are the same in 32 bits"):
        Tuner({"a": (2.0, 2.0 + 1e-9)})


def test_a_leader_must_have_all_values():
    with pytest.raises(InputError, match="lead: dropout = None must be a number"):
        Tuner(BOUNDS).lead({"weight_decay": 1e-3})
    with pytest.raises(InputError, match="lead: 'drop' is unknown .did you mean"):
        Tuner(BOUNDS).lead({"weight_decay": 1e-3, "dropout": 0.1, "drop": 0.1})
    with pytest.raises(InputError, match="lead: 'dropout' must be a dict"):
        Tuner(BOUNDS).lead("dropout")
    with pytest.raises(InputError, match="dropout = 0.95 is not within its bounds"):
        Tuner(BOUNDS).lead({"weight_decay": 1e-3, "dropout": 0.95})
    Tuner(BOUNDS).lead({"weight_decay": np.float32(1e-6), "dropout": np.float32(0.9)})
    with pytest.raises(InputError, match="lead: weight_decay = -1"):
        Tuner(BOUNDS).lead({"weight_decay": -1, "dropout": 0.1})
    with pytest.raises(InputError, match="lead: weight_decay = 'much' must be"):
        Tuner(BOUNDS).lead({"weight_decay": "much", "dropout": 0.1})


def test_a_damaged_file_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder; name a file"):
        Tuner(BOUNDS).save(tmp_path)
    file = tmp_path / "tuner.json"
    remedy = r"tuner.json: cannot be read .*; name a file that Tuner.save wrote$"
    with pytest.raises(InputError, match=remedy):
        Tuner.load(file)
    go(Tuner(BOUNDS), 1).save(file)
    whole = json.loads(file.read_text())
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match=remedy):
        Tuner.load(file)
    damaged = (
        [],
        {key: value for key, value in whole.items() if key != "state"},
        whole | {"state": {"leader": [0.0, 0.0]}},
        whole | {"population": whole["population"][:3]},
        whole | {"arguments": whole["arguments"] | {"q": 1}},
        whole | {"population": "words"},
        whole | {"population": [[math.nan] * 2] * 6},
        whole
        | {"history": [{"round": 1, "settings": whole["history"][0]["settings"]}]},
        whole | {"history": [whole["history"][0] | {"scores": [1.0]}]},
        whole | {"history": "words"},
    )
    for content in damaged:
        file.write_text(json.dumps(content))
        with pytest.raises(InputError, match="tuner.json: is no tuner's file"):
            Tuner.load(file)


def test_noise_and_width_are_in_decades():
    wide, still = {"a": (1e-9, 1e9)}, {"w": 0.0, "c1": 0.0, "c2": 0.0}
    tuner = Tuner(wide, population=400, width=0.0, noise=0.5, constants=still)
    tuner.ask()
    tuner.tell([0.0] * 400)
    moved = [math.log10(s["a"]) for s in tuner.ask()]
    assert np.std(moved) == pytest.approx(0.5, rel=0.15)
    drawn = [math.log10(s["a"]) for s in Tuner(wide, population=50, width=2.0).ask()]
    assert 1.9 < max(drawn) <= 2.0 and -2.0 <= min(drawn) < -1.9


def test_without_a_width_the_search_reaches_both_bounds_from_any_start():
    tuner = Tuner({"a": (1e-4, 1.0)}, start={"a": 1e-3}, population=50)
    drawn = [s["a"] for s in tuner.ask()]
    assert min(drawn) == pytest.approx(1e-4) and max(drawn) > 0.7
