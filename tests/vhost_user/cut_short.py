# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A front end that cuts short the memory it has given away."""
import os
import random
import struct

import frontend as f

READ = 0, 5, [(f.GPA + f.DATA, 4 * 512, f.WRITE)]
WRITE = 1, 5, [(f.GPA + f.DATA, 4 * 512, 0)]


def begin(backend, features=f.FEATURES):
    front = backend.connect(sealed=False)
    front.start(features)
    front.read(0, 512)
    return front


def stop(front):
    """The back end answers, whatever became of the ring."""
    front.ask(f.GET_VRING_BASE, struct.pack("=II", 0, 0))
    front.close()


def data_cut_short(backend):
    """Requests whose data is gone fail alone; it comes back, all is well."""
    front = begin(backend)
    for kind in READ, WRITE:
        # All of it, and from its second sector on.
        for address in f.DATA, f.DATA + f.PAGE:
            os.ftruncate(front.file, f.DATA + f.PAGE)
            chain = [(f.GPA + address - 512, 1024, kind[2][0][2])]
            if address == f.DATA:
                os.ftruncate(front.file, f.DATA)
            status = front.request(kind[0], kind[1], chain)
            assert status == 1, status
            os.ftruncate(front.file, f.MEMORY)
            front.read(5, 4 * 512)
    stop(front)
    yield


def status_cut_short(backend):
    """A request whose status is gone is used, with nothing written."""
    front = begin(backend)
    os.ftruncate(front.file, f.STATUS)
    front.put("<IIQ", f.HEADER, 0, 0, 5)
    front.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
    front.describe(1, f.GPA + f.TABLE, 512, f.WRITE | f.NEXT, 2)
    front.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
    front.offer(0)
    assert front.wait() == 0
    os.ftruncate(front.file, f.MEMORY)
    front.read(5, 512)
    stop(front)
    yield


def ring_cut_short(backend):
    """Without its ring or a header a queue stops, and says so."""
    for end in (f.HEADER, f.USED, f.AVAIL, f.DESC):
        front = begin(backend)
        # As it was, and one chain more, of which the rest is then not there.
        front.put("<IIQ", f.HEADER, 0, 0, 5)
        os.ftruncate(front.file, end)
        if end > f.AVAIL:
            front.put("<H", f.AVAIL + 2, front.avail + 1)
        os.eventfd_write(front.kick, 1)
        assert front.error_comes(), end
        stop(front)
    yield


def log_cut_short(backend):
    """Without the log what would be marked in it is lost, and nothing else."""
    front = begin(backend, f.FEATURES | f.LOG_ALL)
    length = 2 * f.PAGE
    log = f.memory_file(length, sealed=False)
    answer = front.ask(f.SET_LOG_BASE, struct.pack("=QQ", length, 0), [log])
    assert struct.unpack("=Q", answer[0])[0] == 0
    page = (f.GPA + f.DATA) // f.PAGE
    for now in (length, 0, length):
        os.ftruncate(log, now)
        front.read(5, 512)
        marks = os.pread(log, length, 0)
        assert len(marks) == now
        assert now == 0 or marks[page // 8] >> page % 8 & 1 == 1
    os.close(log)
    stop(front)
    yield


def cut_short_in_use(backend):
    """Anywhere, while requests are under way, and back again."""
    seed = int.from_bytes(os.urandom(4), "little")
    random.seed(seed)
    print("seed %d" % seed, flush=True)
    length = 64 * f.PAGE
    for _ in range(150):
        front = begin(backend)
        front.put("<IIQ", f.HEADER, 0, 0, 0)
        front.put("<IIQ", f.HEADER + 16, 1, 0, 512)
        # Chains of three: reads and writes of 256 KiB, in turns.
        for i in range(5):
            way = f.WRITE if i % 2 == 0 else 0
            front.describe(3 * i, f.GPA + f.HEADER + 16 * (i % 2), 16, f.NEXT,
                           3 * i + 1)
            front.describe(3 * i + 1, f.GPA + f.DATA + i * 8 * f.PAGE, length,
                           f.NEXT | way, 3 * i + 2)
            front.describe(3 * i + 2, f.GPA + f.STATUS, 1, f.WRITE)
        for i in range(5):
            front.offer(3 * i)
        for _ in range(random.randrange(1, 6)):
            os.ftruncate(front.file, random.choice((
                0, f.PAGE, f.USED, f.USED + f.PAGE, f.HEADER, f.STATUS,
                random.randrange(f.MEMORY))))
            if random.random() < 0.5:
                os.ftruncate(front.file, f.MEMORY)
            os.eventfd_write(front.kick, 1)
        stop(front)
    yield


TESTS = (data_cut_short, status_cut_short, ring_cut_short, log_cut_short,
         cut_short_in_use)
