"""The command `train` in which a signal comes while Python runs a weakref's callback.

python -m tests.support.signal_in_callback NUMBER SECONDS --config=... --workdir=...

What a handler raises there is lost. The callback is run in the main thread, by the first garbage
collection after so many seconds.
"""

import gc
import os
import runpy
import sys
import threading
import time
import weakref


class Thing:
    """Something to be collected."""


def main() -> None:
    """Takes its own two arguments out, and runs the command."""
    number, seconds = int(sys.argv[1]), float(sys.argv[2])
    del sys.argv[1:3]
    begin = time.monotonic()

    def collected(_) -> None:
        os.kill(os.getpid(), number)
        sum(range(1000))  # here the handler is called

    def in_collection(phase: str, _: dict) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        if phase == "start" and is_main and time.monotonic() - begin > seconds:
            gc.callbacks.remove(in_collection)
            thing = Thing()
            ref = weakref.ref(thing, collected)
            del thing
            assert ref() is None

    gc.callbacks.append(in_collection)
    runpy.run_module("launch.train", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
