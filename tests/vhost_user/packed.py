# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A front end whose packed rings lie."""
import os
import select
import struct

import frontend as f

PACKED = f.FEATURES | 1 << 34
AVAIL_BIT = 1 << 7
USED_BIT = 1 << 15
TOP = (1 << 64) - 1
BIG = 0xFFFFFFFF
HEADER, STATUS = f.GPA + f.HEADER, f.GPA + f.STATUS
DATA = f.GPA + f.DATA
# A table of a good request, in the order of packed rings: number, then flags.
GOOD = [(HEADER, 16, 0, 0), (DATA, 512, 0, f.WRITE), (STATUS, 1, 0, f.WRITE)]
# Both counters of a ring at its beginning, in their first round.
BASE = 0x80008000


def start(backend, base=BASE, size=f.SIZE):
    front = backend.connect()
    front.features(PACKED)
    front.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    front.must(f.SET_VRING_NUM, struct.pack("=II", 0, size))
    front.must(f.SET_VRING_BASE, struct.pack("=II", 0, base))
    front.must(f.SET_VRING_ADDR, struct.pack(
        "=IIQQQQ", 0, 0, f.USER + f.DESC, f.USER + f.USED, f.USER + f.AVAIL,
        0))
    front.must(f.SET_VRING_CALL, struct.pack("=Q", 0), [front.call])
    front.must(f.SET_VRING_ERR, struct.pack("=Q", 0), [front.error])
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    front.must(f.SET_VRING_ENABLE, struct.pack("=II", 0, 1))
    return front


def offer(front, at, *descs):
    """Descriptors at a slot and behind it; the first is given last."""
    for i, (address, length, flags) in reversed(list(enumerate(descs))):
        front.put("<QIH", f.DESC + 16 * (at + i), address, length, 7)
        front.put("<H", f.DESC + 16 * (at + i) + 14, flags | AVAIL_BIT)
    os.eventfd_write(front.kick, 1)


def used(front, at):
    """What a slot was used with; None if the ring is broken instead."""
    while True:
        _, length, number, flags = front.get("<QIHH", f.DESC + 16 * at)
        if flags & (AVAIL_BIT | USED_BIT) == AVAIL_BIT | USED_BIT:
            assert number == 7
            return length
        ready, _, _ = select.select([front.call, front.error], [], [],
                                    f.LIMIT)
        assert ready, "the back end does not answer"
        if front.error in ready:
            return None
        os.eventfd_read(front.call)


def chains(front):
    """What no driver would put into a ring."""
    def indirect(length, flags=f.INDIRECT, address=f.GPA + f.TABLE, descs=()):
        for i, desc in enumerate(descs):
            front.describe(i, *desc, at=f.TABLE)
        return [(address, length, flags)]

    return [
        # All slots, and it goes on.
        [(HEADER, 16, f.NEXT)] * f.SIZE,
        [(DATA, BIG, f.WRITE | f.NEXT)] * f.SIZE,
        [(HEADER, 0, f.NEXT)] * f.SIZE,
        *[[(HEADER, 16, f.NEXT), (address, length, f.WRITE)]
          for address in (0, 1, 4095, 1 << 32, 1 << 63, TOP)
          for length in (0, 1, 4095, BIG)],
        *[[(address, length, f.NEXT), (STATUS, 1, f.WRITE)]
          for address in (0, 1 << 32, 1 << 63, TOP)
          for length in (16, BIG)],
        [(HEADER, 16, 0)],
        [(STATUS, 1, f.WRITE)],
        [(STATUS, 1, f.WRITE | f.NEXT), (HEADER, 16, 0)],
        *[indirect(length, descs=GOOD)
          for length in (0, 1, 15, 47, 49, 16 * 40000, 0xFFFFFFF0, BIG)],
        *[indirect(48, address=address) for address in (0, 1 << 63, TOP)],
        # A table is the whole chain; more behind it would do.
        indirect(32, flags=f.INDIRECT | f.NEXT, descs=GOOD) +
        [(STATUS, 1, f.WRITE | f.NEXT), (STATUS + 1, 1, f.WRITE)],
    ]


def is_broken(chain):
    """Whether the ring must be broken by it, not just the request."""
    return len(chain) != 2


def hostile_packed_rings(backend):
    """Packed rings: chains without end, lengths of 2^32 - 1, wrong counters."""
    front = backend.connect()
    count = len(chains(front))
    front.close()
    for i in range(count):
        front = start(backend)
        front.put("<IIQ", f.HEADER, 0, 0, 5)
        offer(front, 0, (HEADER, 16, f.NEXT), (DATA, 512, f.WRITE | f.NEXT),
              (STATUS, 1, f.WRITE))
        assert used(front, 0) == 513 and front.memory[f.STATUS] == 0
        chain = chains(front)[i]
        # The end first, as the ring may be looked at once it has the rest.
        for slot, (address, length, flags) in enumerate(chain[f.SIZE - 3:]):
            # In the next round what is available has the other bits.
            front.put("<QIHH", f.DESC + 16 * slot, address, length, 7,
                      flags | USED_BIT)
        offer(front, 3, *chain[:f.SIZE - 3])
        length = used(front, 3)
        assert length is None or not is_broken(chain), chain
        front.ask(f.GET_VRING_BASE, struct.pack("=II", 0, 0))
        front.close()
    # The same table is good with its own length.
    front = start(backend)
    front.put("<IIQ", f.HEADER, 0, 0, 5)
    for i, desc in enumerate(GOOD):
        front.describe(i, *desc, at=f.TABLE)
    offer(front, 0, (f.GPA + f.TABLE, 48, f.INDIRECT))
    assert used(front, 0) == 513
    front.close()
    for base in (f.SIZE, 0x7FFF, 0x7FFF << 16, f.SIZE << 16, BIG):
        front = start(backend, base)
        os.eventfd_write(front.kick, 1)
        assert front.error_comes(), hex(base)
        front.close()
    yield
