"""Runs one program on a number of cores and prints what it cost as one JSON object.

usage: measure.py CORES STDOUT_FILE STDERR_FILE PROGRAM [ARGUMENT...]

wait4 gives the resources of that very child and of the children it has waited for.
"""

import json
import os
import sys
import time

cores, stdout_file, stderr_file, *command = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
actions = [
    (os.POSIX_SPAWN_OPEN, 1, stdout_file, create, 0o644),
    (os.POSIX_SPAWN_OPEN, 2, stderr_file, create, 0o644),
]
start = time.monotonic()
child = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
_, status, usage = os.wait4(child, 0)
print(
    json.dumps(
        {
            "exit_code": os.waitstatus_to_exitcode(status),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "wall_seconds": time.monotonic() - start,
            # Kibibytes on Linux.
            "peak_rss_bytes": usage.ru_maxrss * 1024,
        }
    )
)
