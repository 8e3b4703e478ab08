# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Memory that goes away, from Python; test_ctypes.py runs this."""

import os
import signal

from support import PAGE, Case, lib


def in_child(function):
    """What 'function' returns in a child, whose handlers are its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return int(text)


def bury():
    """The code that comes once handlers were put on top too often."""
    code = 0
    while code == 0:
        code = lib.fault_enable(lib.FAULT_SIGNAL_BUS)
        signal.signal(signal.SIGBUS, lambda *_: None)
    return code


class Faults(Case):
    def lose(self):
        """A region of which the second page is gone, and its collection."""
        code = lib.fault_enable(lib.FAULT_SIGNAL_BUS | lib.FAULT_SIGNAL_SEGV)
        if code == lib.ENOSUPPORT:
            self.skipTest("this processor or build cannot survive faults")
        self.assertEqual(code, 0)
        self.addCleanup(lib.fault_disable, lib.FAULT_SIGNAL_BUS | lib.FAULT_SIGNAL_SEGV)
        file = self.file(2 * PAGE)
        region = self.region("file", 0, 2 * PAGE, file.fileno(), 0)
        file.truncate(PAGE)
        return file, region, self.collection(region)

    def test_survives(self):
        file, region, memory = self.lose()
        self.assertEqual(lib.region_fault_count(region), 0)
        self.assertEqual(lib.get("region_fault_first", region),
                         [0, lib.FAULT_KIND_NONE])
        data = b"x" * 20
        self.assertEqual(
            lib.call("collection_write", memory, PAGE - 7, data, 20),
            (lib.EGONE, 7))
        self.assertEqual(lib.code("collection_read_u8", memory, PAGE + 9),
                         lib.EGONE)
        self.assertGreaterEqual(lib.region_fault_count(region), 2)
        offset, kind = lib.get("region_fault_first", region)
        self.assertGreaterEqual(offset, PAGE)
        self.assertEqual(kind, lib.FAULT_KIND_BACKING)
        self.assertEqual(lib.get("region_fault_last", region),
                         [PAGE + 9, lib.FAULT_KIND_BACKING])
        file.truncate(2 * PAGE)
        self.write(memory, PAGE - 7, data)
        self.assertEqual(self.read(memory, PAGE - 7, 20), data)

    def test_counts(self):
        self.lose()
        self.assertEqual(lib.fault_enable(lib.FAULT_SIGNAL_BUS), 0)
        self.assertEqual(lib.fault_disable(lib.FAULT_SIGNAL_BUS), 0)
        self.assertEqual(lib.fault_enable(8), lib.EARGUMENT)
        self.assertEqual(lib.fault_disable(0), lib.EARGUMENT)
