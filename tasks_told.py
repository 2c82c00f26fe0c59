"""What every task has in common: an error of the family is told without a traceback, and exits with its code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from invoke import Exit


def told(function: Callable[..., None]) -> Callable[..., None]:
    """Show an error of the family without a traceback and exit with its code."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        from harness.errors import BenchError

        try:
            function(*args, **kwargs)
        except BenchError as error:
            sys.stdout.flush()
            print(error, file=sys.stderr)
            raise Exit(code=error.exit_code) from None
        except KeyboardInterrupt:
            raise Exit(code=130) from None
        except BrokenPipeError:
            # The reader of our output went away (`| head`); nothing is wrong.
            sys.stderr.close()
            raise Exit(code=0) from None

    return wrapper
