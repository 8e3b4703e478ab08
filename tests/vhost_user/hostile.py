#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""hostile.py BACKEND - a front end that lies, in messages and in its rings.

All the time a well-behaved front end reads and writes another disk of the same
process, and after each lie one uses the liar's.  The process must not have
died, nor have a descriptor or a thread more.
"""
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import cut_short
import frontend as f
from frontend import FrontEnd, Gone
from packed import hostile_packed_rings
from postcopy import hostile_postcopy

TOP = (1 << 64) - 1
SECTORS = 2048


class Backend:
    def __init__(self, program, directory, *options, files=None):
        """'files' is RLIMIT_NOFILE; else it is what it is here."""
        self.path = os.path.join(directory, "socket")
        self.disk = os.path.join(directory, "disk")
        self.neighbour_path = os.path.join(directory, "neighbour")
        other = os.path.join(directory, "disk2")
        for name in self.disk, other:
            with open(name, "wb") as disk:
                disk.write(os.urandom(SECTORS * 512))
        self.log = open(os.path.join(directory, "log"), "w+b")
        self.process = subprocess.Popen(
            [program, *options, "--socket", self.path, "--file", self.disk,
             "--queues", "2", "--socket", self.neighbour_path, "--file",
             other], stderr=self.log, stdout=self.log,
            preexec_fn=files and (lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (files, files))))
        end = time.monotonic() + f.LIMIT
        while not self.listens(self.path) or not self.listens(
                self.neighbour_path):
            assert self.process.poll() is None and time.monotonic() < end
            select.select([], [], [], 0.01)

    @staticmethod
    def listens(path):
        """Whether it has come so far: its socket is there before that."""
        with socket.socket(socket.AF_UNIX) as link:
            return link.connect_ex(path) == 0

    def connect(self, sealed=True):
        return FrontEnd(self.path, sealed)

    def counts(self):
        """Descriptors and threads, but for those of the kernel's io_uring."""
        proc = "/proc/%d/" % self.process.pid
        threads = 0
        for task in os.listdir(proc + "task"):
            try:
                with open(proc + "task/" + task + "/comm") as name:
                    threads += not name.read().startswith("iou-")
            except OSError:
                pass  # it has ended
        return (len(os.listdir(proc + "fd")), threads)

    def where(self):
        """What each of its threads waits for."""
        proc = "/proc/%d/task/" % self.process.pid
        lines = []
        for task in os.listdir(proc):
            line = task
            for name in "comm", "wchan", "syscall", "stack", "stat":
                try:
                    with open(proc + task + "/" + name) as file:
                        line += " %s: %s" % (name, file.read().strip())
                except OSError:
                    pass  # it has ended, or we may not
            lines.append(line)
        return "\n".join(lines)

    def starts(self):
        """A session; as soon as that of somebody else is over."""
        end = time.monotonic() + f.LIMIT
        while True:
            front = self.connect()
            try:
                front.start()
                return front
            except Gone:
                front.close()
                assert time.monotonic() < end, "it is turned away"

    def serves(self):
        """A whole session of somebody who behaves; what is open in it."""
        front = self.starts()
        data = os.urandom(8 * 512)
        front.write(40, data)
        assert front.read(40, len(data)) == data
        with open(self.disk, "rb") as disk:
            disk.seek(40 * 512)
            assert disk.read(len(data)) == data
        assert self.process.poll() is None
        counts = self.counts()
        front.close()
        return counts


    def must_be(self, usual):
        """It serves, and sooner or later with what is usually open."""
        end = time.monotonic() + f.LIMIT
        now = self.serves()
        while now[0] > usual[0] or now[1] > usual[1]:
            assert time.monotonic() < end, "left: %s, not %s" % (now, usual)
            now = self.serves()


class Neighbour(threading.Thread):
    """Somebody who uses another disk, and sees what was written."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.changed = threading.Condition()
        self.rounds = 0
        self.failed = False
        self.ending = False

    def run(self):
        try:
            front = FrontEnd(self.path)
            front.start()
            while not self.ending:
                data = os.urandom(8 * 512)
                sector = self.rounds * 8 % SECTORS
                front.write(sector, data)
                if front.read(sector, len(data)) != data:
                    break
                with self.changed:
                    self.rounds += 1
                    self.changed.notify()
            front.close()
        finally:
            with self.changed:
                self.failed = not self.ending
                self.changed.notify()

    def goes_on(self):
        with self.changed:
            rounds = self.rounds + 2
            self.changed.wait_for(
                lambda: self.failed or self.rounds >= rounds, f.LIMIT)
            return not self.failed and self.rounds >= rounds

    def end(self):
        self.ending = True
        self.join(f.LIMIT)
        assert not self.is_alive()


def malformed_messages(backend):
    """Each message of wrong length, and with wrong descriptors."""
    for request in range(45):
        for length in (0, 1, 7, 8, 12, 16, 31, 40, 64, 300):
            for count in (0, 1, 3):
                front = backend.connect()
                try:
                    front.features()
                    front.send(request, os.urandom(length),
                               [front.file] * count, flags=1 | 8)
                    # It may have said that it wants no answer.
                    front.send(f.GET_MAX_MEM_SLOTS)
                    while front.receive()[0] != f.GET_MAX_MEM_SLOTS:
                        pass
                except Gone:
                    pass
                front.close()
        yield


def broken_headers(backend):
    """Headers that say what does not come, or what is no message."""
    for flags, size in ((0, 0), (2, 8), (1, 1 << 31), (1, 0xFFFFFFFF),
                        (1, 20000), (1, 8)):
        front = backend.connect()
        try:
            front.send(f.SET_FEATURES, b"", flags=flags, size=size)
            front.socket.shutdown(1)
            front.receive()
        except Gone:
            pass
        front.close()
        yield


def lying_tables(backend):
    """Rows that overlap, wrap, or are of what is no memory."""
    front = backend.connect()
    front.start()
    pipe = os.pipe()
    short = f.memory_file(f.PAGE)
    lies = [
        ([f.row(length=0)], [front.file]),
        ([f.row(gpa=TOP)], [front.file]),
        ([f.row(user=TOP - 5)], [front.file]),
        ([f.row(offset=TOP - f.PAGE + 1)], [front.file]),
        ([f.row(offset=8)], [front.file]),
        ([f.row(length=TOP)], [front.file]),
        ([f.row(length=1 << 62, gpa=0, user=0)], [front.file]),
        ([f.row(), f.row()], [front.file, front.file]),
        ([f.row(), f.row(gpa=0, length=f.PAGE)], [front.file, front.file]),
        ([f.row()], [front.file, front.file]),
        ([f.row()], []),
        ([f.row()], [pipe[0]]),
        ([f.row()], [short]),
        ([f.row(gpa=i << 32, user=i << 32) for i in range(20)],
         [front.file] * 19),
    ]
    for rows, fds in lies:
        assert front.tell(f.SET_MEM_TABLE, f.table(*rows), fds) != 0
        # The old table is in place: the ring goes on.
        front.read(0, 512)
    assert front.tell(f.ADD_MEM_REG, bytes(8) + f.row(), [front.file]) != 0
    assert front.tell(f.REM_MEM_REG, bytes(8) + f.row(gpa=0)) != 0
    log = f.memory_file(f.PAGE)
    for length, offset in ((0, 0), (8, 0), (f.PAGE, 8), (TOP, 0), (8, TOP)):
        payload = struct.pack("=QQ", length, offset)
        answer = front.ask(f.SET_LOG_BASE, payload, [log])[0]
        assert struct.unpack("=Q", answer)[0] != 0
    front.read(0, 512)
    # Taking its own memory away breaks its own ring and nothing else.
    front.must(f.SET_MEM_TABLE, f.table())
    front.offer(0)
    assert front.wait() is None
    front.close()
    for fd in (*pipe, short, log):
        os.close(fd)
    yield


def lying_rings(backend):
    """Addresses and sizes of rings that cannot be."""
    good = (0, 0, f.USER + f.DESC, f.USER + f.USED, f.USER + f.AVAIL, 0)
    front = backend.connect()
    front.features()
    front.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    for size in (0, 3, 32769, 65536, 0xFFFFFFFF):
        assert front.tell(f.SET_VRING_NUM, struct.pack("=II", 0, size)) != 0
    front.must(f.SET_VRING_NUM, struct.pack("=II", 0, 32768))
    assert front.tell(f.SET_VRING_ADDR, struct.pack("=IIQQQQ", *good)) == 0
    for i in (2, 3, 4):
        for bad in (0, TOP, f.USER - 1, f.USER + f.MEMORY - 1):
            lie = list(good)
            lie[i] = bad
            assert front.tell(f.SET_VRING_ADDR,
                              struct.pack("=IIQQQQ", *lie)) != 0
    front.close()
    # A ring that runs stays where it is, and that may be said again.
    front = backend.connect()
    front.start()
    front.read(0, 512)
    front.must(f.SET_VRING_ADDR, struct.pack(
        "=IIQQQQ", 0, 1, f.USER + f.DESC, f.USER + f.USED, f.USER + f.AVAIL,
        0))
    assert front.tell(f.SET_VRING_ADDR, struct.pack(
        "=IIQQQQ", 0, 0, f.USER + f.USED, f.USER + f.USED, f.USER + f.AVAIL,
        0)) != 0
    front.read(0, 512)
    # What is no eventfd could have the back end wait.
    pipe = os.pipe()
    for request in f.SET_VRING_KICK, f.SET_VRING_CALL, f.SET_VRING_ERR:
        for fd in front.file, front.socket.fileno(), *pipe:
            assert front.tell(request, struct.pack("=Q", 1), [fd]) != 0
    for fd in pipe:
        os.close(fd)
    for request in (f.SET_VRING_NUM, f.SET_VRING_BASE,
                    f.SET_VRING_ENABLE):
        for index in (2, 255, 0xFFFFFFFF):
            assert front.tell(request, struct.pack("=II", index, 1)) != 0
    front.close()
    yield


def chains(front):
    """Chains that no driver would make: what they put into the ring."""
    big = 0xFFFFFFFF
    header, status = f.GPA + f.HEADER, f.GPA + f.STATUS
    data = f.GPA + f.DATA

    def one(*descs, head=0, at=f.DESC):
        def put():
            for i, desc in enumerate(descs):
                front.describe(i, *desc, at=at)
            return head
        return put

    def indirect(length, flags=f.INDIRECT, address=None, descs=()):
        def put():
            for i, desc in enumerate(descs):
                front.describe(i, *desc, at=f.TABLE)
            front.describe(0, f.GPA + f.TABLE if address is None else address,
                           length, flags)
            return 0
        return put

    good = [(header, 16, f.NEXT, 1), (status, 1, f.WRITE)]
    return [
        one((header, 16, f.NEXT, 0)),
        one((header, 0, f.NEXT, 0)),
        one((header, 16, f.NEXT, 1), (data, 512, f.WRITE | f.NEXT, 0)),
        one(*good, head=f.SIZE),
        one(*good, head=0xFFFF),
        one((header, 16, f.NEXT, 0xFFFF)),
        one((header, 16, 0, 0)),
        one((status, 1, f.WRITE, 0)),
        one((header, 15, f.NEXT, 1), (status, 1, f.WRITE)),
        one((header, big, f.NEXT, 1), (status, 1, f.WRITE)),
        one((TOP, 16, f.NEXT, 1), (status, 1, f.WRITE)),
        one((0, 16, f.NEXT, 1), (status, 1, f.WRITE)),
        one((header, 16, f.NEXT, 1), (status, 0, f.WRITE)),
        one((header, 16, f.NEXT, 1), (0, 1, f.WRITE)),
        one((header, 16, f.NEXT, 1), (TOP, 1, f.WRITE)),
        one((header, 16, f.NEXT, 1), (status, big, f.WRITE)),
        one((status, 1, f.WRITE | f.NEXT, 1), (header, 16, 0)),
        # Lengths of 2^32 - 1 in each slot.
        one(*[(data, big, f.WRITE | f.NEXT, i + 1) for i in range(f.SIZE)]),
        indirect(0), indirect(15), indirect(big), indirect(16 * 40000),
        indirect(0xFFFFFFF0), indirect(32, address=TOP),
        indirect(32, flags=f.INDIRECT | f.NEXT),
        indirect(16, descs=[(f.GPA + f.TABLE, 16, f.INDIRECT)]),
        indirect(32, descs=[(header, 16, f.NEXT, 0)]),
        indirect(32, descs=[(header, 16, f.NEXT, 2)]),
        indirect(16 * 255, descs=[(data, 1, f.NEXT, i + 1)
                                  for i in range(255)]),
    ]


def hostile_chains(backend):
    """Loops, places out of range, lengths of 2^32 - 1."""
    front = backend.connect()
    number = len(chains(front))
    front.close()
    for i in range(number):
        front = backend.connect()
        front.start()
        front.read(0, 512)
        front.offer(chains(front)[i]())
        # Either the request fails, or the ring is broken; but it answers.
        front.wait()
        front.close()
    yield


def hostile_requests(backend):
    """Requests that make no sense fail alone: the ring goes on."""
    front = backend.connect()
    front.start()
    data = f.GPA + f.DATA
    requests = [
        (0, 0, [(data, 511, f.WRITE)]),
        (0, SECTORS, [(data, 512, f.WRITE)]),
        (0, SECTORS - 1, [(data, 1024, f.WRITE)]),
        (0, TOP, [(data, 512, f.WRITE)]),
        (0, TOP // 512, [(data, 1024, f.WRITE)]),
        (0, 0, [(0, 512, f.WRITE)]),
        (0, 0, [(TOP - 511, 512, f.WRITE)]),
        (0, 0, [(f.GPA + f.MEMORY - 256, 512, f.WRITE)]),
        (0, 0, [(data, 0xFFFFFE00, f.WRITE)]),
        (1, 0, [(0, 512, 0)]),
        (1, SECTORS, [(data, 512, 0)]),
        (11, 0, []), (11, 0, [(data, 15, 0)]), (11, 0, [(data, 4096, 0)]),
        (13, 0, [(data, 0xFFFFFFF0, 0)]),
        (99, 0, [(data, 512, 0)]),
    ]
    for kind, sector, buffers in requests:
        front.memory[f.DATA:f.DATA + 64] = b"\xff" * 64
        status = front.request(kind, sector, buffers)
        assert status in (1, 2), (kind, sector, buffers, status)
        front.read(0, 512)
    # More chains than there are slots.
    front.avail = (front.avail + 1000) & 0xFFFF
    front.offer(0)
    assert front.wait() is None
    front.close()
    yield


def sealed_memory(backend):
    """Sealed memory cannot be cut short."""
    front = backend.connect()
    front.start()
    try:
        os.ftruncate(front.file, 0)
        raise AssertionError("the seal does not hold")
    except PermissionError:
        pass
    front.read(0, 512)
    front.close()
    yield


def memory_that_changes(backend):
    """A row comes and goes at every request; none is forgotten."""
    front = backend.connect()
    front.start()
    payload = bytes(8) + f.row(gpa=1 << 32, user=1 << 32, length=f.PAGE)
    front.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
    front.describe(1, f.GPA + f.DATA, 512, f.WRITE | f.NEXT, 2)
    front.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
    front.put("<IIQ", f.HEADER, 0, 0, 5)
    for _ in range(1500):
        front.memory[f.STATUS] = 0xFF
        front.offer(0)
        front.must(f.ADD_MEM_REG, payload, [front.file])
        assert front.wait() == 513 and front.memory[f.STATUS] == 0
        front.offer(0)
        front.must(f.REM_MEM_REG, payload)
        assert front.wait() == 513 and front.memory[f.STATUS] == 0
    front.close()
    yield


def rings_that_move(backend):
    """A ring is where its user addresses lead, whatever the guest's are."""
    front = backend.connect()
    front.start()
    other = f.memory_file(f.MEMORY)
    front.put("<IIQ", f.HEADER, 0, 0, 5)
    for turn in range(100):
        at, beside = 1 << 32, 2 << 32
        # Two rows exchange their places; the other one has no ring.
        if turn % 2:
            at, beside = beside, at
        rows = [f.row(gpa=at),
                f.row(gpa=beside, user=f.USER + (1 << 40))]
        if turn % 4 < 2:
            front.must(f.SET_MEM_TABLE, f.table(*rows), [front.file, other])
        else:
            front.must(f.SET_MEM_TABLE, f.table(), [])
            for one, file in zip(rows, (front.file, other)):
                front.must(f.ADD_MEM_REG, bytes(8) + one, [file])
        front.describe(0, at + f.HEADER, 16, f.NEXT, 1)
        front.describe(1, at + f.DATA, 512, f.WRITE | f.NEXT, 2)
        front.describe(2, at + f.STATUS, 1, f.WRITE)
        front.memory[f.STATUS] = 0xFF
        front.offer(0)
        assert front.wait() == 513 and front.memory[f.STATUS] == 0
    os.close(other)
    front.close()
    yield


def long_reads_at_once(backend):
    """Long reads that come together, cached or not, end in order and right."""
    front = backend.connect()
    front.start()
    with open(backend.disk, "rb") as disk:
        good = disk.read()
    length, count = 128 * 1024, 5
    for turn in range(40):
        if turn % 2 == 0:
            with open(backend.disk, "rb") as disk:
                os.fsync(disk.fileno())
                os.posix_fadvise(disk.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for i in range(count):
            struct.pack_into("<IIQ", front.memory, f.HEADER + 16 * i,
                             0, 0, 256 * i + turn)
            front.memory[f.STATUS + i] = 0xFF
            front.describe(3 * i, f.GPA + f.HEADER + 16 * i, 16, f.NEXT,
                           3 * i + 1)
            front.describe(3 * i + 1, f.GPA + f.DATA + length * i, length,
                           f.WRITE | f.NEXT, 3 * i + 2)
            front.describe(3 * i + 2, f.GPA + f.STATUS + i, 1, f.WRITE)
        front.memory[f.DATA:f.DATA + length * count] = bytes(length * count)
        front.offer(*(3 * i for i in range(count)))
        for i in range(count):
            assert front.wait() == length + 1
            assert front.memory[f.STATUS + i] == 0
            first = (256 * i + turn) * 512
            assert (front.memory[f.DATA + length * i:
                                 f.DATA + length * (i + 1)] ==
                    good[first:first + length]), (turn, i)
    front.close()
    yield


def takes_shrinkable(backend):
    """Whether memory is taken that could be cut short."""
    front = backend.connect(sealed=False)
    front.features()
    taken = front.tell(f.SET_MEM_TABLE, f.table(f.row()), [front.file]) == 0
    front.close()
    return taken


def run(backend, tests):
    neighbour = Neighbour(backend.neighbour_path)
    neighbour.start()
    assert neighbour.goes_on()
    # What was joined may be seen for a moment more: the least is what it is.
    usual = tuple(map(min, *(backend.serves() for _ in range(5))))
    for test in tests:
        for _ in test(backend):
            backend.must_be(usual)
            assert neighbour.goes_on(), "a neighbour suffers"
        print("ok: %s: %s" % (test.__name__, test.__doc__), flush=True)
    neighbour.end()


def with_backend(function, program, *options, kind=Backend, **more):
    # The sanitizer of a library is loaded by the program that is linked to it.
    with tempfile.TemporaryDirectory() as directory:
        backend = kind(program, directory, *options, **more)
        try:
            function(backend)
            # With --once it would end by itself; the log has what it found.
            backend.process.terminate()
            backend.process.wait()
        finally:
            failed = sys.exc_info()[0] is not None
            if backend.process.poll() is None:
                if failed:
                    print(backend.where())
                backend.process.kill()
                backend.process.wait()
            backend.log.seek(0)
            log = backend.log.read().decode("utf-8", "replace")
            if failed or "Sanitizer" in log:
                print(log[-6000:])
        assert "Sanitizer" not in log and "runtime error" not in log


def usual(backend):
    run(backend, (malformed_messages, broken_headers, lying_tables,
                  lying_rings, hostile_chains, hostile_requests, sealed_memory,
                  memory_that_changes, rings_that_move, long_reads_at_once,
                  hostile_packed_rings, hostile_postcopy))
    if takes_shrinkable(backend):
        run(backend, cut_short.TESTS)
    else:
        # It says why in its log, and refuses; that is all there is to see.
        backend.log.seek(0)
        assert b"only sealed memory is taken" in backend.log.read()
        print("not run: faults cannot be survived here")


def sealed(backend):
    assert not takes_shrinkable(backend)
    print("ok: sealed: with --sealed nothing else is taken", flush=True)


def main(program):
    with_backend(usual, program, "--postcopy")
    with_backend(sealed, program, "--sealed")
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        print("skipped: Python is older than 3.10")
        sys.exit(77)
    sys.exit(main(sys.argv[1]))
