# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Memory tables of vhost-user from Python; test_ctypes.py runs this."""

import ctypes
import errno
import fcntl
import os
import struct

from support import PAGE, Case, address, lib

F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
USER = 0x7f0000000000


def sealed(length):
    fd = os.memfd_create("table", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, length)
    fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
    return fd


def rows_of(*rows):
    kind = lib.struct("vhost_region")
    return (kind * len(rows))(*(kind(*row) for row in rows))


def fds_of(*fds):
    return (ctypes.c_int * len(fds))(*fds)


class Vhost(Case):
    def setUp(self):
        self.fd = sealed(4 * PAGE)
        self.addCleanup(os.close, self.fd)
        empty = lib.get("collection_new_empty")
        self.space = lib.get("space_new", empty, None)
        lib.collection_unref(empty)
        self.addCleanup(lib.space_unref, self.space)
        self.iotlb = lib.get("iotlb_new", None)
        self.addCleanup(lib.iotlb_unref, self.iotlb)
        kind = lib.struct("vhost_options")
        options = kind(size=ctypes.sizeof(kind), iotlb=self.iotlb)
        self.vhost = lib.get("vhost_new", self.space, options)
        self.addCleanup(lib.vhost_free, self.vhost)

    def set_table(self, *rows):
        return lib.vhost_set_table(self.vhost, rows_of(*rows), len(rows),
                                   fds_of(*[self.fd] * len(rows)), len(rows))

    def test_table(self):
        self.assertEqual(self.set_table((0, PAGE, USER, 0),
                                        (PAGE, PAGE, USER + PAGE, PAGE)), 0)
        os.pwrite(self.fd, b"\x2a", PAGE + 3)
        seen = lib.space_get(self.space)
        self.assertEqual(lib.get("collection_read_u8", seen, PAGE + 3), 0x2a)
        lib.collection_unref(seen)
        self.assertEqual(lib.get("vhost_user_to_gpa", self.vhost, USER + 3,
                                 PAGE), 3)
        self.assertEqual(lib.get("vhost_gpa_to_user", self.vhost, PAGE, 1),
                         USER + PAGE)
        self.assertEqual(lib.get("vhost_user_piece", self.vhost, USER,
                                 9 * PAGE), [0, 2 * PAGE])
        seen = lib.space_get(self.space)
        slice_ = lib.get("vhost_user_slice", self.vhost, seen,
                         USER + PAGE + 3, 1, lib.PROT_READ)
        self.assertEqual(ctypes.string_at(slice_.host, 1), b"\x2a")
        lib.slice_release(slice_)
        lib.collection_unref(seen)
        more, = rows_of((8 * PAGE, PAGE, USER + 8 * PAGE, 0))
        self.assertEqual(lib.vhost_add(self.vhost, more, self.fd), 0)
        self.assertEqual(lib.vhost_count(self.vhost), 3)
        row, mapping = lib.get("vhost_at", self.vhost, 2)
        self.assertEqual(row.gpa, 8 * PAGE)
        self.assertEqual(lib.region_len(mapping), PAGE)
        host, _ = lib.get("region_host_address", mapping, 0)
        # The same bytes of the file as the first row.
        self.assertEqual(lib.get("vhost_host_to_gpa", self.vhost, host, PAGE),
                         0)
        self.assertEqual(lib.get("vhost_host_to_user", self.vhost, host, 1),
                         USER)
        self.assertEqual(lib.vhost_remove(self.vhost, more), 0)
        self.assertEqual(lib.vhost_remove(self.vhost, more), lib.ENOREGION)

    def test_what_was_set(self):
        self.assertEqual(address(lib.vhost_space(self.vhost)),
                         address(self.space))
        self.assertEqual(address(lib.vhost_iotlb(self.vhost)),
                         address(self.iotlb))
        self.assertFalse(lib.vhost_rules(self.vhost))
        self.assertEqual(lib.vhost_regions_max(self.vhost),
                         lib.VHOST_REGIONS_MAX)
        self.assertGreater(lib.vhost_bytes_max(self.vhost), PAGE)

    def test_log(self):
        log = sealed(PAGE)
        self.addCleanup(os.close, log)
        self.assertEqual(self.set_table((0, 2 * PAGE, USER, 0)), 0)
        self.assertFalse(lib.vhost_log(self.vhost))
        self.assertEqual(lib.vhost_set_log(self.vhost, log, 0, 8), 0)
        self.assertTrue(lib.vhost_log(self.vhost))
        seen = lib.space_get(self.space)
        self.assertEqual(lib.collection_write_u8(seen, PAGE, 1), 0)
        lib.collection_unref(seen)
        self.assertEqual(os.pread(log, 2, 0), b"\x02\x00")
        self.assertEqual(lib.vhost_mark(self.vhost, 8 * PAGE, 1), 0)
        self.assertEqual(os.pread(log, 2, 0), b"\x02\x01")
        self.assertEqual(lib.vhost_clear_log(self.vhost), 0)
        self.assertFalse(lib.vhost_log(self.vhost))

    def test_messages(self):
        due = ctypes.c_uint32()
        payload = struct.pack("=IIQQQQ", 1, 0, 0, PAGE, USER, 0)
        self.assertEqual(lib.vhost_message(
            self.vhost, lib.VHOST_SET_MEM_TABLE, payload, len(payload),
            fds_of(self.fd), 1, ctypes.byref(due)), 0)
        self.assertEqual(due.value, lib.VHOST_DUE_SPACE)
        kind = lib.struct("vhost_iotlb_msg")
        message = kind(iova=0x5000, len=PAGE, user_address=USER, access=1,
                       type=lib.VHOST_IOTLB_UPDATE)
        self.assertEqual(lib.vhost_iotlb_message(self.vhost, message), 0)
        self.assertEqual(lib.iotlb_count(self.iotlb), 1)

    def test_export(self):
        memory = self.collection(self.region("file", 0, PAGE, self.fd, 0),
                                 self.region("file", PAGE, PAGE, self.fd, PAGE),
                                 self.region("anonymous", 9 * PAGE, PAGE))
        rows, fds = rows_of((0,), (0,)), fds_of(0, 0)
        self.assertEqual(lib.get("vhost_export", memory, 0, rows, fds, 2),
                         [1, 1])
        self.assertEqual((rows[0].gpa, rows[0].len), (0, 2 * PAGE))
        rows, fds = rows_of((0,), (0,), (0,)), fds_of(0, 0, 0)
        count, left_out = lib.get(
            "vhost_export", memory,
            lib.VHOST_EXPORT_HOST | lib.VHOST_EXPORT_PRIVATE, rows, fds, 3)
        self.assertEqual(left_out, 0)
        row = rows[count - 1]
        self.assertEqual((row.gpa, row.len), (9 * PAGE, PAGE))
        self.assertEqual(fds[count - 1], -1)


class ProvokedByVhost:
    """What test_ctypes.py provokes of the codes that are about tables."""

    def table(self, use, options=None):
        """The code of what 'use' does with an object and a file."""
        empty = lib.get("collection_new_empty")
        space = lib.get("space_new", empty, None)
        vhost = lib.get("vhost_new", space, options)
        fd = sealed(4 * PAGE)
        code = use(vhost, fd)
        os.close(fd)
        lib.vhost_free(vhost)
        lib.space_unref(space)
        lib.collection_unref(empty)
        return code

    def rows(self, *rows, fds=None):
        count = len(rows)
        return self.table(lambda vhost, fd: lib.vhost_set_table(
            vhost, rows_of(*rows), count, fds_of(*[fd] * count),
            count if fds is None else fds))

    def provoke_EREGIONCOUNT(self):
        return self.rows(*[(i * PAGE, PAGE, i * PAGE, 0)
                           for i in range(lib.VHOST_REGIONS_MAX + 1)])

    def provoke_EDESCRIPTORS(self):
        return self.rows((0, PAGE, 0, 0), fds=0)

    def provoke_EUSEROVERLAP(self):
        return self.rows((0, PAGE, 0, 0), (PAGE, PAGE, 1, 0))

    def provoke_EUSERADDR(self):
        return self.table(lambda vhost, fd: lib.code(
            "vhost_user_to_gpa", vhost, 0, 1))

    def provoke_ELOGSHORT(self):
        def use(vhost, fd):
            row, = rows_of((64 * PAGE, PAGE, 0, 0))
            self.assertEqual(lib.vhost_add(vhost, row, fd), 0)
            return lib.vhost_set_log(vhost, fd, 0, 8)
        return self.table(use)

    def provoke_EREGIONBYTES(self):
        kind = lib.struct("vhost_options")
        options = kind(size=ctypes.sizeof(kind), bytes_max=PAGE)

        def use(vhost, fd):
            rows = rows_of((0, PAGE, 0, 0), (PAGE, PAGE, PAGE, 0))
            return lib.vhost_set_table(vhost, rows, 2, fds_of(fd, fd), 2)
        return self.table(use, options)

    def provoke_EMESSAGE(self):
        self.assertEqual(self.table(lambda vhost, fd: lib.vhost_set_log(
            vhost, -1, 0, 8)), -errno.EBADF)
        return self.table(lambda vhost, fd: lib.vhost_message(
            vhost, 99, None, 0, None, 0, None))
