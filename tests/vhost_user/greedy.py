#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""greedy.py BACKEND FILL - a front end that takes what is there for all.

Descriptors, mappings, addresses, time: whatever it takes, holds, or never gives
back, the process lives, the other disks go on, and its own disk is there for the
front end that comes next.
"""
import ctypes
import fcntl
import os
import resource
import select
import socket
import struct
import sys
import tempfile
import time

import frontend as f
from anything import anything
from frontend import FrontEnd, Gone
import hostile
from hostile import Backend
from never import FLUSH, NeverAnswers

PACKED = f.FEATURES | 1 << 34
FULL = (1 << 64) - 2  # of an eventfd
INFLIGHT = struct.pack("=QQHH", 16 * 64, 0, 1, f.SIZE) + bytes(4)
SET_LOG_FD, SET_BACKEND_REQ_FD = 7, 21
F_GET_SEALS = 1034
HUGE = 2 << 20
KEEP_SIZE, PUNCH_HOLE = 1, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def half(path, request, payload, count, size=None):
    """A header with descriptors, of which the rest does not come."""
    link = f.connect(path)
    file = f.memory_file(f.PAGE)
    socket.send_fds(link, [struct.pack("=III", request, 1 | 8, len(payload)
                                       if size is None else size) +
                           payload[:-1]], [file] * count)
    os.close(file)
    return link


def is_read(link):
    """Waits until the back end has all that was sent."""
    left = ctypes.c_int(1)
    end = time.monotonic() + f.LIMIT
    while left.value != 0:
        assert time.monotonic() < end
        fcntl.ioctl(link, 0x5411, left)  # SIOCOUTQ
        select.select([], [], [], 0.001)


def half_messages(backend):
    """Of half a message no descriptors are kept that it may not have."""
    before = backend.idle()
    for request, payload, count, most in (
            (f.SET_FEATURES, bytes(8), 253, 0),
            (f.GET_FEATURES, b"", 253, 0),
            (99, bytes(8), 253, 0),
            (f.SET_VRING_KICK, bytes(8), 253, 1),
            (f.ADD_MEM_REG, bytes(40), 253, 1),
            (f.SET_MEM_TABLE, bytes(8), 253, 0),
            (f.SET_MEM_TABLE, f.table(*[f.row()] * 5), 253, 5),
            (f.SET_MEM_TABLE, f.table(*[f.row()] * 253), 253, 253)):
        link = half(backend.path, request, payload, count)
        is_read(link)
        # The connection, and what the message may have.
        assert backend.descriptors() <= before + 1 + most, request
        link.close()
        yield
    # Headers that make no sense, and that come in pieces.
    for flags, size in ((0, 8), (1, 1 << 31)):
        link = half(backend.path, f.SET_MEM_TABLE, b"", 253, size)
        link.close()
        yield
    link = f.connect(backend.path)
    header = struct.pack("=III", f.SET_MEM_TABLE, 1, 8 + 32 * 253)
    file = f.memory_file(f.PAGE)
    for i in range(len(header)):
        socket.send_fds(link, [header[i:i + 1]], [file] * 253)
        is_read(link)
        assert backend.descriptors() <= before + 1 + 253
    os.close(file)
    link.close()
    yield


def as_kick(front, fd):
    """Whether a descriptor is taken as each of a ring's."""
    taken = [front.tell(request, struct.pack("=Q", 0), [fd]) == 0
             for request in (f.SET_VRING_CALL, f.SET_VRING_ERR,
                             f.SET_VRING_KICK)]
    assert taken[0] == taken[1] == taken[2]
    return taken[0]


def others():
    """Descriptors that are no eventfds, most of them readable for ever."""
    timer = LIBC.timerfd_create(1, 0)
    often = (ctypes.c_long * 4)(0, 1, 0, 1)
    LIBC.timerfd_settime(timer, 0, often, None)
    yield timer
    event = os.eventfd(1)
    poll = LIBC.epoll_create1(0)
    # EPOLL_CTL_ADD, EPOLLIN
    LIBC.epoll_ctl(poll, 1, event, struct.pack("=IQ", 1, 0))
    yield poll
    child = os.fork()
    if child == 0:
        os._exit(0)
    yield os.pidfd_open(child)
    os.waitpid(child, 0)
    notify = LIBC.inotify_init1(0)
    with tempfile.TemporaryDirectory() as directory:
        LIBC.inotify_add_watch(notify, directory.encode(), 0xFFF)
        os.mkdir(os.path.join(directory, "new"))
    yield notify
    yield LIBC.signalfd(-1, bytes(128), 0)
    yield os.memfd_create("memory")
    yield from os.pipe()
    yield socket.socket(socket.AF_UNIX).detach()
    yield socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
    yield from (os.open(name, flags) for name, flags in (
        ("/", os.O_RDONLY), ("/dev/null", os.O_RDWR),
        ("/dev/zero", os.O_RDWR), ("/dev/null", os.O_PATH),
        ("/proc/self/stat", os.O_RDONLY), ("/proc/self/ns/pid", os.O_RDONLY)))
    os.close(event)


def eventfds_alone(backend):
    """Nothing else is taken for a ring's, whatever its kind."""
    front = backend.connect()
    front.features()
    for number, fd in enumerate(others()):
        assert fd >= 0, number
        assert not as_kick(front, fd), number
        os.close(fd)
    for flags in (0, os.EFD_SEMAPHORE, os.EFD_NONBLOCK,
                  os.EFD_NONBLOCK | os.EFD_SEMAPHORE):
        fd = os.eventfd(0, flags)
        assert as_kick(front, fd)
        os.close(fd)
    front.close()
    yield


def always_readable(backend):
    """A kick that can be read for ever: the ring works, and stops."""
    for value in 1, 5, FULL:
        front = backend.connect()
        os.close(front.kick)
        front.kick = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
        os.eventfd_write(front.kick, value)
        front.start()
        for _ in range(20):
            try:
                front.read(0, 512)
            except BlockingIOError:
                # There is no room for one more, and it must do without.
                assert value == FULL
                break
        front.ask(f.GET_VRING_BASE, struct.pack("=II", 0, 0))
        front.close()
        yield


def kicks_without_pause(backend):
    """Kicks that never end: the ring stops when it is to."""
    front = backend.connect()
    front.start()
    child = os.fork()
    if child == 0:
        while True:
            os.eventfd_write(front.kick, 1)
    for _ in range(50):
        front.read(0, 512)
        front.ask(f.GET_VRING_BASE, struct.pack("=II", 0, 0))
        front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])
    os.kill(child, 9)
    os.waitpid(child, 0)
    front.close()
    yield


def filled_calls(backend):
    """A call that is filled while the ring signals: it goes on."""
    front = backend.connect()
    front.start()
    rounds = 2000
    for fd in front.call, front.file:
        os.set_inheritable(fd, True)
    front.put("<IIQ", f.HEADER, 0, 0, 0)
    front.describe(0, f.GPA + f.HEADER, 16, f.NEXT, 1)
    front.describe(1, f.GPA + f.DATA, 512, f.WRITE | f.NEXT, 2)
    front.describe(2, f.GPA + f.STATUS, 1, f.WRITE)
    filler = os.spawnl(os.P_NOWAIT, FILL, FILL, str(front.call),
                       str(front.file), str(f.USED + 2), str(rounds))
    for i in range(2 * rounds):
        front.offer(0)
        end = time.monotonic() + 2 * f.LIMIT
        while front.index(f.USED + 2) == i & 0xFFFF:
            assert time.monotonic() < end, "the ring is stuck"
    assert os.waitpid(filler, 0)[1] == 0
    front.close()
    yield


def answers_that_nobody_reads(backend):
    """A front end that asks, and never reads."""
    front = backend.connect()
    front.socket.settimeout(None)
    front.socket.setblocking(False)
    message = struct.pack("=III", f.GET_FEATURES, 1, 0) * 64
    sent = 0
    try:
        while sent < 1 << 24:
            sent += front.socket.send(message)
    except BlockingIOError:
        pass
    front.close()
    yield


def free_huge_pages():
    with open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("HugePages_Free:"):
                return int(line.split()[1])
    return 0


def huge_inflight():
    """A page of the pool, or -1; what is sealed it may give back again."""
    if free_huge_pages() == 0:
        return -1
    fd = os.memfd_create("inflight", os.MFD_ALLOW_SEALING | os.MFD_HUGETLB)
    os.ftruncate(fd, HUGE)
    fcntl.fcntl(fd, f.F_ADD_SEALS, f.F_SEAL_SHRINK)
    return fd


def inflight_again_and_again(backend):
    """However often inflight memory is sent, there is one mapping of it."""
    for fd in f.memory_file(16 * 64), huge_inflight():
        if fd < 0:
            print("not run: there are no huge pages", flush=True)
            continue
        front = backend.connect()
        front.features()
        front.must(f.SET_INFLIGHT_FD, INFLIGHT, [fd])
        before = backend.mappings(), backend.descriptors()
        for _ in range(200):
            front.must(f.SET_INFLIGHT_FD, INFLIGHT, [fd])
        assert (backend.mappings(), backend.descriptors()) == before
        front.close()
        os.close(fd)
        yield
    front = backend.connect()
    front.features()
    for size, offset, length in ((16 * 64, 0, 16 * 64 - 1), (0, 0, f.PAGE),
                                 (hostile.TOP, 0, f.PAGE),
                                 (16 * 64, f.PAGE, 2 * f.PAGE),
                                 (16 * 64, hostile.TOP, f.PAGE)):
        fd = f.memory_file(length)
        assert front.tell(f.SET_INFLIGHT_FD, struct.pack(
            "=QQHH", size, offset, 1, f.SIZE), [fd]) != 0
        os.close(fd)
    front.close()
    yield


def begin_packed(front, inflight):
    front.features(PACKED)
    front.must(f.SET_INFLIGHT_FD, INFLIGHT, [inflight])
    front.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    front.must(f.SET_VRING_NUM, struct.pack("=II", 0, f.SIZE))
    front.must(f.SET_VRING_BASE, struct.pack("=II", 0, 0x80008000))
    front.must(f.SET_VRING_ADDR, struct.pack(
        "=IIQQQQ", 0, 0, f.USER + f.DESC, f.USER + f.USED, f.USER + f.AVAIL,
        0))
    front.must(f.SET_VRING_CALL, struct.pack("=Q", 0), [front.call])
    front.must(f.SET_VRING_ERR, struct.pack("=Q", 0), [front.error])
    front.must(f.SET_VRING_KICK, struct.pack("=Q", 0), [front.kick])


def offer_packed(front, at):
    front.put("<IIQ", f.HEADER, 0, 0, 5)
    for i, (address, length, flags) in ((1, (f.GPA + f.STATUS, 1, f.WRITE)),
                                        (0, (f.GPA + f.HEADER, 16, f.NEXT))):
        front.put("<QIHH", f.DESC + 16 * (at + i), address, length, 7,
                  flags | 1 << 7)
    os.eventfd_write(front.kick, 1)


def inflight_that_goes(backend):
    """Inflight memory is taken away: at the start, and while a ring runs."""
    # With --sealed only huge pages can go.
    if not hostile.takes_shrinkable(backend):
        return
    for before in True, False:
        fd = f.memory_file(16 * 64, sealed=False)
        front = backend.connect()
        begin_packed(front, fd)
        if before:
            os.ftruncate(fd, 0)
        front.must(f.SET_VRING_ENABLE, struct.pack("=II", 0, 1))
        if not before:
            offer_packed(front, 0)
            assert select.select([front.call], [], [], f.LIMIT)[0]
            os.eventfd_read(front.call)
            os.ftruncate(fd, 0)
            offer_packed(front, 2)
        assert front.error_comes()
        # It is there again: what comes next starts anew.
        os.ftruncate(fd, 16 * 64)
        front.ask(f.GET_VRING_BASE, struct.pack("=II", 0, 0))
        front.close()
        os.close(fd)
        yield


def huge_inflight_that_goes(backend):
    """A huge page is given back, sealed or not, and there is no other."""
    fd = huge_inflight()
    if fd < 0:
        print("not run: there are no huge pages", flush=True)
        return
    front = backend.connect()
    try:
        begin_packed(front, fd)
    except AssertionError:
        # Nothing could be done about it here, so that it is not taken.
        assert not hostile.takes_shrinkable(backend)
        front.close()
        os.close(fd)
        return
    for mode in 0, KEEP_SIZE | PUNCH_HOLE:
        assert LIBC.fallocate(fd, mode, ctypes.c_long(0),
                              ctypes.c_long(HUGE)) == 0
    hog = os.memfd_create("hog", os.MFD_HUGETLB)
    count = free_huge_pages()
    os.ftruncate(hog, HUGE * count)
    assert LIBC.fallocate(hog, 0, ctypes.c_long(0),
                          ctypes.c_long(HUGE * count)) == 0
    front.must(f.SET_VRING_ENABLE, struct.pack("=II", 0, 1))
    assert front.error_comes()
    front.close()
    os.close(hog)
    os.close(fd)
    yield


def started_again(backend):
    """Killed, the next one goes on where inflight memory says it was."""
    with tempfile.TemporaryDirectory() as directory:
        fd = f.memory_file(16 * 64)
        for turn in range(3):
            again = Backend(backend.process.args[0], directory)
            front = again.connect()
            begin_packed(front, fd)
            if turn > 0:
                front.memory[:len(memory)] = memory
            front.must(f.SET_VRING_ENABLE, struct.pack("=II", 0, 1))
            offer_packed(front, 2 * turn)
            assert select.select([front.call], [], [], f.LIMIT)[0]
            # The slots before it were used by those that were killed.
            for slot in range(0, 2 * turn + 2, 2):
                flags, = front.get("<H", f.DESC + 16 * slot + 14)
                assert flags & (1 << 7 | 1 << 15) == 1 << 7 | 1 << 15
            memory = front.memory[:f.MEMORY]
            again.process.kill()
            again.process.wait()
            again.log.close()
            front.close()
        os.close(fd)
    yield


def turned_away(backend):
    """There is one front end of a disk at a time: others are told so soon."""
    front = backend.connect()
    front.start()
    link = f.connect(backend.path)
    assert link.recv(1) == b""
    link.close()
    front.read(0, 512)
    # In the middle of a message, too.
    front.socket.send(struct.pack("=III", f.SET_FEATURES, 1 | 8, 8))
    link = f.connect(backend.path)
    assert link.recv(1) == b""
    link.close()
    front.socket.send(struct.pack("=Q", f.FEATURES))
    assert front.receive() == (f.SET_FEATURES, bytes(8), [])
    # If the first one goes, it is the next.
    following = backend.connect()
    front.close()
    following.start()
    following.read(0, 512)
    following.close()
    yield


def own_end(backend):
    """The other end of a connection is kept by nobody but the front end."""
    def as_channel(front):
        assert front.tell(SET_BACKEND_REQ_FD, b"",
                          [front.socket.fileno()]) != 0

    def in_a_channel(front):
        ours, theirs = socket.socketpair()
        socket.send_fds(ours, [b"1"], [front.socket.fileno()])
        front.must(SET_BACKEND_REQ_FD, b"", [theirs.fileno()])
        try:
            socket.send_fds(ours, [b"1"], [front.socket.fileno()])
            raise AssertionError("it can still be sent to")
        except BrokenPipeError:
            pass
        ours.close()
        theirs.close()

    def in_what_is_not_read(front):
        # More than there is room for the answers of.
        ask = struct.pack("=III", f.GET_FEATURES, 1, 0)
        front.socket.setblocking(False)
        try:
            while True:
                socket.send_fds(front.socket, [ask * 32],
                                [front.socket.fileno()])
        except OSError:
            pass

    def in_another_connection(front):
        link = f.connect(backend.path)
        try:
            socket.send_fds(link, [b"1"], [front.socket.fileno()])
        except OSError:
            pass  # it was turned away already
        link.close()

    def after_half(front):
        front.socket.send(struct.pack("=III", f.SET_FEATURES, 1, 8))
        in_another_connection(front)

    def in_half_a_message(front):
        rows = f.table(f.row(), f.row())
        socket.send_fds(front.socket, [struct.pack(
            "=III", f.SET_MEM_TABLE, 1, len(rows)) + rows[:-1]],
            [front.file, front.socket.fileno()])

    def in_half_a_channel(front):
        ours, theirs = socket.socketpair()
        socket.send_fds(ours, [b"1"], [front.socket.fileno()])
        socket.send_fds(front.socket, [struct.pack(
            "=III", SET_BACKEND_REQ_FD, 1, 8)], [theirs.fileno()])
        ours.close()
        theirs.close()

    def with_messages(front):
        for request, payload in ((SET_LOG_FD, b""), (f.GET_FEATURES, b""),
                                 (f.SET_VRING_KICK, bytes(8)),
                                 (f.SET_INFLIGHT_FD, INFLIGHT),
                                 (f.ADD_MEM_REG, bytes(8) + f.row())):
            front.send(request, payload, [front.socket.fileno()],
                       flags=1 | 8)
            front.receive()

    for way in (as_channel, in_a_channel, in_what_is_not_read,
                in_another_connection, after_half, in_half_a_message,
                in_half_a_channel, with_messages):
        front = backend.connect()
        front.features()
        way(front)
        front.close()
        yield
    # Of no use as a channel: no socket, not a stream, and without a peer.
    front = backend.connect()
    front.features()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen()
    named = socket.socket(socket.AF_UNIX)
    named.connect(listener.getsockname())
    for link in (listener, named, socket.socket(socket.AF_UNIX),
                 socket.socketpair(type=socket.SOCK_DGRAM)[0],
                 socket.socket(socket.AF_INET)):
        assert front.tell(SET_BACKEND_REQ_FD, b"", [link.fileno()]) != 0
        link.close()
    front.close()
    yield


def never_closed(backend):
    """Descriptors of a file system that never answers; that linger for ever."""
    files = NeverAnswers()
    if not files.mount():
        files.end()
        print("not run: no file system can be mounted", flush=True)
        return
    file = files.open()
    try:
        # Where it is memory, a ring's, nothing, or what there is no such
        # message of: it is closed all the same.
        row = f.table(f.row(length=f.PAGE))
        for request, payload, count in (
                (f.SET_MEM_TABLE, row, 1),
                (f.ADD_MEM_REG, bytes(8) + f.row(length=f.PAGE), 1),
                (f.SET_LOG_BASE, struct.pack("=QQ", f.PAGE, 0), 1),
                (f.SET_INFLIGHT_FD, INFLIGHT, 1), (SET_LOG_FD, b"", 1),
                (f.SET_VRING_KICK, bytes(8), 1), (f.GET_FEATURES, b"", 5),
                (SET_BACKEND_REQ_FD, b"", 1), (99, bytes(8), 3)):
            front = backend.connect()
            front.features()
            front.send(request, payload, [file] * count, flags=1 | 8)
            front.receive()
            assert front.number(f.GET_QUEUE_NUM) == 2
            front.close()
            link = half(backend.path, f.SET_MEM_TABLE, row, 1)
            link.close()
        # As many as are closed by somebody else.
        assert files.waits_for(FLUSH, f.LIMIT)
        other = backend.connect()
        other.start()
        other.read(0, 512)
        other.close()
    finally:
        files.end()
        try:
            os.close(file)
        except OSError:
            pass  # its file system has gone
    yield


def log_that_grows(backend):
    """However much there is to say of a front end, it is not all said."""
    before = backend.said(b"\n")
    front = backend.connect()
    front.features()
    for _ in range(5000):
        assert front.tell(f.REM_MEM_REG, bytes(8) + f.row(gpa=0)) != 0
    front.close()
    for _ in range(500):
        link = half(backend.path, f.SET_MEM_TABLE, b"", 0, 1 << 31)
        link.close()
    assert backend.said(b"\n") < before + 200
    yield


def all_addresses(backend):
    """Memory that nobody has, up to all that can be mapped: others get theirs."""
    front = backend.connect()
    front.features()
    gpa, size = 0, 1 << 46
    while size >= 1 << 20:
        fd = f.memory_file(size)
        row = bytes(8) + f.row(gpa=gpa, user=gpa, length=size)
        if front.tell(f.ADD_MEM_REG, row, [fd]) != 0:
            size >>= 1
        else:
            gpa += size
        os.close(fd)
    assert gpa > 1 << 30
    other = FrontEnd(backend.third_path)
    other.start()
    other.read(0, 512)
    # Twice: the new table stands beside the old one.
    other.must(f.SET_MEM_TABLE, f.table(f.row()), [front.file])
    other.close()
    front.close()
    yield


def all_rows(backend):
    """As many rows as it takes, of as many files: others get theirs."""
    front = backend.connect()
    front.start()
    most = front.number(f.GET_MAX_MEM_SLOTS)
    count, code = 1, 0
    while code == 0:
        fd = f.memory_file(f.PAGE)
        code = front.tell(f.ADD_MEM_REG, bytes(8) + f.row(
            gpa=count << 32, user=count << 32, length=f.PAGE), [fd])
        count += code == 0
        os.close(fd)
    assert count == most, (count, most)
    # All of them anew: the old ones are there until the new ones are.
    count = min(most, 253)
    files = [f.memory_file(f.PAGE) for _ in range(count)]
    front.must(f.SET_MEM_TABLE, f.table(*[
        f.row(gpa=i << 12, user=i << 12, length=f.PAGE)
        for i in range(count)]), files)
    for fd in files:
        os.close(fd)
    other = FrontEnd(backend.third_path)
    other.start()
    other.read(0, 512)
    other.close()
    front.close()
    yield


def no_descriptor_left(backend):
    """A connection that cannot be taken is taken later, and nobody dies."""
    kind = resource.RLIMIT_NOFILE
    pid = backend.process.pid
    told = backend.said(b"Too many open files")
    front = backend.connect()
    front.start()
    limits = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (1, limits[1]))
    front.close()
    link = f.connect(backend.path)
    link.send(struct.pack("=III", f.GET_FEATURES, 1, 0))
    backend.wait_for(lambda: backend.said(b"Too many open files") > told)
    resource.prlimit(pid, kind, limits)
    assert len(link.recv(20)) == 20
    link.close()
    yield


def limited_files(backend):
    """RLIMIT_FSIZE: what is too long is an error, not the end."""
    kind = resource.RLIMIT_FSIZE
    pid = backend.process.pid
    limits = resource.prlimit(pid, kind)
    front = backend.connect()
    front.start()
    front.write(0, bytes(512))
    resource.prlimit(pid, kind, (512, limits[1]))
    front.write(0, bytes(512))
    status = front.request(1, 1, [(f.GPA + f.DATA, 512, 0)])
    assert status == 1, status
    front.read(1, 512)
    resource.prlimit(pid, kind, (0, limits[1]))
    inflight = struct.pack("=QQHH", 0, 0, 1, f.SIZE) + bytes(4)
    front.send(f.GET_INFLIGHT_FD, inflight, flags=1 | 8)
    try:
        assert not front.receive()[2]
    except Gone:
        pass
    front.close()
    resource.prlimit(pid, kind, limits)
    assert backend.serves()
    print("ok: limited_files: " + limited_files.__doc__, flush=True)


class Greedy(Backend):
    """One with a third disk, and figures of what it holds."""

    def __init__(self, program, directory, *options, **more):
        self.third_path = os.path.join(directory, "third")
        third = os.path.join(directory, "disk3")
        with open(third, "wb") as disk:
            disk.truncate(hostile.SECTORS * 512)
        super().__init__(program, directory, *options, "--socket",
                         self.third_path, "--file", third, **more)

    def proc(self, name):
        return "/proc/%d/%s" % (self.process.pid, name)

    def descriptors(self):
        return len(os.listdir(self.proc("fd")))

    def mappings(self):
        with open(self.proc("maps")) as maps:
            return maps.read().count("\n")

    def said(self, what):
        self.log.seek(0)
        return self.log.read().count(what)

    @staticmethod
    def wait_for(condition):
        end = time.monotonic() + f.LIMIT
        while not condition():
            assert time.monotonic() < end
            select.select([], [], [], 0.001)

    def idle(self):
        """Descriptors when nobody uses the first disk."""
        front = self.connect()
        front.features()
        count = self.descriptors() - 1
        front.close()
        self.wait_for(lambda: self.descriptors() == count)
        return count


TESTS = (half_messages, eventfds_alone, always_readable, kicks_without_pause,
         filled_calls, answers_that_nobody_reads, inflight_again_and_again,
         inflight_that_goes, huge_inflight_that_goes, started_again,
         never_closed, log_that_grows, anything, all_addresses, all_rows,
         no_descriptor_left)
# These take seconds, and are the same with any option.
CONNECTING = (turned_away, own_end)


def everything(backend):
    hostile.run(backend, TESTS)


def connecting(backend):
    hostile.run(backend, CONNECTING)


def of_few_descriptors(backend):
    """The same with as few as will do."""
    hostile.run(backend, (half_messages, all_rows, no_descriptor_left))


def takes_file(backend):
    """Whether a file of a file system that is no memory is taken for it."""
    with open(backend.disk, "r+b") as file:
        try:
            fcntl.fcntl(file, F_GET_SEALS)
            return None  # here it is memory
        except OSError:
            pass
        front = backend.connect()
        front.features()
        taken = front.tell(f.ADD_MEM_REG, bytes(8) + f.row(),
                           [file.fileno()]) == 0
        front.close()
    return taken


def without_files(backend):
    assert takes_file(backend) is not True


def with_files(backend):
    assert takes_file(backend) is not False
    backend.serves()
    print("ok: --files: files of other file systems are taken", flush=True)


def main(program):
    hostile.with_backend(everything, program, kind=Greedy)
    hostile.with_backend(everything, program, "--sealed", kind=Greedy)
    hostile.with_backend(connecting, program, kind=Greedy)
    hostile.with_backend(of_few_descriptors, program, kind=Greedy, files=120)
    hostile.with_backend(limited_files, program, kind=Greedy)
    hostile.with_backend(without_files, program, kind=Greedy)
    hostile.with_backend(with_files, program, "--files", kind=Greedy)
    os.environ["VHOST_USER_BLK_NO_URING"] = "1"
    hostile.with_backend(everything, program, kind=Greedy)
    return 0


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        print("skipped: Python is older than 3.10")
        sys.exit(77)
    FILL = sys.argv[2]
    sys.exit(main(sys.argv[1]))
