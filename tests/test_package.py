"""The wheel and the source distribution: what is in them, and that they work elsewhere."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("arch_space", "hardware_specs", "roofline", "spec_files")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SMALL = """
name: small
fixed: {vocabulary: 32000, head_size: 64, kv_heads: all, weight_format: q4_0, ffn_ratio: 4}
dimensions:
  layers: [8, 16]
  width: [512, 1024]
"""
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.pyc", "build", "dist", "*.egg-info", "benchmarks", "reports"
)
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def sources() -> set[str]:
    """Every file of the packages, by its path."""
    return {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """Build both from a copy of this folder, the wheel from the source distribution."""
    place = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, place / "source", ignore=_LEFT_OUT)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", "source"],
        cwd=place, env=CLEAN, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,), (sdist,) = (list((place / "dist").glob(f"*.{end}")) for end in ("whl", "tar.gz"))
    return {"wheel": wheel, "sdist": sdist}


@pytest.fixture(scope="module")
def names(built) -> dict[str, set[str]]:
    """Files of both; of the source distribution, below its own folder."""
    with zipfile.ZipFile(built["wheel"]) as wheel, tarfile.open(built["sdist"]) as sdist:
        within = [member.name for member in sdist if member.isfile()]
        return {
            "wheel": set(wheel.namelist()),
            "sdist": {name.partition("/")[2] for name in within},
        }


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_all_modules_and_data_are_in(names, kind):
    wanted = sources()
    kinds = {Path(name).suffix for name in wanted}
    assert {".py", ".yaml", ".json", ".csv", ".html", ".css", ".js"} <= kinds
    assert sorted(wanted - names[kind]) == []


def test_a_wheel_holds_nothing_else(names):
    others = {name for name in names["wheel"] if name.split("/")[0] not in PACKAGES}
    assert {name.split("/")[0] for name in others} == {f"roofline-{PROJECT['version']}.dist-info"}
    assert sorted(names["wheel"] - others - sources()) == []


def test_a_source_distribution_holds_what_a_reader_looks_for(names):
    found = names["sdist"]
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"} <= found
    folders = {name.split("/")[0] for name in found if "/" in name}
    assert folders == {*PACKAGES, "roofline.egg-info"}


def test_metadata_is_complete(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        folder = f"roofline-{PROJECT['version']}.dist-info"
        about = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
        points = wheel.read(f"{folder}/entry_points.txt").decode()
    import roofline

    assert about["Version"] == roofline.__version__ == PROJECT["version"]
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert about["Author"]
    assert len(about["Summary"]) > 40
    assert about["Keywords"]
    assert about.get_all("Project-URL")
    assert any("Python :: 3.11" in each for each in about.get_all("Classifier"))
    assert set(about.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    needs = about.get_all("Requires-Dist")
    assert len([need for need in needs if "extra ==" not in need]) == len(PROJECT["dependencies"])
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload().startswith("# roofline")
    assert "roofline = roofline.cli:main" in points


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_runs_where_it_is_installed(built, kind, tmp_path):
    """In an environment of its own, which borrows this one's dependencies and nothing else."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True, env=CLEAN
    )
    python = tmp_path / "env/bin/python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    home = Path(subprocess.check_output([python, "-c", where], env=CLEAN, text=True).strip())
    # A path in a .pth file is searched; .pth files in it, such as an editable install's, are not.
    (home / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
            "--no-index", "--no-build-isolation", "--ignore-installed", built[kind],
        ],
        check=True, env=CLEAN, cwd=tmp_path,
    )  # fmt: skip
    (tmp_path / "small.yaml").write_text(SMALL)

    def run(*words: str) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = str(tmp_path / "env/bin/roofline")
    where = "import roofline, arch_space, hardware_specs, spec_files as s; print(s.__file__)"
    assert run(str(python), "-c", where).startswith(str(home))
    assert run(str(python), "-m", "roofline", "--version") == f"roofline {PROJECT['version']}\n"
    told = run(script, "sweep", "--device", "phone", "--space", "small.yaml", "-o", "run")
    assert "on the front" in told
    for name in ("front.csv", "front.png", "report.html", "sweep.yaml"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    assert list((tmp_path / "run/configs").iterdir())
    run(script, "new-device", "mine", "--like", "phone")
    assert "mine" in run(script, "devices", "show", "mine.yaml")
