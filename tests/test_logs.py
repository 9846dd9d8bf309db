"""A log whose reader is stuck stops nobody."""

import subprocess
import sys

STUCK = """
import logging, sys
from gateway.logs import LINES_KEPT, log_aside, told
lines = log_aside("info", "%(message)s")
for number in range(LINES_KEPT + 50_000):
    logging.getLogger("x").info("line %d %s", number, "." * 200)
told(lines)
print("went on")
sys.stdout.flush()
import os; os._exit(0)
"""


def test_a_full_pipe_does_not_stop_whoever_logs():
    """Nobody reads standard error, which holds 64 KiB; the process goes on and loses lines."""
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"went on\n"
        process.kill()


def test_lines_are_out_before_a_process_ends():
    code = 'import logging; from gateway.logs import *; l = log_aside("info", "%(message)s"); '
    code += 'logging.getLogger("x").warning("last words"); told(l)'
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ended.stderr == "last words\n"
