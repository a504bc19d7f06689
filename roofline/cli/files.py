"""Files that a command writes: whole or not at all, and none that exists unless told so."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def refuse_unwritable(file: Path, force: bool) -> None:
    """Refuse a file that exists or could not be written, before anything is worked out."""
    from spec_files import SpecError

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


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:40]}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(draft).chmod(0o644)
        os.replace(draft, file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet, or into a pipe; SpecError for one that is."""
    from spec_files import SpecError

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
