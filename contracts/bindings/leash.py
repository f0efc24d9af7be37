"""Runs a command for as long as this process lives and its standard input stays open: `leash.py COMMAND...`

For programs that would outlive a parent that is killed. By path and without site-packages, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """The command's exit code; minus the number of the signal that ended it."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - the caller's own
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())

    def follow_stdin() -> None:
        while os.read(0, 4096):
            pass
        process.kill()

    threading.Thread(target=follow_stdin, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
