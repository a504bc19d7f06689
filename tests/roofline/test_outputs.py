"""Results are written whole or not at all, and never over something that is there."""

import os
import stat

import pytest

from roofline.outputs import check_file, check_folder, whole_file, whole_folder, write_text
from spec_files import SpecError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def seen(path):
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*"))


def test_a_file_is_the_old_one_until_the_end(tmp_path):
    file = tmp_path / "answer.csv"
    write_text(file, "old\n")
    with whole_file(file) as stream:
        stream.write("new\r\n")
        stream.flush()
        assert file.read_bytes() == b"old\n"
    assert file.read_bytes() == b"new\r\n"


def test_what_raises_leaves_the_old_file_and_no_draft(tmp_path):
    file = tmp_path / "answer.csv"
    write_text(file, "old\n")
    with pytest.raises(UnicodeEncodeError), whole_file(file) as stream:
        stream.write("half a file \udc80")
    assert file.read_text() == "old\n"
    assert seen(tmp_path) == ["answer.csv"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_and_folders_heed_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "one", "")
        with whole_folder(tmp_path / "many"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "many").stat().st_mode) == 0o777 & ~mask


def test_a_folder_appears_with_everything_in_it(tmp_path):
    place = tmp_path / "far" / "away"
    with whole_folder(place) as draft:
        (draft / "a.csv").write_text("1")
        assert not place.exists()
    assert seen(place) == ["a.csv"]
    assert seen(tmp_path) == ["far", "far/away", "far/away/a.csv"]


def test_what_raises_leaves_no_folder_made_on_the_way(tmp_path):
    with pytest.raises(UnicodeEncodeError), whole_folder(tmp_path / "far" / "away") as draft:
        (draft / "a.csv").write_text("half a file \udc80")
    assert seen(tmp_path) == []


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    with whole_folder(tmp_path / "empty") as draft:
        (draft / "a.csv").write_text("1")
    assert seen(tmp_path / "empty") == ["a.csv"]


@pytest.mark.parametrize("check", [check_folder, lambda path: whole_folder(path).__enter__()])
def test_nothing_is_written_over(tmp_path, check):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary").write_text("dear")
    (tmp_path / "loose").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SpecError, match="full is not empty, and nothing is overwritten"):
        check(tmp_path / "full")
    for name in ("full/diary", "loose"):
        with pytest.raises(SpecError, match="is a file; name a folder"):
            check(tmp_path / name)
    assert seen(tmp_path) == ["full", "full/diary", "loose"]


def test_a_folder_in_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SpecError, match="--report: "),
        whole_folder(tmp_path / "file/x", "--report"),
    ):
        pass


def test_a_file_is_checked_before_anything_is_worked_out(tmp_path):
    (tmp_path / "here").write_text("dear diary")
    with pytest.raises(SpecError, match="here: exists; --force overwrites it"):
        check_file(tmp_path / "here", force=False)
    with pytest.raises(SpecError, match="is a folder"):
        check_file(tmp_path, force=True)
    with pytest.raises(SpecError, match="cannot be written"):
        check_file(tmp_path / "no" / "folder", force=False)
    check_file(tmp_path / "here", force=True)
    check_file(tmp_path / "there", force=False)
    assert seen(tmp_path) == ["here"]
