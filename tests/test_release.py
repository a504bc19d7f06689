"""What stands beside the code of a release: citation, changelog, licence, and that they agree."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import yaml
from cffconvert import Citation

import roofline

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of apache.org/licenses/LICENSE-2.0.txt."""


def releases() -> dict[str, str]:
    """Return the versions of the changelog with their dates, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text()
    return dict(re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE))


def test_the_citation_is_valid_and_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    Citation(text).validate()  # against the schema of its version; raises where it is not
    said = yaml.safe_load(text)
    assert said["version"] == roofline.__version__ == PROJECT["version"]
    assert said["license"] == PROJECT["license"]
    assert said["date-released"] == releases()[roofline.__version__]
    assert "roofline" in Citation(text).as_bibtex()


def test_the_changelog_begins_with_this_version() -> None:
    assert next(iter(releases())) == roofline.__version__
    dates = list(releases().values())
    assert dates == sorted(dates, reverse=True)


def test_the_licence_is_whole() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE
