"""The command line: `roofline sweep | estimate | compare | devices | models`."""

import sys


def main() -> None:
    """Run the command line; bad input is one sentence on standard error and exit code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from concurrent.futures import BrokenExecutor

    import typer
    from typer.exceptions import TyperException

    from roofline.cli.app import app
    from spec_files import SpecError

    try:
        code = app(args=arguments, prog_name="roofline", standalone_mode=False)
    except SpecError as error:
        _say(str(error))
        return 2
    except TyperException as error:
        _say(error.format_message())
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return 130
    except BrokenExecutor:
        _say("a worker process was killed from outside, perhaps for want of memory")
        return 1
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        return 0
    return code if isinstance(code, int) else 0


def _say(sentence: str) -> None:
    print(f"roofline: {' '.join(sentence.split())}", file=sys.stderr)
