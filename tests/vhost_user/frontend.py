# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""A small front end of vhost-user, and a driver of split virtio-blk rings."""
import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import time

PAGE = 4096
MEMORY = 256 * PAGE
GPA = 0x100000
USER = 0x7F0000000000
SIZE = 16  # slots of the ring
DESC, AVAIL, USED = 0, PAGE, 2 * PAGE
TABLE, HEADER, STATUS, DATA = 3 * PAGE, 4 * PAGE, 5 * PAGE, 16 * PAGE

NEXT, WRITE, INDIRECT = 1, 2, 4
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2

(GET_FEATURES, SET_FEATURES, SET_OWNER) = (1, 2, 3)
(SET_MEM_TABLE, SET_LOG_BASE) = (5, 6)
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE,
 SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR) = range(8, 15)
(GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE) = range(15, 19)
(POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_END) = (28, 29, 30)
(GET_CONFIG, GET_INFLIGHT_FD, SET_INFLIGHT_FD) = (24, 31, 32)
(GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG) = (36, 37, 38)

FLUSH = 1 << 9
FEATURES = FLUSH | 1 << 28 | 1 << 30 | 1 << 32
LOG_ALL = 1 << 26
# REPLY_ACK, LOG_SHMFD, CONFIG, INFLIGHT, CONFIGURE_MEM_SLOTS, MQ
PROTOCOL = 1 << 3 | 1 << 1 | 1 << 9 | 1 << 12 | 1 << 15 | 1
LIMIT = 30  # seconds, after which a back end is stuck


def memory_file(length, sealed=True):
    fd = os.memfd_create("guest", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, length)
    if sealed:
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
    return fd


def row(gpa=GPA, length=MEMORY, user=USER, offset=0):
    return struct.pack("=QQQQ", gpa, length, user, offset)


def table(*rows):
    return struct.pack("=II", len(rows), 0) + b"".join(rows)


def connect(path):
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(LIMIT)
    end = time.monotonic() + LIMIT
    while True:
        try:
            link.connect(path)
            return link
        except BlockingIOError:
            # Others that have gone again are to be taken first.
            assert time.monotonic() < end, "nobody is taken"
            select.select([], [], [], 0.001)


class Gone(Exception):
    """The back end has closed the connection."""


class Bytes:
    """A file's bytes by system calls, which survive that it is cut short."""

    def __init__(self, file):
        self.file = file

    def __getitem__(self, key):
        if isinstance(key, int):
            return os.pread(self.file, 1, key)[0]
        return os.pread(self.file, key.stop - key.start, key.start)

    def __setitem__(self, key, value):
        if isinstance(key, int):
            os.pwrite(self.file, bytes([value]), key)
        else:
            os.pwrite(self.file, value, key.start)

    def close(self):
        pass


class FrontEnd:
    def __init__(self, path, sealed=True):
        self.socket = connect(path)
        self.file = memory_file(MEMORY, sealed)
        self.memory = (mmap.mmap(self.file, MEMORY) if sealed else
                       Bytes(self.file))
        self.kick = os.eventfd(0, os.EFD_CLOEXEC)
        self.call = os.eventfd(0, os.EFD_CLOEXEC)
        self.error = os.eventfd(0, os.EFD_CLOEXEC)
        self.avail = 0
        self.used = 0

    def close(self):
        self.socket.close()
        self.memory.close()
        for fd in (self.file, self.kick, self.call, self.error):
            os.close(fd)

    def put(self, form, offset, *values):
        data = struct.pack(form, *values)
        self.memory[offset:offset + len(data)] = data

    def get(self, form, offset):
        return struct.unpack(
            form, self.memory[offset:offset + struct.calcsize(form)])

    def send(self, request, payload=b"", fds=(), flags=1, size=None):
        header = struct.pack("=III", request, flags,
                             len(payload) if size is None else size)
        try:
            socket.send_fds(self.socket, [header + payload], list(fds))
        except OSError as error:
            raise Gone from error

    def receive(self):
        """An answer: to which request, its payload, its descriptors."""
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 12, 8)
            if not data:
                raise Gone
            request, _, size = struct.unpack("=III", data)
            payload = b""
            while len(payload) < size:
                payload += self.socket.recv(size - len(payload))
        except ConnectionError as error:
            raise Gone from error
        return request, payload, fds

    def ask(self, request, payload=b"", fds=()):
        self.send(request, payload, fds)
        answered, payload, fds = self.receive()
        assert answered == request, answered
        return payload, fds

    def tell(self, request, payload=b"", fds=()):
        """Sends a message that wants a reply; 0 is success."""
        self.send(request, payload, fds, flags=1 | 8)
        return struct.unpack("=Q", self.receive()[1])[0]

    def must(self, request, payload=b"", fds=()):
        result = self.tell(request, payload, fds)
        assert result == 0, "request %d was refused" % request

    def number(self, request):
        return struct.unpack("=Q", self.ask(request)[0])[0]

    def features(self, features=FEATURES):
        offered = self.number(GET_FEATURES)
        assert offered & features == features, hex(offered)
        self.send(SET_FEATURES, struct.pack("=Q", features))
        offered = self.number(GET_PROTOCOL_FEATURES)
        assert offered & PROTOCOL == PROTOCOL, hex(offered)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("=Q", PROTOCOL))

    def start(self, features=FEATURES):
        self.features(features)
        self.must(SET_MEM_TABLE, table(row()), [self.file])
        self.must(SET_VRING_NUM, struct.pack("=II", 0, SIZE))
        self.must(SET_VRING_BASE, struct.pack("=II", 0, 0))
        self.must(SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", 0, 0, USER + DESC, USER + USED, USER + AVAIL, 0))
        self.must(SET_VRING_CALL, struct.pack("=Q", 0), [self.call])
        self.must(SET_VRING_ERR, struct.pack("=Q", 0), [self.error])
        self.must(SET_VRING_KICK, struct.pack("=Q", 0), [self.kick])
        self.must(SET_VRING_ENABLE, struct.pack("=II", 0, 1))

    def describe(self, index, address, length, flags, following=0, at=DESC):
        self.put("<QIHH", at + 16 * index, address, length, flags, following)

    def offer(self, *heads):
        for head in heads:
            self.put("<H", AVAIL + 4 + 2 * (self.avail % SIZE), head)
            self.avail = (self.avail + 1) & 0xFFFF
        self.set_index(AVAIL + 2, self.avail)
        os.eventfd_write(self.kick, 1)

    # The back end may look while an index changes, and struct would store zero
    # first, and bytes one by one.

    def index(self, at):
        if isinstance(self.memory, Bytes):
            return self.get("<H", at)[0]
        return ctypes.c_uint16.__ctype_le__.from_buffer(self.memory, at).value

    def set_index(self, at, value):
        if isinstance(self.memory, Bytes):
            self.put("<H", at, value)
        else:
            ctypes.c_uint16.__ctype_le__.from_buffer(
                self.memory, at).value = value

    def wait(self):
        """Until the chain is used (its length), or the ring is broken."""
        while True:
            used = self.index(USED + 2)
            if used != self.used:
                _, length = self.get("<II",
                                     USED + 4 + 8 * (self.used % SIZE))
                self.used = (self.used + 1) & 0xFFFF
                return length
            ready, _, _ = select.select([self.call, self.error], [], [],
                                        LIMIT)
            assert ready, "the back end does not answer"
            if self.error in ready:
                return None
            os.eventfd_read(self.call)

    def error_comes(self):
        """Whether it is told, within the limit, that the ring is broken."""
        return bool(select.select([self.error], [], [], LIMIT)[0])

    def request(self, kind, sector, buffers, header=16):
        """A chain of a header, 'buffers' and a status; the status, or None."""
        self.put("<IIQ", HEADER, kind, 0, sector)
        self.memory[STATUS] = 0xFF
        self.describe(0, GPA + HEADER, header, NEXT, 1)
        for i, (address, length, flags) in enumerate(buffers, 1):
            self.describe(i, address, length, flags | NEXT, i + 1)
        self.describe(len(buffers) + 1, GPA + STATUS, 1, WRITE)
        self.offer(0)
        return None if self.wait() is None else self.memory[STATUS]

    def read(self, sector, length):
        status = self.request(0, sector, [(GPA + DATA, length, WRITE)])
        assert status == 0, status
        return self.memory[DATA:DATA + length]

    def write(self, sector, data):
        self.memory[DATA:DATA + len(data)] = data
        status = self.request(1, sector, [(GPA + DATA, len(data), 0)])
        assert status == 0, status
