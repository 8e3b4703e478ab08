# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Memory of confidential guests from Python; test_ctypes.py runs this."""

import fcntl
import os
import struct

from machines import CREATE_VM, KVM
from support import PAGE, lib
from spaces import SpaceCase

CREATE_GUEST_MEMFD = 0xc040aed4


class Private(SpaceCase):
    def guest_memfd(self, length):
        """A guest_memfd of KVM's, or the test is skipped."""
        try:
            system = os.open(KVM, os.O_RDWR)
            self.addCleanup(os.close, system)
            machine = fcntl.ioctl(system, CREATE_VM, 0)
            self.addCleanup(os.close, machine)
            # What is changed in place leaves the result to be returned.
            fd = fcntl.ioctl(machine, CREATE_GUEST_MEMFD,
                             bytearray(struct.pack("8Q", length, *[0] * 7)),
                             True)
            self.addCleanup(os.close, fd)
        except OSError as error:
            self.skipTest(f"no guest_memfd: {error.strerror}")
        return fd

    def test_none(self):
        builder = self.builder(0, PAGE)
        lib.region_builder_set_guest_memfd(builder, -1, 0)
        lib.region_builder_set_private(builder, 1)
        region = self.build(builder)
        self.assertEqual(lib.code("region_guest_memfd", region), lib.ENOFILE)
        self.assertEqual(lib.region_set_private(region, 0, PAGE, 1),
                         lib.ENOFILE)
        self.assertEqual(lib.region_is_private(region, 0, PAGE), 0)
        self.assertEqual(lib.get("region_next_private", region, 0, PAGE),
                         [PAGE, 0])
        space = lib.get("space_new", self.collection(region), None)
        self.addCleanup(lib.space_unref, space)
        self.assertEqual(lib.code("space_convert", space, 0, PAGE, 1),
                         lib.ENOFILE)

    def two_sided(self, pages):
        builder = self.builder(0, pages * PAGE)
        lib.region_builder_set_memfd(builder)
        lib.region_builder_set_guest_memfd(
            builder, self.guest_memfd(pages * PAGE), 0)
        return self.build(builder)

    def test_states(self):
        region = self.two_sided(4)
        fd, offset = lib.get("region_guest_memfd", region)
        self.assertEqual((os.fstat(fd).st_size, offset), (4 * PAGE, 0))
        self.assertEqual(lib.region_is_private(region, 0, 1), 1)
        self.assertEqual(lib.region_set_private(region, PAGE, PAGE, 0), 0)
        self.assertEqual(lib.get("region_next_private", region, PAGE,
                                 3 * PAGE), [2 * PAGE, 2 * PAGE])
        memory = self.collection(region)
        self.write(memory, PAGE, b"shared")
        self.assertEqual(self.read(memory, PAGE, 6), b"shared")
        self.assertEqual(lib.code("collection_read_u8", memory, 0),
                         lib.EPRIVATE)

    def test_converting(self):
        region = self.two_sided(4)
        memory = self.collection(region)
        space = lib.get("space_new", memory, None)
        self.addCleanup(lib.space_unref, space)
        self.assertEqual(lib.get("space_convert", space, 0, 2 * PAGE, 0), 0)
        self.write(memory, 0, b"shared")
        self.assertEqual(lib.get("space_convert", space, 0, PAGE, 1), 0)
        self.assertEqual(lib.code("collection_read_u8", memory, 0),
                         lib.EPRIVATE)
        self.assertEqual(lib.get("space_convert", space, 0, PAGE, 0), 0)
        self.assertEqual(self.read(memory, 0, 6), bytes(6))
