# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Walk through the API from Python, with ctypes and nothing else.

VMMEM_LIBRARY is the libraries to load, with colons between, VMMEM_SOURCE the source tree.  Every
exported function is called, and every code that this version can return is
provoked; both are checked against the map and the headers at the end.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import re
import sys
import threading
import unittest

from backing import Backing, ProvokedByBacking
from confidential import Private
from dirty import Bitmaps, DirtyLogs
from faults import Faults, bury, in_child
from machines import NO_KVM, Kvm, Slots
from slices import OnDemand, Slices
from spaces import InSection, Spaces
from support import PAGE, TOP, Case, address, lib, symbols_of_map
from transfers import Transfers
from translated import Iommu, Iotlb
from vhost import ProvokedByVhost, Vhost

# Codes that are provoked elsewhere, in machines.py, translated.py and
# confidential.py, and those that it takes another system to see.
RESERVED = {"EFORKED", "EIOMMUMISS", "ENOBITMAP", "ENOSLOT",
            "ENOSUPPORT", "EPRIVATE", "ESLOTALIGN", "ESELFWAIT", "EUNLOGGED"}


class Interface(Case):
    def test_headers_declare_the_map(self):
        declared = [name for _, name, _ in lib.library.headers.functions]
        self.assertEqual(sorted(declared), symbols_of_map())

    def test_version(self):
        version = lib.version()
        parts = version >> 16, version >> 8 & 255, version & 255
        self.assertEqual(parts, (lib.VERSION_MAJOR, lib.VERSION_MINOR,
                                 lib.VERSION_PATCH))
        self.assertEqual(lib.version_string().decode(),
                         ".".join(map(str, parts)))

    def test_what_is_loaded(self):
        self.assertIn(lib.supports(lib.FEATURE_FAULT_SURVIVAL), (0, 1))
        self.assertEqual(lib.supports(0xffffffff), 0)
        self.assertEqual(lib.struct_size(lib.STRUCT_REGION_OPS),
                         ctypes.sizeof(lib.struct("region_ops")))
        self.assertEqual(lib.struct_size(0), 0)

    def test_constants_of_the_system(self):
        self.assertEqual(lib.PROT_READ, mmap.PROT_READ)
        self.assertEqual(lib.PROT_WRITE, mmap.PROT_WRITE)
        self.assertEqual(lib.PROT_EXEC, mmap.PROT_EXEC)

    def test_addresses(self):
        self.assertEqual(lib.get("address_checked_add", 1, 2), 3)
        self.assertEqual(lib.code("address_checked_add", TOP - 1, 1),
                         lib.EWRAPS)
        self.assertEqual(lib.get("address_checked_sub", 3, 2), 1)
        self.assertEqual(lib.code("address_checked_sub", 2, 3), lib.EWRAPS)
        self.assertEqual(lib.get("address_align_up", 4097, 4096), 8192)
        self.assertEqual(lib.get("address_align_down", 4097, 4096), 4096)
        self.assertEqual(lib.get("address_range_last", TOP - 4096, 4096),
                         TOP - 1)


class Regions(Case):
    def check(self, region, kind, gpa, length):
        self.assertEqual(lib.region_kind(region), kind)
        self.assertEqual(lib.region_start(region), gpa)
        self.assertEqual(lib.region_last(region), gpa + length - 1)
        self.assertEqual(lib.region_len(region), length)
        collection = self.collection(region)
        self.write(collection, gpa + 1, b"written")
        self.assertEqual(self.read(collection, gpa, 9), b"\0written\0")
        if kind == lib.REGION_CUSTOM:
            return
        host, left = lib.get("region_host_address", region, 1)
        self.assertEqual(left, length - 1)
        self.assertEqual(host % 16, (gpa + 1) % 16)
        self.assertEqual(ctypes.string_at(host, 7), b"written")

    def test_anonymous(self):
        region = self.region("anonymous", TOP - PAGE, PAGE)
        self.check(region, lib.REGION_ANONYMOUS, TOP - PAGE, PAGE)
        self.assertEqual(lib.region_protection(region),
                         lib.PROT_READ | lib.PROT_WRITE)
        self.assertEqual(lib.region_file_flags(region), 0)
        self.assertEqual(lib.region_huge_pages(region), lib.HUGE_PAGES_NO)
        self.assertEqual(lib.region_page_size(region), PAGE)
        self.assertEqual(lib.region_name(region), b"")
        self.assertIsNone(lib.region_cookie(region, 1))
        self.assertFalse(lib.region_alias_target(region))
        self.assertEqual(lib.region_alias_offset(region), 0)

    def test_memfd(self):
        region = self.region("memfd", 0x1000, 2 * PAGE)
        self.check(region, lib.REGION_MEMFD, 0x1000, 2 * PAGE)
        fd, offset = lib.get("region_file", region)
        self.assertEqual(os.pread(fd, 7, offset + 1), b"written")
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        self.assertTrue(seals & fcntl.F_SEAL_SHRINK)
        self.assertTrue(seals & fcntl.F_SEAL_GROW)

    def test_file(self):
        file = self.file(3 * PAGE)
        region = self.region("file", 0x2000, PAGE, file.fileno(), PAGE)
        self.check(region, lib.REGION_FILE, 0x2000, PAGE)
        self.assertEqual(os.pread(file.fileno(), 7, PAGE + 1), b"written")
        fd, offset = lib.get("region_file", region)
        self.assertNotEqual(fd, file.fileno())
        self.assertEqual(offset, PAGE)

    def test_external(self):
        memory = mmap.mmap(-1, PAGE)
        host = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        region = self.region("external", 0x3000, PAGE, host)
        self.check(region, lib.REGION_EXTERNAL, 0x3000, PAGE)
        self.assertEqual(memory[1:8], b"written")
        self.assertEqual(lib.region_huge_pages(region), lib.HUGE_PAGES_UNKNOWN)

    def test_alias(self):
        target = self.region("anonymous", 0, 2 * PAGE)
        region = self.region("alias", 0x100000, PAGE, target, PAGE)
        self.check(region, lib.REGION_ALIAS, 0x100000, PAGE)
        self.assertEqual(address(lib.region_alias_target(region)),
                         address(target))
        self.assertEqual(lib.region_alias_offset(region), PAGE)
        self.assertEqual(self.read(self.collection(target), PAGE + 1, 7),
                         b"written")

    def test_custom(self):
        ops, data = self.store(64)
        region = self.region("custom", 0x4000, 64, ops, None)
        self.check(region, lib.REGION_CUSTOM, 0x4000, 64)
        self.assertEqual(data[1:8], b"written")
        self.assertEqual(lib.code("region_host_address", region, 0),
                         lib.ENOHOST)

    def test_custom_with_host_address_is_destroyed_once(self):
        memory = ctypes.create_string_buffer(PAGE + 16)
        host = ctypes.addressof(memory) + 15 & ~15
        destroyed = []

        def give(_, ret_host):
            ret_host[0] = host
            return 0

        ops = self.ops(host=give, destroy=destroyed.append)
        region = lib.get("region_new_custom", 0, PAGE, ops, 0x5a5a)
        self.assertEqual(lib.get("region_host_address", region, 0),
                         [host, PAGE])
        self.assertEqual(address(lib.region_ref(region)), address(region))
        self.assertFalse(lib.region_unref(region))
        self.assertEqual(destroyed, [])
        self.assertFalse(lib.region_unref(region))
        self.assertEqual(destroyed, [0x5a5a])

    def test_builder(self):
        builder = self.builder(0x5000, PAGE)
        lib.region_builder_set_memfd(builder)
        lib.region_builder_set_name(builder, b"low memory")
        lib.region_builder_set_role(builder, lib.ROLE_PMEM)
        lib.region_builder_set_guest_node(builder, 3)
        set_cookie = lib.region_builder_set_cookie
        set_cookie(builder, 0x1, 0xc00c1e, set_cookie.argtypes[3]())
        lib.region_builder_set_huge_page_size(builder, 0)
        lib.region_builder_set_protection(builder, lib.PROT_READ)
        region = self.build(builder)
        self.assertEqual(lib.region_builder_why(builder), b"")
        self.assertEqual(lib.region_kind(region), lib.REGION_MEMFD)
        self.assertEqual(lib.region_name(region), b"low memory")
        self.assertEqual(lib.region_role(region), lib.ROLE_PMEM)
        self.assertEqual(lib.region_guest_node(region), 3)
        self.assertEqual(lib.region_cookie(region, 0x1), 0xc00c1e)
        self.assertEqual(lib.region_protection(region), lib.PROT_READ)

        # The same builder goes on: the last backing named counts.
        lib.region_builder_set_anonymous(builder)
        lib.region_builder_set_protection(builder,
                                          lib.PROT_READ | lib.PROT_WRITE)
        lib.region_builder_set_protection(builder, lib.PROT_READ)
        region = self.build(builder)
        self.assertEqual(lib.region_kind(region), lib.REGION_ANONYMOUS)
        self.assertEqual(lib.region_protection(region), lib.PROT_READ)

        lib.region_builder_set_protection(builder,
                                          lib.PROT_READ | lib.PROT_WRITE)
        file = self.file(PAGE)
        lib.region_builder_set_file(builder, file.fileno(), 0,
                                    lib.FILE_PRIVATE)
        region = self.build(builder)
        self.assertEqual(lib.region_file_flags(region), lib.FILE_PRIVATE)
        self.check(region, lib.REGION_FILE, 0x5000, PAGE)
        self.assertEqual(os.pread(file.fileno(), 9, 0), bytes(9))

    def test_builder_like_another(self):
        builder = self.builder(0x5000, PAGE)
        lib.region_builder_set_memfd(builder)
        lib.region_builder_set_name(builder, b"dimm")
        lib.region_builder_set_role(builder, lib.ROLE_PMEM)
        lib.region_builder_set_logging(builder, 1)
        self.assertEqual(lib.code("region_builder_build", builder),
                         lib.EARGUMENT)
        lib.region_builder_set_tracking(builder, 4096)
        region = self.build(builder)
        self.assertEqual(
            lib.bitmap_stop_logging(lib.region_bitmap(region)), 0)
        other = self.builder()
        lib.region_builder_set_like(other, region)
        region = self.build(other)
        self.assertEqual(
            (lib.region_kind(region), lib.region_start(region),
             lib.region_role(region), lib.region_name(region)),
            (lib.REGION_MEMFD, 0x5000, lib.ROLE_PMEM, b"dimm"))
        self.assertEqual(
            lib.bitmap_stop_logging(lib.region_bitmap(region)),
            lib.EARGUMENT)

    def test_builder_with_what_others_own(self):
        released = []
        memory = mmap.mmap(-1, PAGE)
        host = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        set_external = lib.region_builder_set_external
        release = set_external.argtypes[2](released.append)
        builder = self.builder(0x6000, PAGE)
        set_external(builder, host, release, 0x0bec)
        region = lib.get("region_builder_build", builder)
        self.assertEqual(lib.region_kind(region), lib.REGION_EXTERNAL)

        # The alias and the builder hold the region; its owner is told last.
        lib.region_builder_set_alias(builder, region, 0)
        alias = lib.get("region_builder_build", builder)
        self.assertEqual(lib.region_kind(alias), lib.REGION_ALIAS)
        lib.region_unref(region)
        ops, _ = self.store(PAGE)
        lib.region_builder_set_custom(builder, ops, None)
        custom = self.build(builder)
        self.assertEqual(lib.region_kind(custom), lib.REGION_CUSTOM)
        self.assertEqual(released, [])
        lib.region_unref(alias)
        self.assertEqual(released, [0x0bec])


class Collections(Case):
    def test_insert_and_remove(self):
        empty = lib.get("collection_new_empty")
        self.addCleanup(lib.collection_unref, empty)
        self.assertEqual(lib.collection_count(empty), 0)
        self.assertEqual(lib.code("collection_last", empty), lib.ENOREGION)

        region = self.region("anonymous", 0x1000, PAGE)
        one = lib.get("collection_insert", empty, region)
        self.addCleanup(lib.collection_unref, one)
        self.assertEqual(lib.collection_count(empty), 0)
        self.assertEqual(lib.collection_count(one), 1)
        self.assertEqual(lib.code("collection_insert", one, region),
                         lib.EOVERLAP)
        self.assertEqual(lib.code("collection_remove", one, 0x1000, PAGE - 1),
                         lib.ENOREGION)

        none, removed = lib.get("collection_remove", one, 0x1000, PAGE)
        self.addCleanup(lib.collection_unref, none)
        self.addCleanup(lib.region_unref, removed)
        self.assertEqual(address(removed), address(region))
        self.assertEqual(lib.collection_count(none), 0)
        self.assertEqual(lib.collection_count(one), 1)

    def test_sorting_is_the_callers_unless_asked(self):
        low = self.region("anonymous", 0, PAGE)
        high = self.region("anonymous", 0x10000, PAGE)
        collection = self.collection(high, low, name="new_unsorted")
        starts = [lib.region_start(lib.collection_region(collection, index))
                  for index in range(lib.collection_count(collection))]
        self.assertEqual(starts, [0, 0x10000])
        self.assertFalse(lib.collection_region(collection, 2))

        visited = []

        def visit(opaque, region):
            visited.append((lib.region_start(region), opaque))
            return len(visited) - 1

        for_each = lib.collection_for_each
        callback = for_each.argtypes[1](visit)
        self.assertEqual(for_each(collection, callback, 0x77), 1)
        self.assertEqual(visited, [(0, 0x77), (0x10000, 0x77)])

    def test_look_up(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE), (0x100000, PAGE))
        self.assertEqual(lib.region_start(lib.collection_find(memory, PAGE)),
                         PAGE)
        self.assertFalse(lib.collection_find(memory, 2 * PAGE))
        region, offset = lib.get("collection_locate", memory, PAGE + 5)
        self.assertEqual((lib.region_start(region), offset), (PAGE, 5))
        self.assertEqual(lib.get("collection_last", memory),
                         0x100000 + PAGE - 1)
        self.assertEqual(lib.collection_contains(memory, 2 * PAGE - 1), 1)
        self.assertEqual(lib.collection_contains(memory, 2 * PAGE), 0)
        self.assertEqual(lib.code("collection_check", memory, 0, 2 * PAGE, 0),
                         0)
        self.assertEqual(
            lib.call("collection_check", memory, 1, 2 * PAGE, lib.PROT_READ),
            (lib.EBADADDR, 2 * PAGE))
        self.assertEqual(lib.get("collection_address_add", memory, 1, 0x100000),
                         0x100001)
        host, left = lib.get("collection_host_address", memory, PAGE + 5,
                             lib.PROT_WRITE)
        self.assertEqual((host % 16, left), (5, PAGE - 5))
        self.assertEqual(lib.get("collection_host_to_gpa", memory, host + 1),
                         [PAGE + 6, PAGE - 6])
        region = lib.get("collection_next", memory, 2 * PAGE)
        self.assertEqual(lib.region_start(region), 0x100000)
        self.assertEqual(lib.collection_index(memory, 0x100000),
                         lib.collection_index(memory, 2 * PAGE))
        self.assertEqual(lib.collection_overlaps(memory, PAGE, 1), 1)
        self.assertEqual(lib.collection_overlaps(memory, 2 * PAGE, 1), 0)
        region, offset, left, host = lib.get(
            "collection_piece", memory, PAGE + 5, 9, lib.PROT_WRITE)
        self.assertEqual((lib.region_start(region) + offset, left, host % 16),
                         (PAGE + 5, 9, 5))
        needed = lib.call("collection_describe", memory, None, 0)
        self.assertEqual(needed[0], lib.ENOROOM)
        text = ctypes.create_string_buffer(needed[1] + 1)
        self.assertEqual(
            lib.get("collection_describe", memory, text, len(text)), needed[1])
        self.assertIn(b" anonymous rw- ", text.value)

    def test_file_ranges(self):
        file = self.file(PAGE)
        kind = lib.struct("file_range")
        ranges = (kind * 2)(kind(0, PAGE, 0, -1, 0),
                            kind(PAGE, PAGE, 0, file.fileno(), 0))
        memory = lib.get("collection_new_file_ranges", ranges, 2,
                         None)
        self.assertEqual(address(lib.collection_ref(memory)), address(memory))
        self.assertFalse(lib.collection_unref(memory))
        self.write(memory, PAGE - 2, b"across")
        self.assertEqual(os.pread(file.fileno(), 4, 0), b"ross")
        self.assertFalse(lib.collection_unref(memory))


class Access(Case):
    def test_all_or_nothing(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE))
        self.write(memory, PAGE - 3, b"across")
        self.assertEqual(self.read(memory, PAGE - 3, 6), b"across")
        self.assertEqual(lib.get("collection_write_with", memory, 0, b"with",
                                 4, None), 4)
        said = ctypes.create_string_buffer(4)
        self.assertEqual(lib.get("collection_read_with", memory, 0, said, 4,
                                 None), 4)
        self.assertEqual(said.raw, b"with")
        code, done = lib.call("collection_write", memory, 2 * PAGE - 2,
                              b"over", 4)
        self.assertEqual((code, done), (lib.EBADADDR, 0))
        self.assertEqual(self.read(memory, 2 * PAGE - 2, 2), bytes(2))

    def test_some(self):
        memory = self.memory((0, PAGE))
        code, done = lib.call("collection_write_some", memory, PAGE - 2,
                              b"over", 4)
        self.assertEqual((code, done), (lib.EBADADDR, 2))
        buf = ctypes.create_string_buffer(4)
        code, done = lib.call("collection_read_some", memory, PAGE - 2, buf, 4)
        self.assertEqual((code, done, buf.raw), (lib.EBADADDR, 2, b"ov\0\0"))
        code, done = lib.call("collection_fill_some", memory, PAGE - 1,
                              TOP - 1, 0x2a)
        self.assertEqual((code, done), (lib.EBADADDR, 1))
        self.assertEqual(self.read(memory, PAGE - 2, 2), b"o*")

    def test_fill_and_copy(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE))
        self.assertEqual(lib.get("collection_fill", memory, 0, 2 * PAGE, 0x61),
                         2 * PAGE)
        self.write(memory, PAGE - 2, b"bcde")
        self.assertEqual(
            lib.get("collection_copy", memory, PAGE - 1, PAGE - 2, 4), 4)
        self.assertEqual(self.read(memory, PAGE - 3, 7), b"abbcdea")

    def test_integers(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE))
        for size in 1, 2, 4, 8:
            kind = f"u{size * 8}"
            # Aligned, misaligned, and across two regions.
            for gpa in 64, 129, PAGE - 1:
                value = 0xfedcba9876543210 >> (64 - size * 8)
                write = getattr(lib, "collection_write_" + kind)
                self.assertEqual(write(memory, gpa, value), 0)
                self.assertEqual(self.read(memory, gpa, size),
                                 value.to_bytes(size, sys.byteorder))
                self.assertEqual(
                    lib.get("collection_read_" + kind, memory, gpa), value)

    def test_atomics(self):
        memory = self.memory((0, PAGE))
        order = lib.ORDER_SEQ_CST
        for bits in 8, 16, 32, 64:
            top = 2 ** bits - 1

            def atomic(name, *args):
                return lib.get(f"collection_{name}_u{bits}", memory, 64, *args)

            store = getattr(lib, f"collection_store_u{bits}")
            self.assertEqual(store(memory, 64, top, lib.ORDER_RELEASE), 0)
            self.assertEqual(atomic("load", lib.ORDER_ACQUIRE), top)
            self.assertEqual(atomic("exchange", 7, order), top)
            # Expects another value first, and so changes nothing.
            self.assertEqual(atomic("compare_exchange", 8, 9, order,
                                    lib.ORDER_RELAXED), 7)
            self.assertEqual(atomic("compare_exchange", 7, top - 1, order,
                                    lib.ORDER_ACQUIRE), 7)
            self.assertEqual(atomic("fetch_add", 3, lib.ORDER_ACQ_REL),
                             top - 1)
            self.assertEqual(atomic("fetch_or", 0x50, order), 1)
            self.assertEqual(atomic("fetch_and", 0x41, order), 0x51)
            self.assertEqual(atomic("load", lib.ORDER_RELAXED), 0x41)
            # What stands beside it was left alone.
            self.assertEqual(self.read(memory, 64 + bits // 8, 8), bytes(8))

    def test_atomics_in_threads(self):
        memory = self.memory((0, PAGE))

        def add():
            for _ in range(2000):
                lib.get("collection_fetch_add_u32", memory, 8, 1,
                        lib.ORDER_RELAXED)

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            lib.get("collection_load_u32", memory, 8, lib.ORDER_RELAXED), 8000)


class Codes(ProvokedByBacking, ProvokedByVhost, Case):
    def test_list(self):
        """The numbers, from VMMEM_EARGUMENT downwards until they end."""
        codes = {name: value for name, value
                 in lib.library.headers.constants.items()
                 if re.match("VMMEM_E[A-Z]", name)}
        walked = {}
        code = lib.EARGUMENT
        while lib.error_name(code) is not None:
            walked[lib.error_name(code).decode()] = code
            code -= 1
        self.assertEqual(walked, codes)
        self.assertEqual(lib.EARGUMENT, -4097)
        texts = {lib.strerror(value) for value in codes.values()}
        self.assertEqual(len(texts), len(codes))
        self.assertTrue(all(texts))
        for text in texts:
            self.assertNotRegex(text.decode(), r"unknown code|\.$|0x")
        for name in RESERVED:
            self.assertIn("VMMEM_" + name, walked)

    def test_ends_of_the_list(self):
        last = min(value for name, value
                   in lib.library.headers.constants.items()
                   if re.match("VMMEM_E[A-Z]", name))
        for code in last - 1, -4096, 1, 2 ** 31 - 1, -2 ** 31:
            self.assertIsNone(lib.error_name(code), code)
            self.assertEqual(lib.strerror(code), b"unknown code", code)
        self.assertEqual(lib.error_name(0), b"0")

    def test_codes_of_the_system(self):
        for number in errno.errorcode:
            name = lib.error_name(-number)
            self.assertEqual(getattr(errno, name.decode()), number)
            self.assertNotEqual(lib.strerror(-number), b"unknown code")
            self.assertEqual(lib.error_errno(-number), number)
        self.assertEqual(lib.error_errno(lib.EDENIED), errno.EACCES)
        self.assertEqual(lib.code("region_new_file", 0, PAGE, -1, 0),
                         -errno.EBADF)
        with open(__file__, "rb") as read_only:
            self.assertEqual(
                lib.code("region_new_file", 0, 1, read_only.fileno(), 0),
                -errno.EACCES)

    def test_provoke_each(self):
        known = {name[6:] for name in lib.library.headers.constants
                 if re.match("VMMEM_E[A-Z]", name)}
        provoked = {name[8:] for name in dir(self)
                    if name.startswith("provoke_")}
        self.assertEqual(provoked | RESERVED, known)
        self.assertFalse(provoked & RESERVED)
        for name in sorted(provoked):
            with self.subTest(code=name):
                code = getattr(self, "provoke_" + name)()
                self.assertEqual(lib.error_name(code),
                                 b"VMMEM_" + name.encode())

    def provoke_EARGUMENT(self):
        return lib.region_new_anonymous(0, PAGE, None)

    def provoke_ENOREGION(self):
        return lib.code("collection_new", None, 0)

    def provoke_EOVERLAP(self):
        region = self.region("anonymous", 0, PAGE)
        return lib.code("collection_insert", self.collection(region), region)

    def provoke_EUNSORTED(self):
        array = (ctypes.POINTER(lib.struct("region")) * 2)(
            self.region("anonymous", PAGE, PAGE),
            self.region("anonymous", 0, PAGE))
        return lib.code("collection_new", array, 2)

    def provoke_EBADADDR(self):
        return lib.code("collection_read_u8", self.memory((0, PAGE)), PAGE)

    def provoke_EOUTOFRANGE(self):
        return lib.code("region_host_address",
                        self.region("anonymous", 0, PAGE), PAGE)

    def provoke_EWRAPS(self):
        return lib.code("region_new_anonymous", TOP - PAGE, PAGE + 1)

    def provoke_EPARTIAL(self):
        return lib.code("collection_from_fd", self.memory((0, 64)), 0, 64,
                        self.file(5).fileno(), 2 ** 63, lib.IO_SOME)

    def provoke_EEOF(self):
        return lib.code("collection_from_fd", self.memory((0, 64)), 0, 64,
                        self.file(5).fileno(), 2 ** 63, 0)

    def provoke_EFILERANGE(self):
        return lib.code("collection_from_fd", self.memory((0, 64)), 0, 64,
                        self.file(5).fileno(), 2 ** 63 - 1, 0)

    def provoke_ENOROOM(self):
        return lib.code("collection_iovec", self.memory((0, 64)), 0, 64, 0,
                        None, 0)

    def provoke_ENOHOST(self):
        ops, _ = self.store(64)
        region = self.region("custom", 0, 64, ops, None)
        return lib.code("collection_load_u8", self.collection(region), 0,
                        lib.ORDER_RELAXED)

    def provoke_EDENIED(self):
        builder = self.builder()
        lib.region_builder_set_protection(builder, lib.PROT_READ)
        memory = self.collection(self.build(builder))
        return lib.collection_write_u8(memory, 0, 1)

    def provoke_EMISALIGNED(self):
        return lib.code("collection_load_u32", self.memory((0, PAGE)), 2,
                        lib.ORDER_RELAXED)

    def provoke_ECROSS(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE))
        return lib.code("collection_load_u64", memory, PAGE - 4,
                        lib.ORDER_RELAXED)

    def provoke_EORDER(self):
        return lib.code("collection_load_u32", self.memory((0, PAGE)), 0,
                        lib.ORDER_RELEASE)

    def provoke_EZEROLEN(self):
        return lib.code("region_new_anonymous", 0, 0)

    def provoke_EEXISTS(self):
        memory = lib.get("collection_new_empty")
        self.addCleanup(lib.collection_unref, memory)
        destroy = lib.collection_set_cookie.argtypes[3]()
        self.assertEqual(lib.collection_set_cookie(memory, 1, 2, destroy), 0)
        self.assertEqual(lib.collection_cookie(memory, 1), 2)
        return lib.collection_set_cookie(memory, 1, 3, destroy)

    def provoke_EPASTEOF(self):
        return lib.code("region_new_file", 0, 2 * PAGE,
                        self.file(PAGE).fileno(), 0)

    def provoke_EFILEOFFSET(self):
        kind = lib.struct("fd_rules")
        rules = kind(size=ctypes.sizeof(kind), types=lib.FD_TYPE_REGULAR,
                     flags=lib.FD_MAY_SHRINK)
        return lib.fd_check(self.file(PAGE).fileno(), 1, 0, rules, None)

    def provoke_ECONGRUENCE(self):
        memory = ctypes.create_string_buffer(64)
        host = ctypes.addressof(memory)
        return lib.code("region_new_external", host % 16 ^ 1, 16, host)

    def provoke_ESTRUCTSIZE(self):
        ops, _ = self.store(64)
        ops.size -= 1
        return lib.code("region_new_custom", 0, 64, ops, None)

    def provoke_ESTRUCTNEWER(self):
        kind = lib.struct("region_ops")

        class Newer(ctypes.Structure):
            _fields_ = [("ops", kind), ("more", ctypes.c_uint64)]

        newer = Newer(self.store(64)[0], 1)
        newer.ops.size = ctypes.sizeof(Newer)
        return lib.code("region_new_custom", 0, 64, newer.ops, None)

    def provoke_EHUGEPAGE(self):
        builder = self.builder()
        lib.region_builder_set_huge_page_size(builder, 3)
        return lib.code("region_builder_build", builder)

    def provoke_ETOOBIG(self):
        slice_ = lib.get("region_slice", self.region("anonymous", 0, PAGE), 0,
                         PAGE, lib.PROT_READ)
        return lib.slice_load_element(slice_, TOP // 16, 16,
                                      ctypes.create_string_buffer(16))

    def provoke_ECALLBACK(self):
        ops = self.ops(read=lambda *_: 1)
        memory = self.collection(self.region("custom", 0, 64, ops, None))
        return lib.code("collection_read_u8", memory, 0)

    def provoke_ENOFILE(self):
        return lib.code("region_file", self.region("anonymous", 0, PAGE))

    def provoke_ELONGNAME(self):
        builder = self.builder()
        lib.region_builder_set_name(builder, b"x" * (lib.REGION_NAME_MAX + 1))
        return lib.code("region_builder_build", builder)

    def provoke_EGONE(self):
        _, _, memory = Faults.lose(self)
        return lib.code("collection_read_u8", memory, PAGE)

    def provoke_EHANDLERS(self):
        return in_child(bury)

    def provoke_ETIMEOUT(self):
        kind = lib.struct("iommu_options")
        options = kind(size=ctypes.sizeof(kind), flags=lib.IOMMU_QUEUE_MISSES)
        iotlb = lib.get("iotlb_new", None)
        iommu = lib.get("iommu_new", iotlb, options)
        lib.iotlb_unref(iotlb)
        code = lib.code("iommu_resolve", iommu, 0, 1, 1, 0)
        lib.iommu_unref(iommu)
        return code


# Their tests are found here by name.
TESTED_ELSEWHERE = (Backing, Bitmaps, DirtyLogs, Faults, Iommu, Iotlb, Kvm, OnDemand,
                    Private, InSection, Slices, Slots, Spaces, Transfers, Vhost)


def main():
    passed = unittest.main(exit=False).result.wasSuccessful()
    missing = set(symbols_of_map()) - lib.called
    if NO_KVM:
        print("not tested: the functions of kvm.h:", NO_KVM)
        missing = {name for name in missing
                   if not name.startswith("vmmem_kvm_")}
    # A class that was picked by name on the command line calls only a part.
    if missing and len(sys.argv) == 1:
        print("never called:", *sorted(missing), file=sys.stderr)
        passed = False
    sys.exit(not passed)


if __name__ == "__main__":
    main()
