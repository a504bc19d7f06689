"""Files and folders of results, written whole or not at all; nothing is overwritten unasked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spec_files import SpecError

FIGURE_DPI = 150


@contextmanager
def whole_file(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Yield a stream to a draft that takes the file's place at the end.

    A reader sees the old file or the new one, never half of one; what raises leaves the old one.
    Text is UTF-8, its line ends as written. Raises OSError where the folder cannot be written.
    """
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:40]}.")
    try:
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as stream:
            yield stream
        Path(draft).chmod(0o666 & ~_umask())
        os.replace(draft, file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with whole_file(file) as stream:
        stream.write(text)


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet, or into a pipe; SpecError for one that is."""
    through = os.path.exists(file) and not (file.is_file() or file.is_dir())
    try:
        with file.open("w" if through else "x", encoding="utf-8", newline="") as stream:
            try:
                stream.write(text)
                stream.flush()
            except BaseException:
                if not through:
                    file.unlink()
                raise
    except FileExistsError:
        if file.is_dir():
            raise SpecError(f"{file}: is a folder, not a file to write") from None
        raise SpecError(f"{file}: exists, and is left as it is; name another file by -o") from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SpecError(f"{file}: cannot be written ({error.strerror})") from None


def check_file(file: Path, force: bool) -> None:
    """Refuse a file that exists or could not be written, before anything is worked out.

    force: whether a file that is there may be overwritten. Raises SpecError.
    """
    try:
        if file.is_dir():
            raise SpecError(f"{file}: is a folder, not a file to write")
        if os.path.lexists(file) and not force:
            raise SpecError(f"{file}: exists; --force overwrites it")
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:40]}.")
        os.close(handle)
        Path(draft).unlink()
    except OSError as error:
        raise SpecError(f"{file}: cannot be written ({error.strerror})") from None


def check_folder(path: Path, otherwise: str = "name another", option: str = "--out") -> None:
    """Refuse a folder that holds something already, and a file in its place: SpecError.

    otherwise: what the reader can do about a folder that is not empty. option: what named it.
    """
    try:
        if path.is_dir():
            if any(path.iterdir()):
                raise SpecError(
                    f"{option}: {path} is not empty, and nothing is overwritten; {otherwise}"
                )
        elif os.path.lexists(path):
            raise SpecError(f"{option}: {path} is a file; name a folder")
    except OSError as refused:
        raise SpecError(f"{option}: {path}: {refused.strerror}") from None


@contextmanager
def whole_folder(path: Path, option: str = "--out") -> Iterator[Path]:
    """Yield a draft folder beside the path, and move it there at the end.

    What raises leaves nothing behind, not even folders made on the way. Raises SpecError where
    something stands in the path already or it cannot be written.
    """
    check_folder(path, option=option)
    place, made = path.resolve(), []
    try:
        for folder in reversed([p for p in place.parents if not p.exists()]):
            folder.mkdir(exist_ok=True)
            made.append(folder)
        draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name[:40]}."))
    except OSError as refused:
        raise SpecError(f"{option}: cannot write {path}: {refused.strerror}") from None
    try:
        draft.chmod(0o777 & ~_umask())
        yield draft
        if place.is_dir():
            place.rmdir()  # empty, as was checked
        os.replace(draft, place)
    except BaseException as failed:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in reversed(made):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(failed, OSError):
            raise SpecError(f"{option}: cannot write {path}: {failed.strerror}") from None
        raise


def save_figure(figure: Any, folder: Path, name: str) -> None:
    """Save a figure as PNG and as SVG, the latter the same whenever it is drawn."""
    import matplotlib as mpl

    figure.savefig(folder / f"{name}.png", dpi=FIGURE_DPI)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "roofline"}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
