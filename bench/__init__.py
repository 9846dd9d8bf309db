"""What governance costs, measured: CPU microseconds per call, beside ungoverned proxies in the same run.

`make bench` runs it. The metric of record is processor time and not wall time, because wall time on a shared machine
is the neighbours': (user + system time of the target's whole process tree, after - before) / calls that reached the
upstream. Every figure is the median of interleaved rounds, and what is compared is the ratio within a round.

It must never favour the gateway: a target is measured only after it answered rightly (and the gateway only after it
was seen to refuse, to hold and to replay), all targets get the same requests on the same processor, and work that the
gateway puts off (the steward's) is waited for and counted.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
