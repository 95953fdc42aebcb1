"""The pages: their links, Python, commands, figures and names."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pkgutil import walk_packages

import pytest
import yaml
from conftest import AS_A_USER, as_user, as_user_at_once
from pages import NOT_RUN, PAGES, ROOT, anchors, commands, fences, links, script

import surrojax
from configs import fer2013_lenet, fer2013_lenet_improved
from surrojax import data
from surrojax.fields import flatten

# Pages of which a minute is trained.
TRAIN = ("docs/extending.md", "docs/own_networks.md", "docs/usage.md")
BENCHMARKS = sorted(
    {
        tuple(words[2:])
        for page in PAGES
        for words in commands(page, "python -m benchmarks")
    }
)


def section(page, title):
    """The text under a heading."""
    text = (ROOT / page).read_text()
    return re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)[1]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.is_file(), f"{page}: {target}"
        if anchor:
            name = file.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(name), f"{page}: {target}"


def test_every_page_is_linked_from_readme():
    linked = {target.partition("#")[0] for target in links("README.md")}
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page in TRAIN else ())
        for page in PAGES
        if script(page)
    ],
)
def test_python_runs_as_printed(page, tmp_path, cache):
    """Blocks one after the other, in an empty folder, as one script."""
    (tmp_path / "page.py").write_text(script(page))
    env = {k: v for k, v in AS_A_USER.items() if k != "SURROJAX_DATA"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(ROOT), "SURROJAX_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
    for printed in re.findall(
        r"\nprints\n\n```\n(.*?)```", (ROOT / page).read_text(), re.S
    ):
        assert printed in done.stdout


def test_python_that_is_not_run_says_why():
    told = {
        (page, text.splitlines()[0])
        for page in PAGES
        for _, text in fences(page, "python")
        if text.startswith(NOT_RUN)
    }
    assert told == {("docs/clusters.md", f"{NOT_RUN}, which have no Ray.")}


def wrong(which, argvs, tmp_path):
    """What is wrong with command lines, of which each is said whether it is checked."""
    file = tmp_path / "commands.json"
    file.write_text(json.dumps(argvs))
    done = as_user_at_once("tests/parse_commands.py", which, str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_commands_of_launch_parse(tmp_path):
    """Those that code wrote into the page of results are parsed alone."""
    found = {
        tuple(words[1:]): page != "docs/results.md"
        for page in reversed(PAGES)
        for words in commands(page, "python launch.py")
    }
    assert len(found) > 60 and sum(found.values()) > 5
    assert wrong("launch", list(found.items()), tmp_path) == []


def test_commands_of_baselines_parse(tmp_path):
    found = [
        (["baselines", *words[3:]], page != "docs/results.md")
        for page in PAGES
        for words in commands(page, "python -m surrojax.baselines")
        if len(words) > 3  # else it is named, and not given
    ]
    assert len(found) > 3
    said = wrong("baselines", found, tmp_path)
    if sys.version_info >= (3, 12):  # for which there is no pySOT
        said = [line for line in said if not line.endswith("leave hord out here")]
    assert said == []


def test_a_command_that_is_wrong_is_found(tmp_path):
    launch = ["launch.py", "--config=configs/demo.py"]
    flags = ["--config.seeed=1"], ["--sweep=nothing=1"], ["--config.tune=p_y"], []
    found = wrong("launch", [([*launch, *flag], True) for flag in flags], tmp_path)
    assert len(found) == 3
    for line, message in zip(found, ("'seeed'", "'nothing'", "'p_y'"), strict=True):
        assert message in line


@pytest.mark.parametrize("words", BENCHMARKS)
def test_commands_of_benchmarks_have_flags_that_exist(words):
    module, *flags = words
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    # Studies of variants share their command line.
    for shared in re.findall("^from benchmarks.([a-z]+) import", text, re.M):
        text += (ROOT / "benchmarks" / f"{shared}.py").read_text()
    assert '__name__ == "__main__"' in text
    for flag in flags:
        if flag.startswith("--"):
            assert f'"{flag.split("=")[0]}"' in text, flag


def test_make_and_pip_know_what_the_pages_ask_of_them():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = 0
    for page in PAGES:
        for words in commands(page, "make"):
            for target in words[1:]:
                assert target in targets, f"{page}: {words}"
            asked += len(words) > 1
        for words in commands(page, "pip install"):
            extra = re.search(r"\[(\w+)\]", " ".join(words))
            assert not extra or extra[1] in project["optional-dependencies"], words
            asked += 1
    assert asked > 10


def test_figures_in_readme_s_prose_are_on_the_page_of_results():
    page = (ROOT / "docs/results.md").read_text()
    prose = re.sub(r"^\|.*\n", "", section("README.md", "Results"), flags=re.M)
    figures = re.findall(r"\d\d\.\d\d", prose)
    assert figures
    assert [figure for figure in figures if figure not in page] == []


def names_of_the_package():
    found = {"N", "NI"}
    for module in walk_packages(surrojax.__path__, "surrojax."):
        if re.search(r"baselines|__main__|\.data", module.name):
            continue
        for name, value in vars(import_module(module.name)).items():
            found.add(name)
            if isinstance(value, type):
                found |= {f"{name}.{inner}" for inner in dir(value)}
                fields = getattr(value, "__annotations__", {})
                found |= {f"{name}.{inner}" for inner in fields}
    return found


def test_the_method_s_page_names_what_there_is():
    """Each name in a table's column "in the code" is one of the package's."""
    text = (ROOT / "docs/method.md").read_text()
    fields = {name for name, _ in flatten(fer2013_lenet.get_config().to_dict())}
    known = names_of_the_package() | fields | {"search.lead", "RunState.search.leader"}
    named = []
    for line in re.findall(r"^\|.*\|$", section("docs/method.md", "Algorithm 1"), re.M):
        named += re.findall(r"`([A-Za-z_.]+)`", line.split("|")[-2])
    for line in re.findall(
        r"^\| [\d, ]+ \|.*\|$", section("docs/method.md", "In the code"), re.M
    ):
        named += re.findall(r"`([A-Za-z_.]+)`", line)
    assert len(named) > 30 and "`stop_gradient`" in text
    assert [name for name in named if name not in known] == []


def test_the_improved_form_is_the_table_of_the_method_s_page():
    table = section("docs/method.md", "The improved form")
    paper = dict(flatten(fer2013_lenet.get_config().to_dict()))
    improved = dict(flatten(fer2013_lenet_improved.get_config().to_dict()))
    changed = {name for name in paper if paper[name] != improved[name]}
    named = set(re.findall(r"^\| `([\w.]+)`", table, re.M))
    named |= {"search.start.p_W", "learning_rate"}  # the second ones of their rows
    assert all(any(name.startswith(n) for n in named) for name in changed - {"tune"})
    assert all(any(name.startswith(n) for name in changed) for n in named)
    assert set(improved["tune"]) == {"lambda_V", "lambda_x", "lambda_W", "ratios"}
    for value in ("`cross_entropy`", "`shared`", "25,000; 0.03, halved every 6,250"):
        assert value in table


def test_every_database_has_its_layout_and_its_licence():
    text = (ROOT / "docs/databases.md").read_text()
    for name in data.DATASETS:
        assert f"| `{name}` |" in text, name
    sources = ["ck", "oulu", "mmi", "afew", "affectnet", "fer2013_files", "identities"]
    for name in sources:
        told = import_module(f"surrojax.data.{name}").WHERE_FROM
        sites = re.findall(r"(?:[\w-]+\.)+(?:com|net|fi|eu|edu)\b", told)
        assert sites or "sites.google.com" in told, told
        for site in sites:
            assert site.removeprefix("www.") in text, site


def test_the_citation_is_of_this_version_and_of_the_paper():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == surrojax.__version__
    paper = cited["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == [
        *("Xie", "Chen", "Shen", "Duan", "Yang")
    ]
    assert (paper["journal"], paper["volume"], paper["year"]) == (
        "Pattern Recognition",
        111,
        2021,
    )
    assert {"message", "title", "authors"} <= cited.keys()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    done = as_user(
        *("-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
        *("-b", "html", "-c", "docs", "-d", str(tmp_path / "trees"), "."),
        str(tmp_path / "site"),
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    assert (site / "index.html").read_text() == (site / "README.html").read_text()
    losses = (site / "docs/reference/surrojax.losses.html").read_text()
    assert "<code" in losses and "surrojax.losses.total_loss" in losses
    for module in walk_packages(surrojax.__path__, "surrojax."):
        if not module.name.endswith("__main__"):
            assert (site / f"docs/reference/{module.name}.html").is_file()
    method = (site / "docs/method.html").read_text()
    assert "reference/surrojax.losses.html" in method  # links to modules lead there
    # Formulas need no net.
    scripts = re.findall(r'<script[^>]* src="([^"?]+)', method)
    assert "../_static/tex-svg-full.js" in scripts
    assert all((site / "docs" / script).is_file() for script in scripts)
