# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A front end that sends anything, and goes in the middle of it."""
import mmap
import os
import random
import socket
import struct

import frontend as f
from frontend import Gone

CONNECTIONS = 200
TOP = (1 << 64) - 1
VALUES = (0, 1, 7, 8, 16, 512, f.PAGE - 1, f.PAGE, f.PAGE + 1, f.MEMORY - 1,
          f.MEMORY, f.GPA, f.USER, f.USER + f.DESC, f.USER + f.AVAIL,
          f.USER + f.USED, f.USER + f.MEMORY - 1, (1 << 31) - 1, 1 << 31,
          (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, TOP - f.PAGE + 1,
          TOP - 1, TOP)
SET_BACKEND_REQ_FD, IOTLB_MSG = 21, 22
# Those that change much come more often.
REQUESTS = list(range(45)) + 3 * [
    f.SET_MEM_TABLE, f.SET_LOG_BASE, f.SET_VRING_ADDR, f.SET_VRING_KICK,
    f.SET_VRING_CALL, SET_BACKEND_REQ_FD, IOTLB_MSG, f.SET_INFLIGHT_FD,
    f.ADD_MEM_REG, f.REM_MEM_REG]
INFLIGHT_SIZE = 16 * 64


class Anything:
    def __init__(self, backend, rng, sealed):
        self.rng = rng
        self.front = backend.connect(sealed)
        self.descriptors = []

    def value(self):
        return self.rng.choice(VALUES)

    def values(self, form):
        return struct.pack(form, *(
            self.value() for _ in range(struct.calcsize(form) // 8)))

    def descriptor(self):
        rng = self.rng
        fd = rng.choice((
            lambda: f.memory_file(f.MEMORY),
            lambda: f.memory_file(rng.choice((0, 1, f.PAGE - 1, f.PAGE,
                                              INFLIGHT_SIZE, 1 << 32,
                                              1 << 46))),
            lambda: f.memory_file(f.MEMORY, sealed=False),
            lambda: os.eventfd(rng.choice((0, 1)), rng.choice(
                (0, os.EFD_SEMAPHORE, os.EFD_NONBLOCK))),
            lambda: os.open(rng.choice(("/dev/null", "/", "/proc/self/maps")),
                            rng.choice((os.O_RDONLY, os.O_PATH))),
            lambda: socket.socket(socket.AF_UNIX, rng.choice(
                (socket.SOCK_STREAM, socket.SOCK_DGRAM))).detach(),
            lambda: os.pidfd_open(os.getpid()),
            lambda: os.dup(self.front.file),
            lambda: os.dup(self.front.socket.fileno())))()
        self.descriptors.append(fd)
        return fd

    def row(self):
        return f.row() if self.rng.random() < 0.3 else self.values("=QQQQ")

    def payload(self, request):
        """Of the right form, as a rule."""
        rng = self.rng
        if request == f.SET_MEM_TABLE:
            count = rng.choice((0, 1, 1, 2, 8, 509))
            return struct.pack("=II", rng.choice(
                (count, count, count + 1, 0xFFFFFFFF)), 0) + b"".join(
                    self.row() for _ in range(count))
        if request in (f.ADD_MEM_REG, f.REM_MEM_REG):
            return bytes(8) + self.row()
        if request == f.SET_VRING_ADDR:
            if rng.random() < 0.5:
                return struct.pack("=IIQQQQ", 0, 0, f.USER + f.DESC,
                                   f.USER + f.USED, f.USER + f.AVAIL, 0)
            return struct.pack("=II", rng.randrange(3), 0) + \
                self.values("=QQQQ")
        if request in (f.SET_VRING_NUM, f.SET_VRING_BASE, f.GET_VRING_BASE,
                       f.SET_VRING_ENABLE):
            return struct.pack("=II", rng.choice((0, 1, 2, 0xFFFFFFFF)),
                               rng.choice((0, 1, f.SIZE, 32768, 0x80008000,
                                           0xFFFFFFFF)))
        if request in (f.SET_VRING_KICK, f.SET_VRING_CALL, f.SET_VRING_ERR):
            return struct.pack("=Q", rng.choice((0, 1, 2, 0x100, 1 << 63)))
        if request == IOTLB_MSG:
            return self.values("=QQQ") + struct.pack(
                "=BBHI", rng.randrange(4), rng.randrange(6), 0, 0)
        if request in (f.GET_INFLIGHT_FD, f.SET_INFLIGHT_FD):
            return struct.pack("=QQHHI", rng.choice(
                (INFLIGHT_SIZE, self.value())), rng.choice((0, self.value())),
                1, f.SIZE, 0)
        if request in (f.SET_FEATURES, f.SET_PROTOCOL_FEATURES):
            return struct.pack("=Q", rng.choice((
                f.FEATURES, f.FEATURES | 1 << 34, f.FEATURES | 1 << 33,
                f.FEATURES | f.LOG_ALL, f.PROTOCOL, self.value())))
        return rng.choice((b"", self.values("=Q"), self.values("=QQ"),
                           rng.randbytes(rng.randrange(300))))

    def begin(self):
        how = self.rng.randrange(4)
        if how == 1:
            self.front.features()
        elif how == 2:
            self.front.start()
        elif how == 3:
            self.front.start(f.FEATURES | f.LOG_ALL)

    def send(self):
        rng = self.rng
        request = rng.choice(REQUESTS)
        payload = self.payload(request)
        count = rng.choice((0, 1, 1, 2))
        if request == f.SET_MEM_TABLE:
            count = min(len(payload) // 32 + rng.choice((-1, 0, 0, 0, 1)), 253)
        fds = [self.descriptor() for _ in range(min(count, 4))]
        fds += [fds[0] for _ in range(count - 4)] if count > 4 else []
        size = (len(payload) if rng.random() < 0.95 else
                rng.choice((0, 1, len(payload) + 1, 20000, 0xFFFFFFFF)))
        flags = rng.choice((1, 9, 9, 9, 5)) if rng.random() < 0.95 else \
            rng.randrange(1 << 32)
        message = struct.pack("=III", request, flags, size) + payload
        if rng.random() < 0.05:
            message = message[:rng.randrange(1, len(message) + 1)]
        if rng.random() < 0.03:
            self.front.socket.send(message, socket.MSG_OOB)
        else:
            socket.send_fds(self.front.socket, [message], fds)

    def drive(self):
        """Something for the ring, whether it is one or not."""
        front, rng = self.front, self.rng
        front.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
        front.describe(1, f.GPA + f.DATA, rng.choice(
            (512, 1, f.PAGE, 0xFFFFFFFF)), f.WRITE | f.NEXT, 2)
        front.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
        front.offer(rng.choice((0, 0, 0, f.SIZE)))
        if not isinstance(front.memory, mmap.mmap) and rng.random() < 0.2:
            os.ftruncate(front.file, rng.choice((0, f.PAGE, f.MEMORY)))

    def receive(self):
        _, fds, _, _ = socket.recv_fds(self.front.socket, 65536, 16)
        for fd in fds:
            os.close(fd)

    def run(self):
        try:
            self.begin()
            self.front.socket.setblocking(False)
            for _ in range(self.rng.randrange(1, 40)):
                what = self.rng.choice((self.send, self.send, self.send,
                                        self.drive, self.receive))
                try:
                    what()
                except BlockingIOError:
                    pass
        except (Gone, OSError):
            pass
        if self.rng.random() < 0.1:
            try:
                self.front.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self.front.close()
        for fd in self.descriptors:
            os.close(fd)


def anything(backend):
    """Messages of any kind, with anything, in any order, and gone again."""
    seed = int.from_bytes(os.urandom(4), "little")
    rng = random.Random(seed)
    print("seed %d" % seed, flush=True)
    front = backend.connect(sealed=False)
    front.features()
    shrinks = front.tell(f.SET_MEM_TABLE, f.table(f.row()), [front.file]) == 0
    front.close()
    for i in range(CONNECTIONS):
        Anything(backend, rng, not shrinks or rng.random() < 0.5).run()
        if i % 20 == 19:
            yield
