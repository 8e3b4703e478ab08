# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Descriptors and iovecs from Python; test_ctypes.py runs this."""

import ctypes
import errno
import os

from support import PAGE, TOP, Case, lib

# VMMEM_IO_POSITION and VMMEM_IO_REST.
POSITION = 2 ** 63
REST = 2 ** 64 - 1


class Iovec(ctypes.Structure):
    """What <sys/uio.h> has; the headers only know that there is one."""

    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Transfers(Case):
    DATA = bytes(range(1, 101))

    def setUp(self):
        self.ram = self.memory((0, PAGE), (PAGE, PAGE))
        self.disk = self.file(0)
        self.fd = self.disk.fileno()
        os.pwrite(self.fd, self.DATA, 0)

    def chain(self, *ranges):
        kind = lib.struct("range")
        return (kind * len(ranges))(*(kind(*each) for each in ranges))

    def slices(self, *ranges):
        access = lib.PROT_READ | lib.PROT_WRITE
        return (lib.struct("slice") * len(ranges))(
            *(lib.get("collection_slice", self.ram, *each, access)
              for each in ranges))

    def each_form(self, function, some, *args):
        """Calls it at the file's position, and at 5."""
        flags = lib.IO_SOME if some else 0
        os.lseek(self.fd, 5, os.SEEK_SET)
        for offset in POSITION, 5:
            code, done = lib.call(function, *args, self.fd, offset, flags)
            # Those of a chain also tell where they failed.
            yield code, done[0] if isinstance(done, list) else done

    def test_read(self):
        chain = self.chain((PAGE - 4, 10), (TOP - 1, 0), (8, 10))
        slice_, = self.slices((PAGE, 100))
        for some in False, True:
            for result in self.each_form("collection_from_fd", some,
                                         self.ram, PAGE - 10, 20):
                self.assertEqual(result, (0, 20))
                self.assertEqual(self.read(self.ram, PAGE - 10, 20),
                                 self.DATA[5:25])
                self.write(self.ram, PAGE - 10, bytes(20))
            for result in self.each_form("collection_ranges_from_fd", some,
                                         self.ram, chain, 3, 0, 20):
                self.assertEqual(result, (0, 20))
                self.assertEqual(self.read(self.ram, PAGE - 4, 10),
                                 self.DATA[5:15])
                self.assertEqual(self.read(self.ram, 8, 10),
                                 self.DATA[15:25])
                self.write(self.ram, 8, bytes(10))
            for result in self.each_form("slice_from_fd", some, slice_, 7,
                                         20):
                self.assertEqual(result, (0, 20))
                self.assertEqual(self.read(self.ram, PAGE + 7, 20),
                                 self.DATA[5:25])

    def test_write(self):
        self.write(self.ram, PAGE - 10, self.DATA[:20])
        chain = self.chain((PAGE - 10, 15), (PAGE + 5, 5))
        slice_, = self.slices((PAGE - 10, 10))
        for some in False, True:
            for function, args, want in (
                    ("collection_to_fd", (self.ram, PAGE - 10, 20), 20),
                    ("collection_ranges_to_fd", (self.ram, chain, 2, 0, REST),
                     20),
                    ("slice_to_fd", (slice_, 0, 10), 10)):
                for result in self.each_form(function, some, *args):
                    self.assertEqual(result, (0, want))
                    self.assertEqual(os.pread(self.fd, 30, 5)[:want],
                                     self.DATA[:want])
                    os.pwrite(self.fd, bytes(20), 5)

    def test_ends(self):
        code, done = lib.call("collection_from_fd", self.ram, 0, 50, self.fd,
                              90, 0)
        self.assertEqual((code, done), (lib.EEOF, 10))
        code, done = lib.call("collection_from_fd", self.ram, 0, 50, self.fd,
                              90, lib.IO_SOME)
        self.assertEqual((code, done), (lib.EPARTIAL, 10))
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(writer, b"abc")
        self.assertEqual(lib.call("collection_from_fd", self.ram, 0, 50,
                                  reader, POSITION, 0), (-errno.EAGAIN, 3))
        os.close(writer)
        self.assertEqual(lib.call("collection_from_fd", self.ram, 0, 50,
                                  reader, POSITION, 0), (lib.EEOF, 0))
        os.close(reader)

    def test_iovec(self):
        ranges = (8, 8), (16, 8), (100, 4)
        chain, slices = self.chain(*ranges), self.slices(*ranges)
        iov = (Iovec * 4)()
        room = ctypes.cast(iov, ctypes.POINTER(lib.library.types["iovec"]))
        host = lib.get("collection_host_address", self.ram, 0, 0)[0]
        self.write(self.ram, 8, self.DATA[:16])
        self.assertEqual(
            lib.get("collection_iovec", self.ram, 8, 16, lib.PROT_READ, room,
                    4)[0], 1)
        self.assertEqual(ctypes.string_at(iov[0].base, iov[0].len),
                         self.DATA[:16])
        self.assertEqual(
            lib.get("collection_iovec_ranges", self.ram, chain, 3,
                    lib.PROT_WRITE, room, 4)[0], 2)
        self.assertEqual((iov[1].base, iov[1].len), (host + 100, 4))
        self.assertEqual(
            lib.call("slice_list_iovec", slices, 3, lib.PROT_WRITE, room, 1),
            (lib.ENOROOM, 2))

    def test_chain_and_buffer(self):
        chain = self.chain((PAGE - 4, 8), (TOP - 1, 0), (100, 8))
        data = ctypes.create_string_buffer(self.DATA[:16], 16)
        back = ctypes.create_string_buffer(16)
        self.assertEqual(
            lib.call("collection_ranges_write", self.ram, chain, 3, 0, data,
                     16, 0), (0, [16, 0]))
        self.assertEqual(self.read(self.ram, PAGE - 4, 8), self.DATA[:8])
        self.assertEqual(
            lib.call("collection_ranges_fill", self.ram, chain, 3, 6, 4, 0, 0),
            (0, [4, 0]))
        self.assertEqual(
            lib.call("collection_ranges_read", self.ram, chain, 3, 0, back, 16,
                     0), (0, [16, 0]))
        self.assertEqual(back.raw,
                         self.DATA[:6] + bytes(4) + self.DATA[10:16])
        chain = self.chain((8, 8), (2 * PAGE - 4, 8))
        self.assertEqual(
            lib.call("collection_ranges_read", self.ram, chain, 2, 0, back, 16,
                     lib.CHAIN_SOME), (lib.EBADADDR, [12, 2 * PAGE]))

    def test_slices_of_a_chain(self):
        chain = self.chain((8, 8), (16, 8), (100, 4))
        slices = (lib.struct("slice") * 4)()
        self.assertEqual(
            lib.get("collection_slice_list", self.ram, chain, 3,
                    lib.PROT_READ, slices, 4)[0], 3)
        self.assertEqual([piece.len for piece in slices[:3]], [8, 8, 4])
        lib.slice_list_release(slices, 3)
        self.assertEqual([piece.len for piece in slices[:3]], [0, 0, 0])
        lib.slice_list_release(slices, 3)
        self.assertEqual(
            lib.call("collection_slice_list", self.ram, chain, 3,
                     lib.PROT_READ, slices, 2)[0], lib.ENOROOM)

    def test_marks(self):
        builder = self.builder(0, PAGE)
        lib.region_builder_set_tracking(builder, 64)
        region = self.build(builder)
        self.ram = self.collection(region)
        bitmap = lib.region_bitmap(region)
        self.assertEqual(lib.bitmap_start_logging(bitmap), 0)
        ranges = (0, 64), (640, 64)
        chain, slices = self.chain(*ranges), self.slices(*ranges)
        for mark in (lambda: lib.collection_mark(self.ram, 63, 2),
                     lambda: lib.collection_mark_ranges(self.ram, chain, 2,
                                                        65),
                     lambda: lib.slice_list_mark(slices, 2, 65)):
            self.assertEqual(mark(), 0)
            self.assertEqual(lib.bitmap_count(bitmap), 2)
            self.assertEqual(lib.bitmap_clear(bitmap, 0, PAGE), 0)
        self.assertEqual(lib.slice_list_mark(slices, 2, 129), lib.EOUTOFRANGE)
