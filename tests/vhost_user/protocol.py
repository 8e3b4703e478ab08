#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""protocol.py BACKEND - what the specification of vhost-user says of messages.

A front end that keeps to it, and sees that the back end does: when rings start,
which messages are answered, what may change while a ring runs.
"""
import ctypes
import errno
import os
import select
import socket
import struct
import sys

import frontend as f
import hostile
from frontend import FrontEnd, Gone

SET_LOG_FD, SET_BACKEND_REQ_FD, IOTLB_MSG, SET_CONFIG = 7, 21, 22, 25
MISS, UPDATE, INVALIDATE = 1, 2, 3
READ, WRITE = 1, 2
ACCESS_PLATFORM = 1 << 33
BACKEND_REQ = 1 << 5
IOVA = 0x40000000
FULL = (1 << 64) - 2  # of an eventfd
CACHESTAT = 451  # the system call, of every processor but alpha


def good(answer):
    return struct.unpack("=Q", answer)[0] == 0


def state(index, value=0):
    return struct.pack("=II", index, value)


def addresses(base=f.USER, used=f.USED):
    return struct.pack("=IIQQQQ", 0, 0, base + f.DESC, base + used,
                       base + f.AVAIL, 0)


def prepare(front, base=f.GPA, at=f.DESC):
    """A request for the first sector, and its chain."""
    front.put("<IIQ", f.HEADER, 0, 0, 0)
    front.memory[f.STATUS] = 0xFF
    front.describe(0, base + f.HEADER, 16, f.NEXT, 1, at=at)
    front.describe(1, base + f.DATA, 512, f.WRITE | f.NEXT, 2, at=at)
    front.describe(2, base + f.STATUS, 1, f.WRITE, at=at)
    return 0


def offer_silently(front):
    front.put("<H", f.AVAIL + 4, prepare(front))
    front.avail = 1
    front.put("<H", f.AVAIL + 2, 1)


def dirty_pages(path):
    """How many of a file are not on the disk yet; None if nobody can tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    all_of_it = (ctypes.c_uint64 * 2)(0, 0)
    counts = (ctypes.c_uint64 * 5)()
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    rc = libc.syscall(CACHESTAT, file, all_of_it, counts, 0)
    os.close(file)
    if rc != 0:
        assert ctypes.get_errno() in (errno.ENOSYS, errno.EPERM)
        return None
    return counts[1] + counts[2]


def writes_without_flush(backend):
    """A driver that cannot flush need not: what it wrote is on the disk."""
    front = backend.connect()
    front.start(f.FEATURES & ~f.FLUSH)
    front.write(0, os.urandom(8 * 512))
    if dirty_pages(backend.disk) is None:
        print("not seen: Linux is older than 6.5")
    else:
        assert dirty_pages(backend.disk) == 0
    front.close()
    yield


def rings_start_on_a_kick(backend):
    """Nothing is taken from a ring before; until then all of it may change."""
    front = backend.connect()
    front.features()
    front.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    front.must(f.SET_VRING_NUM, state(0, f.SIZE))
    front.must(f.SET_VRING_ADDR, addresses(used=f.TABLE))
    front.must(f.SET_VRING_CALL, struct.pack("=Q", 0), [front.call])
    front.must(f.SET_VRING_ERR, struct.pack("=Q", 0), [front.error])
    front.must(f.SET_VRING_ENABLE, state(0, 1))
    offer_silently(front)
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    for _ in range(200):
        front.number(f.GET_MAX_MEM_SLOTS)
    front.must(f.SET_VRING_ADDR, addresses())
    front.must(f.SET_VRING_NUM, state(0, f.SIZE))
    front.must(f.SET_VRING_BASE, state(0, 0))
    assert front.get("<H", f.TABLE + 2) == (0,)
    assert front.get("<H", f.USED + 2) == (0,)
    os.eventfd_write(front.kick, 1)
    assert front.wait() == 513 and front.memory[f.STATUS] == 0
    # Now it runs, also without another kick when it was disabled.
    assert front.tell(f.SET_VRING_BASE, state(0, 5)) != 0
    front.must(f.SET_VRING_ENABLE, state(0, 0))
    front.put("<H", f.AVAIL + 4 + 2, prepare(front))
    front.put("<H", f.AVAIL + 2, 2)
    assert front.get("<H", f.USED + 2) == (1,)
    front.must(f.SET_VRING_ENABLE, state(0, 1))
    assert front.wait() == 513
    answer, _ = front.ask(f.GET_VRING_BASE, state(0))
    assert answer == state(0, 2)
    # Stopped, it wants to be kicked again.
    front.must(f.SET_VRING_BASE, state(0, 2))
    front.put("<H", f.AVAIL + 4 + 4, prepare(front))
    front.put("<H", f.AVAIL + 2, 3)
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    for _ in range(200):
        front.number(f.GET_MAX_MEM_SLOTS)
    assert front.get("<H", f.USED + 2) == (2,)
    os.eventfd_write(front.kick, 1)
    assert front.wait() == 513
    front.close()
    yield


def rings_of_old_front_ends(backend):
    """Without protocol features rings are enabled as they are."""
    front = backend.connect()
    front.number(f.GET_FEATURES)
    front.send(f.SET_FEATURES, struct.pack("=Q", 1 << 32))
    front.send(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    front.send(f.SET_VRING_NUM, state(0, f.SIZE))
    front.send(f.SET_VRING_BASE, state(0, 0))
    front.send(f.SET_VRING_ADDR, addresses())
    front.send(f.SET_VRING_CALL, struct.pack("=Q", 0), [front.call])
    front.send(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.read(0, 512)
    # What a guest writes to its configuration does not end the session.
    front.send(SET_CONFIG, struct.pack("=III", 0, 1, 0) + b"\1")
    front.read(0, 512)
    # The log of a front end without LOG_SHMFD is in no file, and a mistake.
    front.send(f.SET_LOG_BASE, struct.pack("=Q", 0))
    try:
        front.receive()
        raise AssertionError("it was answered")
    except Gone:
        pass
    front.close()
    yield


def messages_of_little_use(backend):
    """They are taken, or refused, as the specification says."""
    front = backend.connect()
    front.start()
    front.must(SET_LOG_FD, b"", [front.error])
    # Nothing can be written to, but what a migration brings is no mistake.
    assert front.tell(SET_CONFIG, struct.pack("=III", 0, 1, 0) + b"\1") != 0
    front.must(SET_CONFIG, struct.pack("=III", 0, 1, 1) + b"\1")
    whole, _ = front.ask(f.GET_CONFIG, struct.pack("=III", 0, 60, 0) +
                         bytes(60))
    assert struct.unpack_from("<Q", whole, 12)[0] == hostile.SECTORS
    part, _ = front.ask(f.GET_CONFIG, struct.pack("=III", 20, 4, 0) + bytes(4))
    assert part[12:] == whole[12 + 20:12 + 24]
    assert struct.unpack_from("<I", part, 12)[0] == 512
    for offset, size in ((0, 257), (253, 4), (0xFFFFFFFF, 4), (257, 0)):
        payload = struct.pack("=III", offset, size, 0) + bytes(size)
        assert front.ask(f.GET_CONFIG, payload)[0] == b""
    assert front.tell(f.SET_PROTOCOL_FEATURES,
                      struct.pack("=Q", f.PROTOCOL | 1 << 63)) != 0
    front.read(0, 512)
    front.close()
    yield


def rings_that_stop_at_once(backend):
    """Whatever their thread is about to do when it is told."""
    front = backend.connect()
    front.start()
    for i in range(10000):
        if i % 2 != 0:
            os.eventfd_write(front.kick, 1)
        front.ask(f.GET_VRING_BASE, state(0))
        front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.read(0, 512)
    front.close()
    yield


def counters_that_are_full(backend):
    """A signal that has no room does not hold up the ring."""
    front = backend.connect()
    front.start()
    for fd in front.call, front.error:
        os.eventfd_write(fd, FULL)
    front.offer(prepare(front))
    answer = b""
    # It stops, and says where, as soon as it has used what was offered.
    while answer != state(0, 1):
        answer, _ = front.ask(f.GET_VRING_BASE, state(0))
        front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
        os.eventfd_write(front.kick, 1)
    assert front.get("<H", f.USED + 2) == (1,)
    # And with a chain that breaks it.
    front.offer(f.SIZE)
    front.ask(f.GET_VRING_BASE, state(0))
    front.close()
    yield


class Translating(FrontEnd):
    """A front end with an IOMMU; its ring is larger than a page."""

    def __init__(self, path):
        super().__init__(path)
        self.requests, self.theirs = socket.socketpair()
        self.requests.settimeout(f.LIMIT)
        self.missed = []

    def close(self):
        self.requests.close()
        self.theirs.close()
        super().close()

    def begin(self):
        self.features(f.FEATURES | ACCESS_PLATFORM)
        self.send(f.SET_PROTOCOL_FEATURES,
                  struct.pack("=Q", f.PROTOCOL | BACKEND_REQ))
        self.must(f.SET_MEM_TABLE, f.table(f.row()), [self.file])
        self.must(SET_BACKEND_REQ_FD, b"", [self.theirs.fileno()])

    def iotlb(self, kind, offset, length=f.PAGE, access=0):
        """It is answered, whether that was asked for or not."""
        answer, _ = self.ask(IOTLB_MSG, struct.pack(
            "=QQQBBHI", IOVA + offset, length, f.USER + offset, access, kind,
            0, 0))
        assert good(answer)

    def miss(self):
        """One translation that is missing: its page and access."""
        message = self.requests.recv(12 + 32, socket.MSG_WAITALL)
        iova, _, _, access, kind = struct.unpack_from("=QQQBB", message, 12)
        assert kind == MISS
        self.missed.append(((iova - IOVA) & -f.PAGE, access))
        return self.missed[-1]

    def answer(self):
        page, access = self.miss()
        # No more than what is asked for.
        self.iotlb(UPDATE, page, access=access)

    def wait_and_answer(self):
        """Until something is used."""
        while True:
            ready, _, _ = select.select(
                [self.requests, self.call, self.error], [], [], f.LIMIT)
            assert ready and self.error not in ready
            if self.requests in ready:
                self.answer()
            else:
                os.eventfd_read(self.call)
                return


def translated(front, size, base, desc, avail, used):
    front.must(f.SET_VRING_NUM, state(0, size))
    front.must(f.SET_VRING_BASE, state(0, base))
    front.must(f.SET_VRING_ADDR, struct.pack(
        "=IIQQQQ", 0, 0, IOVA + desc, IOVA + used, IOVA + avail, 0))
    front.must(f.SET_VRING_CALL, struct.pack("=Q", 0), [front.call])
    front.must(f.SET_VRING_ERR, struct.pack("=Q", 0), [front.error])
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.must(f.SET_VRING_ENABLE, state(0, 1))


def used_once(backend):
    """A chain is used once, also if the index could not be written at first."""
    front = Translating(backend.path)
    front.begin()
    size, base = 1024, 600
    desc, avail, used = 32 * f.PAGE, 40 * f.PAGE, 48 * f.PAGE
    for ring in avail, used:
        front.put("<H", ring + 2, base)
    translated(front, size, base, desc, avail, used)
    prepare(front, IOVA, desc)
    front.put("<H", avail + 4 + 2 * base, 0)
    front.put("<H", avail + 2, base + 1)
    os.eventfd_write(front.kick, 1)
    front.wait_and_answer()
    # The index is in another page, which was only read until then.
    assert (used, READ) in front.missed and (used, WRITE) in front.missed
    assert front.memory[f.STATUS] == 0
    answer, _ = front.ask(f.GET_VRING_BASE, state(0))
    assert answer == state(0, base + 1)
    assert front.get("<H", used + 2) == (base + 1,)
    assert front.get("<II", used + 4 + 8 * base) == (0, 513)
    assert front.get("<II", used + 12 + 8 * base) == (0, 0)
    front.close()
    yield


def stopped_without_translation(backend):
    """Who stops a ring is who would answer it; what is not used is not lost."""
    front = Translating(backend.path)
    front.begin()
    # Right at the start, where nothing is known of the ring.
    translated(front, f.SIZE, 0, f.DESC, f.AVAIL, f.USED)
    os.eventfd_write(front.kick, 1)
    front.miss()
    assert front.ask(f.GET_VRING_BASE, state(0))[0] == state(0, 0)
    # And with a request that is done and cannot be used.
    for page in range(0, f.MEMORY, f.PAGE):
        if page != f.USED:
            front.iotlb(UPDATE, page, access=READ | WRITE)
    front.iotlb(UPDATE, f.USED, access=READ)
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.offer(prepare(front, IOVA))
    page, access = None, None
    while (page, access) != (f.USED, WRITE):
        page, access = front.miss()
    assert front.memory[f.STATUS] == 0
    assert front.ask(f.GET_VRING_BASE, state(0))[0] == state(0, 0)
    assert not select.select([front.error], [], [], 0)[0]
    front.iotlb(UPDATE, f.USED, access=READ | WRITE)
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    os.eventfd_write(front.kick, 1)
    assert front.wait() == 513 and front.memory[f.STATUS] == 0
    assert front.get("<H", f.USED + 2) == (1,)
    front.close()
    yield


def misses_that_nobody_reads(backend):
    """A full channel breaks the ring that needs it, and holds up nothing."""
    front = Translating(backend.path)
    front.begin()
    front.theirs.setblocking(False)
    try:
        while True:
            front.theirs.send(bytes(4096))
    except BlockingIOError:
        pass
    front.theirs.setblocking(True)
    translated(front, f.SIZE, 0, f.DESC, f.AVAIL, f.USED)
    os.eventfd_write(front.kick, 1)
    assert front.error_comes()
    front.ask(f.GET_VRING_BASE, state(0))
    front.close()
    yield


def features_change(backend):
    """Between two drivers, but not under a ring that runs."""
    front = Translating(backend.path)
    front.start()
    plain = struct.pack("=Q", f.FEATURES)
    other = struct.pack("=Q", f.FEATURES | ACCESS_PLATFORM)
    front.read(0, 512)
    assert front.tell(f.SET_FEATURES, other) != 0
    front.must(f.SET_FEATURES, struct.pack("=Q", f.FEATURES | f.LOG_ALL))
    front.must(f.SET_FEATURES, plain)
    front.read(0, 512)
    # The next driver has its addresses translated, the one after not.
    front.ask(f.GET_VRING_BASE, state(0))
    front.must(f.SET_FEATURES, other)
    front.must(f.SET_PROTOCOL_FEATURES,
               struct.pack("=Q", f.PROTOCOL | BACKEND_REQ))
    front.must(SET_BACKEND_REQ_FD, b"", [front.theirs.fileno()])
    front.iotlb(UPDATE, 0, f.MEMORY, READ | WRITE)
    front.must(f.SET_VRING_ADDR, addresses(IOVA))
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.offer(prepare(front, IOVA))
    assert front.wait() == 513 and front.memory[f.STATUS] == 0
    assert not front.missed
    front.ask(f.GET_VRING_BASE, state(0))
    front.must(f.SET_FEATURES, plain)
    front.must(f.SET_VRING_ADDR, addresses())
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.read(0, 512)
    front.close()
    yield


def everything(backend):
    hostile.run(backend, (
        rings_start_on_a_kick, rings_of_old_front_ends,
        messages_of_little_use, writes_without_flush, rings_that_stop_at_once,
        counters_that_are_full, used_once, stopped_without_translation,
        misses_that_nobody_reads, features_change))


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        print("skipped: Python is older than 3.10")
        sys.exit(77)
    hostile.with_backend(everything, sys.argv[1])
