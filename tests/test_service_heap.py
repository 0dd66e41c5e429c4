"""Many threads that come and go leave no heaps behind."""

import json
import platform
import subprocess
import sys

from catvton.service.heap import keep_few_heaps

# Each thread takes a megabyte in small pieces while all others do, so that every one would get a heap of its own.
CROWD = """
import json, re, sys, threading
from catvton.service.heap import keep_few_heaps
told = keep_few_heaps() if sys.argv[1] == "few" else None
gate = threading.Barrier(24)
def take():
    gate.wait()
    pieces = [bytes(1000) for _ in range(3000)]
    gate.wait()
threads = [threading.Thread(target=take) for _ in range(24)]
[t.start() for t in threads]
[t.join() for t in threads]
import ctypes, os
libc, path = ctypes.CDLL(None), sys.argv[2]
libc.fopen.restype = ctypes.c_void_p
file = libc.fopen(path.encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file)); libc.fclose(ctypes.c_void_p(file))
print(json.dumps({"told": told, "heaps": len(re.findall("<heap nr=", open(path).read()))}))
"""


def heaps(how: str, folder) -> dict:
    command = [sys.executable, "-c", CROWD, how, str(folder / how)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_crowd_of_threads_shares_few_heaps(tmp_path):
    if platform.libc_ver()[0] != "glibc":
        assert keep_few_heaps() is False
        return
    many, few = heaps("many", tmp_path), heaps("few", tmp_path)
    assert few["told"] is True
    assert few["heaps"] <= 2 < many["heaps"]
