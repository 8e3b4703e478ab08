#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""iommu.py BACKEND - memory and translations that go while a request is served.

The front end plays a guest with an IOMMU.  A translation is asked for only while
the guest has its page mapped: a question that comes later is a DMA fault in the
log of the guest's kernel.  Whatever goes meanwhile, a chain is used with its
status, and each page that was written is in the dirty log.
"""
import os
import random
import select
import struct
import sys
import time

import frontend as f
import hostile
import protocol
from frontend import FrontEnd
from protocol import (ACCESS_PLATFORM, BACKEND_REQ, INVALIDATE, IOVA, MISS,
                      READ, UPDATE, WRITE, Translating, translated)

BIG = 80 << 20
PIECE = 4 << 20
PIECES = 12
IOTLB_ENTRIES = 4096


class Guest(Translating):
    """It has pages of its own choice mapped, and answers for those."""

    def begin(self, log=None):
        self.mapped = set()
        self.faults = []
        features = f.FEATURES | ACCESS_PLATFORM
        self.features(features)
        self.send(f.SET_PROTOCOL_FEATURES,
                  struct.pack("=Q", f.PROTOCOL | BACKEND_REQ))
        self.must(f.SET_MEM_TABLE, f.table(f.row(length=f.MEMORY)),
                  [self.file])
        self.must(protocol.SET_BACKEND_REQ_FD, b"", [self.theirs.fileno()])
        if log is not None:
            self.must(f.SET_LOG_BASE, struct.pack("=QQ", log.length, 0),
                      [log.file])
            self.must(f.SET_FEATURES, struct.pack("=Q", features | f.LOG_ALL))
        translated(self, f.SIZE, 0, f.DESC, f.AVAIL, f.USED)

    def answer(self):
        message = self.requests.recv(12 + 32, 0x100)  # MSG_WAITALL
        iova, _, _, _, kind = struct.unpack_from("=QQQBB", message, 12)
        page = (iova - IOVA) & -f.PAGE
        assert kind == MISS
        self.missed.append(page)
        if page in self.mapped:
            self.iotlb(UPDATE, page, access=READ | WRITE)
        else:
            self.faults.append(page)

    def serve(self, until):
        """Answers until 'until' says that it is enough."""
        end = time.monotonic() + f.LIMIT
        while not until():
            ready, _, _ = select.select([self.requests, self.call, self.error],
                                        [], [], 0.001)
            assert self.error not in ready, "the ring is broken"
            assert time.monotonic() < end, "the back end does not answer"
            if self.requests in ready:
                self.answer()
            elif self.call in ready:
                os.eventfd_read(self.call)

    def is_used(self):
        return self.index(f.USED + 2) != self.used

    def finish(self, written):
        """The chain is used, with its status; the guest takes its pages back."""
        assert self.get("<II", f.USED + 4 + 8 * (self.used % f.SIZE)) == (
            0, written + 1)
        self.used = (self.used + 1) & 0xFFFF
        assert self.memory[f.STATUS] == 0, self.memory[f.STATUS]

    def settle(self):
        """What was asked before the chain was used stands in the socket."""
        self.mapped = {f.DESC, f.AVAIL, f.USED}
        while select.select([self.requests], [], [], 0)[0]:
            self.answer()
        assert not self.faults, ["%#x" % page for page in self.faults]

    def chain(self, sector, buffers, kind=0):
        self.put("<IIQ", f.HEADER, kind, 0, sector)
        self.memory[f.STATUS] = 0xFF
        self.describe(0, IOVA + f.HEADER, 16, f.NEXT, 1)
        for i, (offset, length) in enumerate(buffers, 1):
            self.describe(i, IOVA + offset, length,
                          f.NEXT | (f.WRITE if kind == 0 else 0), i + 1)
        self.describe(len(buffers) + 1, IOVA + f.STATUS, 1, f.WRITE)
        self.mapped = {f.DESC, f.AVAIL, f.USED, f.HEADER, f.STATUS}
        for offset, length in buffers:
            self.mapped.update(range(offset & -f.PAGE, offset + length,
                                     f.PAGE))


class Log:
    def __init__(self):
        self.length = (f.GPA + f.MEMORY) // f.PAGE // 8
        self.file = f.memory_file(self.length)

    def pages(self):
        bits = os.pread(self.file, self.length, 0)
        return {page for page in range(8 * self.length)
                if bits[page // 8] >> page % 8 & 1}


def asked_once(backend):
    """Each page is asked for once, and not when the guest has it back."""
    front = Guest(backend.path)
    front.begin()
    with open(backend.disk, "rb") as disk:
        good = disk.read()
    # Every second page, so that none of them is one with its neighbour.
    buffers = [(f.DATA + 2 * f.PAGE * i + 512 * i, 2048) for i in range(12)]
    for turn in range(200):
        front.missed = []
        front.chain(turn, buffers)
        front.offer(0)
        front.serve(front.is_used)
        front.finish(2048 * len(buffers))
        for i, (offset, length) in enumerate(buffers):
            first = 512 * turn + 2048 * i
            assert (front.memory[offset:offset + length] ==
                    good[first:first + length])
        assert len(front.missed) == len(set(front.missed)), front.missed
        front.settle()
        # The guest takes its pages back, as a flush of its IOMMU tells.
        front.iotlb(INVALIDATE, -IOVA, IOVA + (1 << 40))
    front.close()
    yield


def long_read(front, backend, log, disturb):
    """A read of many megabytes, and what disturbs it while it is copied."""
    front.iotlb(INVALIDATE, -IOVA, IOVA + (1 << 40))
    with open(backend.disk, "rb") as disk:
        os.fsync(disk.fileno())
        os.posix_fadvise(disk.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    os.pwrite(log.file, bytes(log.length), 0)
    start = f.DATA + f.PAGE
    buffers = [(start + PIECE * i, PIECE) for i in range(PIECES)]
    front.memory[start:start + PIECE * PIECES] = bytes(PIECE * PIECES)
    front.chain(0, buffers)
    # All in few entries: what evicts them comes later.
    for offset in f.DESC, f.AVAIL, f.USED, f.HEADER, f.STATUS:
        front.iotlb(UPDATE, offset, access=READ | WRITE)
    front.iotlb(UPDATE, start, PIECE * PIECES, READ | WRITE)
    front.offer(0)
    front.serve(lambda: front.memory[start:start + 64] != bytes(64) or
                front.is_used())
    early = not front.is_used()
    disturb(front)
    front.serve(front.is_used)
    front.finish(PIECE * PIECES)
    front.settle()
    pages = log.pages()
    lost = [page for page in range(start // f.PAGE,
                                   (start + PIECE * PIECES) // f.PAGE)
            if page + f.GPA // f.PAGE not in pages]
    assert not lost, "%d pages are not in the log" % len(lost)
    for page in f.STATUS, f.USED:
        assert (f.GPA + page) // f.PAGE in pages
    return early


def invalidate(front):
    front.iotlb(INVALIDATE, -IOVA, IOVA + (1 << 40))


def evict(front):
    """Other translations, in the way of a driver that has many requests."""
    payloads = [struct.pack("=QQQBBHI", (1 << 40) + 2 * f.PAGE * i, f.PAGE,
                            f.USER, READ | WRITE, UPDATE, 0, 0)
                for i in range(IOTLB_ENTRIES + 300)]
    for first in range(0, len(payloads), 64):
        batch = payloads[first:first + 64]
        for payload in batch:
            front.send(protocol.IOTLB_MSG, payload)
        for _ in batch:
            assert protocol.good(front.receive()[1])


def gone_meanwhile(backend):
    """A translation goes while the kernel writes: nothing is lost with it."""
    small = f.MEMORY
    f.MEMORY = BIG
    try:
        front = Guest(backend.path)
        log = Log()
        front.begin(log)
        for disturb in invalidate, evict:
            early = sum(long_read(front, backend, log, disturb)
                        for _ in range(6))
            # Few are so slow that it does not come in time.
            assert early > 0, "nothing was disturbed"
        front.close()
        os.close(log.file)
    finally:
        f.MEMORY = small
    yield


def storm(backend):
    """Invalidations at any moment; each request ends well, data is right."""
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed %d" % seed)
    rng = random.Random(seed)
    front = Guest(backend.path)
    front.begin()
    disk = bytearray(open(backend.disk, "rb").read())
    for _ in range(300):
        sector = rng.randrange(hostile.SECTORS - 64)
        buffers = [(f.DATA + 3 * f.PAGE * i, 512 * rng.randint(1, 8))
                   for i in range(rng.randint(1, 8))]
        kind = rng.randrange(2)
        front.chain(sector, buffers, kind)
        at = 512 * sector
        for offset, length in buffers:
            if kind == 1:
                data = os.urandom(length)
                front.memory[offset:offset + length] = data
                disk[at:at + length] = data
                at += length
        front.offer(0)
        # As many as there are answers: how quick this loop is does not matter,
        # as a back end gives up where nothing stays until it is used.
        invalidate(front)
        while not front.is_used():
            if select.select([front.requests], [], [], 0)[0]:
                front.answer()
                if rng.randrange(8) == 0:
                    invalidate(front)
        front.finish(sum(length for _, length in buffers) if kind == 0 else 0)
        if kind == 0:
            for offset, length in buffers:
                assert front.memory[offset:offset + length] == \
                    disk[at:at + length]
                at += length
        front.settle()
        invalidate(front)
    front.close()
    with open(backend.disk, "rb") as file:
        assert file.read() == disk
    yield


def never_translated(backend):
    """Data that has no translation fails its request, and nothing else."""
    front = Guest(backend.path)
    front.begin()
    front.chain(0, [(f.DATA, 512)])
    front.mapped.remove(f.DATA)
    front.offer(0)
    front.serve(front.is_used)
    assert front.memory[f.STATUS] == 1  # IOERR
    assert front.faults == [f.DATA]
    front.used += 1
    front.faults = []
    front.chain(0, [(f.DATA, 512)])
    front.offer(0)
    front.serve(front.is_used)
    front.finish(512)
    front.settle()
    front.close()
    yield


ROWS = ((f.GPA, f.USER, 0, 64 * f.PAGE),
        (f.GPA + (1 << 30), f.USER + (1 << 30), 64 * f.PAGE, 64 * f.PAGE))


def row(index):
    gpa, user, offset, length = ROWS[index]
    return f.row(gpa, length, user, offset)


def wait_for_use(front):
    front.wait()
    assert not select.select([front.error], [], [], 0)[0]


def away_for_a_while(backend):
    """Memory goes and comes back at once: what needs it meanwhile waits."""
    front = FrontEnd(backend.path)
    front.start()
    front.must(f.SET_MEM_TABLE, f.table(row(0), row(1)), [front.file] * 2)
    data = ROWS[1][0]

    def take(index):
        if take.whole:
            front.must(f.SET_MEM_TABLE, f.table(row(1 - index)), [front.file])
        else:
            front.must(f.REM_MEM_REG, bytes(8) + row(index))

    def bring(index):
        if take.whole:
            front.must(f.SET_MEM_TABLE, f.table(row(0), row(1)),
                       [front.file] * 2)
        else:
            front.must(f.ADD_MEM_REG, bytes(8) + row(index), [front.file])

    for turn in range(200):
        take.whole = turn % 2 == 1
        index = turn // 2 % 2
        front.put("<IIQ", f.HEADER, 0, 0, turn)
        front.memory[f.STATUS] = 0xFF
        front.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
        front.describe(1, data + f.PAGE * (turn % 60), 512, f.NEXT | f.WRITE,
                       2)
        front.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
        take(index)
        front.offer(0)
        # The kick has been taken by now, in some turns.
        for _ in range(turn % 7):
            front.number(f.GET_FEATURES)
        bring(index)
        wait_for_use(front)
        assert front.memory[f.STATUS] == 0, turn
    # What is not there for good fails, and the ring goes on.
    assert front.request(0, 0, [(data + (1 << 30), 512, f.WRITE)]) == 1
    assert front.request(0, 0, [(data, 512, f.WRITE)]) == 0
    front.close()
    yield


def gone_for_good(backend):
    """A ring without memory says so; it goes on when the memory is back."""
    front = FrontEnd(backend.path)
    front.start()
    front.must(f.SET_MEM_TABLE, f.table(row(0), row(1)), [front.file] * 2)
    front.read(0, 512)
    front.must(f.REM_MEM_REG, bytes(8) + row(0))
    front.offer(protocol.prepare(front))
    assert front.error_comes()
    os.eventfd_read(front.error)
    front.must(f.ADD_MEM_REG, bytes(8) + row(0), [front.file])
    wait_for_use(front)
    assert front.memory[f.STATUS] == 0
    # And one that waits can be stopped.
    front.must(f.REM_MEM_REG, bytes(8) + row(0))
    front.offer(protocol.prepare(front))
    assert front.error_comes()
    front.ask(f.GET_VRING_BASE, protocol.state(0))
    front.close()
    yield


def everything(backend):
    hostile.run(backend, (asked_once, gone_meanwhile, storm, never_translated,
                          away_for_a_while, gone_for_good))


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        print("skipped: Python is older than 3.10")
        sys.exit(77)
    # A read that takes a while.
    hostile.SECTORS = PIECE * PIECES // 512
    hostile.with_backend(everything, sys.argv[1])
