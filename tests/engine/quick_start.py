"""`invoke matrix` with a gate that looks at the machine for an instant only; its last line says what it still holds.

python -m tests.engine.quick_start FILE [--retry-failed]
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading

from harness.errors import BenchError
from harness.flows.measure import measure
from harness.flows.measure_request import MeasureRequest
from harness.machine import gate


def held() -> dict[str, list[str]]:
    """Threads by name, open files by what they are of, children by their process id."""
    gc.collect()
    files = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        try:
            files.append(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115 - no path of a file
        except OSError:
            continue  # the one that listed them
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:  # noqa: PTH123
        return {
            "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
            "files": sorted(files),
            "children": children.read().split(),
        }


def main() -> int:
    """Measure; the exit code."""
    gate.WINDOW_S = 0.01
    before = held()
    code = 0
    try:
        measure(MeasureRequest(file=sys.argv[1], gate_wait_s=0.0, retry_failed="--retry-failed" in sys.argv))
    except BenchError as error:
        print(error, flush=True)
        code = error.exit_code
    after = held()
    more = {kind: list(after[kind]) for kind in after}
    for kind, names in before.items():
        for name in names:
            if name in more[kind]:
                more[kind].remove(name)
    print(json.dumps(more), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
