# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A front end that brings memory later, or says that it will."""
import ctypes
import fcntl
import os
import platform
import select
import struct
import tempfile

import frontend as f
from frontend import FrontEnd, Gone

PAGEFAULT = 1 << 8
UFFDIO_WAKE = 0x8010AA02
ACK = struct.pack("=Q", 0)
# Pages that nobody has touched yet.
FRESH = f.DATA + 32 * f.PAGE


def permitted():
    """Whether the system gives this user a userfaultfd that has it all."""
    number = {"x86_64": 323, "aarch64": 282, "riscv64": 282}
    libc = ctypes.CDLL(None)
    fd = libc.syscall(number[platform.machine()],
                      os.O_CLOEXEC | os.O_NONBLOCK)
    if fd >= 0:
        os.close(fd)
    return fd >= 0 or os.access("/dev/userfaultfd", os.R_OK | os.W_OK)


class PostcopyFrontEnd(FrontEnd):
    def __init__(self, path, phase=""):
        super().__init__(path)
        self.uffd = -1
        self.base = 0
        self.brought = []
        self.features()
        self.send(f.SET_PROTOCOL_FEATURES,
                  struct.pack("=Q", f.PROTOCOL | PAGEFAULT))
        if phase in ("advised", "listening", "told", "ready"):
            assert self.advise()
        if phase in ("listening", "told", "ready"):
            self.must(f.POSTCOPY_LISTEN)
        if phase in ("told", "ready"):
            self.tell_table()
        if phase == "ready":
            self.send(f.SET_MEM_TABLE, ACK)
            self.start_ring()

    def close(self):
        super().close()
        if self.uffd >= 0:
            os.close(self.uffd)

    def advise(self, payload=b"", fds=()):
        """Whether a descriptor has come."""
        payload, fds = self.ask(f.POSTCOPY_ADVISE, payload, fds)
        assert payload == b"" and len(fds) <= 1
        if fds and self.uffd < 0:
            self.uffd = fds[0]
        elif fds:
            os.close(fds[0])
        return bool(fds)

    def tell_table(self):
        rows = f.table(f.row())
        answer, _ = self.ask(f.SET_MEM_TABLE, rows, [self.file])
        # The same, but for the user address.
        assert answer[:24] == rows[:24] and answer[32:] == rows[32:]
        (self.base,) = struct.unpack_from("=Q", answer, 24)
        assert self.base != f.USER and self.base % f.PAGE == 0

    def start_ring(self):
        # As in FrontEnd.start().
        self.must(f.SET_VRING_NUM, struct.pack("=II", 0, f.SIZE))
        self.must(f.SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", 0, 0, f.USER + f.DESC, f.USER + f.USED,
            f.USER + f.AVAIL, 0))
        self.must(f.SET_VRING_CALL, struct.pack("=Q", 0), [self.call])
        self.must(f.SET_VRING_ERR, struct.pack("=Q", 0), [self.error])
        self.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [self.kick])
        self.must(f.SET_VRING_ENABLE, struct.pack("=II", 0, 1))

    def fault(self):
        """Waits for a fault; where it is in our memory."""
        ready, _, _ = select.select([self.uffd], [], [], f.LIMIT)
        assert ready, "no fault"
        event = os.read(self.uffd, 32)
        assert event[0] == 0x12, "no page fault"
        (address,) = struct.unpack_from("=Q", event, 16)
        offset = address - self.base
        assert 0 <= offset < f.MEMORY, hex(address)
        return offset

    def bring(self, offset):
        """What QEMU does: into its own mapping, and a wake."""
        os.pwrite(self.file, content(offset), offset)
        fcntl.ioctl(self.uffd, UFFDIO_WAKE,
                    struct.pack("=QQ", self.base + offset, f.PAGE))
        self.brought.append(offset)

    def wait(self):
        while self.uffd >= 0 and struct.unpack_from(
                "<H", self.memory, f.USED + 2)[0] == self.used:
            ready, _, _ = select.select([self.call, self.error, self.uffd],
                                        [], [], f.LIMIT)
            assert ready, "the back end does not answer"
            if self.uffd in ready:
                self.bring(self.fault())
            elif self.error in ready:
                break
            else:
                os.eventfd_read(self.call)
        return super().wait()

    def offer_write(self, sector, length):
        """A request to write what is in pages that have not come."""
        struct.pack_into("<IIQ", self.memory, f.HEADER, 1, 0, sector)
        self.memory[f.STATUS] = 0xFF
        self.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
        self.describe(1, f.GPA + FRESH, length, f.NEXT, 2)
        self.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
        self.offer(0)


def content(offset):
    return struct.pack("=Q", offset) * (f.PAGE // 8)


def refuses(front, request, payload=b"", fds=()):
    """It says so, or goes."""
    try:
        return front.tell(request, payload, fds) != 0
    except Gone:
        return True


def not_asked_for(backend):
    """Without --postcopy a front end gets no descriptor of this process."""
    with tempfile.TemporaryDirectory() as directory:
        plain = type(backend)(backend.process.args[0], directory)
        front = plain.connect()
        assert not front.number(f.GET_PROTOCOL_FEATURES) & PAGEFAULT
        front.close()
        # Not even one that takes what was not offered.
        front = PostcopyFrontEnd(plain.path)
        try:
            assert not front.advise()
        except Gone:
            pass
        front.close()
        plain.process.kill()
        plain.process.wait()
        plain.log.close()


def as_it_should_be(backend):
    """Pages come when they are touched; after the end they are just there."""
    front = PostcopyFrontEnd(backend.path, "ready")
    front.offer_write(0, 3 * f.PAGE)
    # One signal may be left of a request that was seen to be done before.
    os.eventfd_write(front.call, 1)
    assert front.wait() == 1 and front.memory[f.STATUS] == 0
    assert front.brought[-3:] == [FRESH, FRESH + f.PAGE, FRESH + 2 * f.PAGE]
    with open(backend.disk, "rb") as disk:
        for offset in front.brought[-3:]:
            assert disk.read(f.PAGE) == content(offset)
    # More memory, of which queues see nothing until it is acknowledged, and an
    # acknowledgement of all that has changed.
    more = bytes(8) + f.row(gpa=1 << 32, user=1 << 32, length=f.PAGE)
    request = 0, 0, [(1 << 32, 512, f.WRITE)]
    before = backend.counts()[0]
    for _ in range(100):
        answer, _ = front.ask(f.ADD_MEM_REG, more, [front.file])
        assert len(answer) == len(more) and answer[:24] == more[:24]
        assert front.request(*request) == 1
        front.send(f.ADD_MEM_REG, ACK)
        assert not refuses(front, f.SET_OWNER)
        assert front.request(*request) == 0
        front.must(f.REM_MEM_REG, more)
        front.send(f.REM_MEM_REG, ACK)
        front.send(0, ACK)
        assert not refuses(front, f.SET_OWNER)
        assert front.request(*request) == 1
    assert backend.counts()[0] == before, "mappings are left"
    front.must(f.POSTCOPY_END)
    front.brought = []
    front.request(1, 0, [(f.GPA + FRESH + 9 * f.PAGE, 512, 0)])
    assert front.brought == []
    # It may begin again, but only from the beginning.
    assert refuses(front, f.POSTCOPY_LISTEN)
    front.close()


def out_of_order(backend):
    """Each message where it does not belong."""
    yield lambda front: not front.advise(b"12345678"), ""
    yield lambda front: not front.advise(b"", [front.file]), ""
    yield lambda front: not front.advise(), "advised"
    yield lambda front: not front.advise(), "listening"
    yield lambda front: not refuses(front, f.POSTCOPY_END), "advised"
    yield lambda front: not refuses(front, f.POSTCOPY_END), "told"
    for request, phase in ((f.POSTCOPY_LISTEN, ""), (f.POSTCOPY_END, ""),
                           (f.POSTCOPY_LISTEN, "listening"),
                           (f.GET_FEATURES, "told"),
                           (f.POSTCOPY_LISTEN, "told"),
                           (f.POSTCOPY_ADVISE, "told"),
                           (f.GET_VRING_BASE, "told")):
        yield lambda front, r=request: refuses(front, r), phase
    for request, phase in ((f.POSTCOPY_LISTEN, "advised"),
                           (f.POSTCOPY_END, "ready")):
        yield lambda front, r=request: refuses(front, r, b"1"), phase
        yield lambda front, r=request: refuses(front, r, ACK), phase
        yield (lambda front, r=request: refuses(front, r, b"", [front.file]),
               phase)

    def again(front):
        return (not refuses(front, f.POSTCOPY_END) and
                refuses(front, f.POSTCOPY_END))

    def table_first(front):
        front.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
        return front.advise() and refuses(front, f.POSTCOPY_LISTEN)

    yield again, "ready"
    yield table_first, ""
    # Lies about memory while it listens, and acknowledgements that are none.
    rows = f.table(f.row(), f.row())
    pipe = os.pipe()
    for payload, fds in ((f.table(f.row(length=0)), 1), (rows, 2),
                         (f.table(f.row()), 0), (b"1", 0),
                         (struct.pack("=Q", 1), 0)):
        for phase in ("listening", "told", "ready"):
            yield (lambda front, p=payload, n=fds: refuses(
                front, f.SET_MEM_TABLE, p, [front.file] * n), phase)
    for payload in (struct.pack("=Q", 1), ACK + b"1", b""):
        for request in (f.ADD_MEM_REG, f.REM_MEM_REG, 0):
            yield (lambda front, p=payload, r=request: refuses(front, r, p),
                   "told")
    yield lambda front: refuses(front, 0, ACK), "advised"
    yield lambda front: refuses(front, f.ADD_MEM_REG, ACK), "advised"
    yield lambda front: refuses(front, f.SET_MEM_TABLE, f.table(f.row()),
                                [pipe[0]]), "listening"
    yield lambda front: refuses(front, f.ADD_MEM_REG, ACK, [pipe[0]]), "told"
    for fd in pipe:
        os.close(fd)
    for phase in ("", "advised", "listening", "told", "ready"):
        yield lambda front: True, phase


def never_brought(backend):
    """Pages that never come: who waits for them is let go with the socket."""
    for request in (None, f.GET_VRING_BASE, f.SET_VRING_ENABLE,
                    f.REM_MEM_REG, f.POSTCOPY_END):
        front = PostcopyFrontEnd(backend.path, "ready")
        uffd = os.dup(front.uffd)
        front.offer_write(0, f.PAGE)
        # Until the queue's thread waits for the page.
        while (offset := front.fault()) != FRESH:
            front.bring(offset)
        if request == f.REM_MEM_REG:
            front.send(request, bytes(8) + f.row(), flags=1 | 8)
        elif request == f.POSTCOPY_END:
            # Then it goes on, with what is there.
            front.must(request)
            assert FrontEnd.wait(front) == 1
        elif request is not None:
            front.send(request, struct.pack("=II", 0, 0))
        front.close()
        yield
        os.close(uffd)


def hostile_postcopy(backend):
    """Postcopy: messages out of order, pages that never come."""
    not_asked_for(backend)
    yield
    front = backend.connect()
    offered = front.number(f.GET_PROTOCOL_FEATURES) & PAGEFAULT != 0
    front.close()
    assert offered == permitted()
    if not offered:
        print("not tested: userfaultfd(2) is not permitted", flush=True)
        return
    as_it_should_be(backend)
    yield
    for number, (test, phase) in enumerate(out_of_order(backend)):
        front = PostcopyFrontEnd(backend.path, phase)
        assert test(front), "number %d, %s" % (number, phase)
        front.close()
        yield
    yield from never_brought(backend)
