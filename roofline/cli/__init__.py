"""The command line: `roofline sweep | estimate | compare | devices | models`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer.exceptions import TyperException


def main() -> None:
    """Run the command line; bad input is one sentence on standard error and exit code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from concurrent.futures import BrokenExecutor

    import typer
    from typer.exceptions import TyperException

    from roofline.cli.app import whole
    from spec_files import SpecError

    try:
        code = whole().main(arguments or ["--help"], prog_name="roofline", standalone_mode=False)
        sys.stdout.flush()
    except SpecError as error:
        return _say(str(error), 2)
    except TyperException as error:
        return _say(error.format_message() + _read(error, arguments), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", 130)
    except BrokenExecutor:
        return _say("a worker process was killed from outside, perhaps for want of memory", 1)
    except BrokenPipeError:
        return _unread()
    except SystemExit as left:  # as typer leaves a completion, and a pipe that breaks
        if isinstance(left.__context__, BrokenPipeError):
            return _unread()
        return left.code if isinstance(left.code, int) else 0
    except OSError as error:
        return _say(f"cannot go on: {error.strerror or error}", 1)
    except Exception as error:
        cluster = sys.modules.get("roofline.search.cluster")  # slow to import where none is used
        if cluster is None or not isinstance(error, cluster.ClusterLost):
            raise
        return _say(str(error), 1)
    return code if isinstance(code, int) else 0


def _unread() -> int:
    """Leave quietly where the reader of our output, such as `head`, is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _read(error: TyperException, arguments: list[str]) -> str:
    """Say what was read where an option's value is refused."""
    for name in getattr(getattr(error, "param", None), "opts", ()):
        for word, value in zip(arguments, [*arguments[1:], ""], strict=True):
            if word == name:
                return f", read {value!r}"
            if word.startswith(f"{name}="):
                return f", read {word.removeprefix(f'{name}=')!r}"
    return ""


def _say(sentence: str, code: int) -> int:
    print(f"roofline: {' '.join(sentence.split())}", file=sys.stderr)
    return code
