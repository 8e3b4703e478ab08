# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Slices from Python; test_ctypes.py runs this."""

import ctypes
import sys

from support import PAGE, TOP, Case, address, lib


class Slices(Case):
    def slice(self, length=PAGE, access=None):
        if access is None:
            access = lib.PROT_READ | lib.PROT_WRITE
        region = self.region("anonymous", 0x10000, length)
        return lib.get("region_slice", region, 0, length, access)

    def put(self, slice_, offset, data):
        self.assertEqual(lib.slice_write(slice_, offset, data, len(data)), 0)

    def take(self, slice_, offset, length):
        buf = ctypes.create_string_buffer(length)
        self.assertEqual(lib.slice_read(slice_, offset, buf, length), 0)
        return buf.raw

    def test_members(self):
        region = self.region("anonymous", 0x10000, PAGE)
        slice_ = lib.get("region_slice", region, 16, 32, lib.PROT_READ)
        host, _ = lib.get("region_host_address", region, 16)
        self.assertEqual((slice_.host, slice_.len), (host, 32))
        self.assertEqual(slice_.access, lib.PROT_READ)
        self.assertEqual((slice_.flags, slice_.gpa), (0, 0x10010))
        self.assertEqual(address(slice_.region), address(region))
        self.assertEqual(slice_.logging[0], 0)
        lib.slice_release(slice_)
        self.assertEqual(lib.code("region_slice", region, 1, PAGE, 0),
                         lib.EOUTOFRANGE)

    def test_what_inline_bodies_call(self):
        slice_ = self.slice()
        part = lib.get("inline_call_sub", slice_, 8, 8)
        order = lib.ORDER_RELAXED
        # The code of a word, and with what is added for a write.
        self.assertEqual(lib.inline_call_store(part, 0, 4, order, 7), 0)
        self.assertEqual(lib.inline_call_store(part, 4, 0x40 | 4, order,
                                               0x01010101), 0)
        self.assertEqual(self.take(part, 4, 4), b"\1\1\1\1")
        seen = ctypes.c_uint32()
        self.assertEqual(lib.inline_call_modify(part, 0, 0x200 | 4, order, 3,
                                                ctypes.byref(seen)), 0)
        self.assertEqual(seen.value, 7)
        self.assertEqual(
            lib.inline_call_compare_exchange(part, 0, 4, order, order, 10, 11,
                                             ctypes.byref(seen)), 0)
        self.assertEqual(seen.value, 10)
        self.assertEqual(lib.inline_call_load(slice_, 8, 4, order,
                                              ctypes.byref(seen)), 0)
        self.assertEqual(seen.value, 11)
        for code in 0, 3, 0x12, 0x22, 0x50 | 2, 0x100 | 4, 0x80000004:
            self.assertEqual(lib.inline_call_load(slice_, 8, code, order,
                                                  ctypes.byref(seen)),
                             lib.EARGUMENT)

    def test_of_own_memory(self):
        own = ctypes.create_string_buffer(16)
        slice_ = lib.get("slice_from_host", ctypes.addressof(own), 16,
                         lib.PROT_READ | lib.PROT_WRITE)
        self.assertEqual(lib.slice_write_u32(
            slice_, 4, int.from_bytes(b"\0\0\0\1", sys.byteorder)), 0)
        lib.fence(lib.ORDER_SEQ_CST)
        self.assertEqual(own.raw[4:8], b"\0\0\0\1")
        self.assertEqual((slice_.gpa, slice_.len), (0, 16))
        self.assertFalse(slice_.region)
        self.assertFalse(lib.slice_bitmap(slice_, None))
        lib.slice_release(slice_)

    def test_of_a_collection(self):
        memory = self.memory((0, PAGE), (PAGE, PAGE))
        slice_ = lib.get("collection_slice", memory, 8, 16, lib.PROT_WRITE)
        self.assertEqual(slice_.len, 16)
        self.assertEqual(
            lib.code("collection_slice", memory, 8, PAGE, lib.PROT_WRITE),
            lib.ECROSS)
        # Walk over what no single slice covers.
        at, seen = 8, 0
        while at < 2 * PAGE:
            slice_ = lib.get("collection_next_slice", memory, at,
                             2 * PAGE - at, lib.PROT_WRITE)
            self.assertEqual(lib.slice_fill(slice_, 0, slice_.len, 0x61), 0)
            at += slice_.len
            seen += slice_.len
            lib.slice_release(slice_)
        self.assertEqual(seen, 2 * PAGE - 8)
        self.assertEqual(self.read(memory, 0, 16), bytes(8) + b"a" * 8)
        self.assertEqual(self.read(memory, PAGE, PAGE), b"a" * PAGE)

    def test_parts(self):
        whole = self.slice()
        part = lib.get("slice_sub", whole, 16, 8)
        self.assertEqual((part.host, part.len), (whole.host + 16, 8))
        rest = lib.get("slice_skip", whole, 24)
        self.assertEqual((rest.host, rest.len), (whole.host + 24, PAGE - 24))
        first, second = lib.get("slice_split", rest, 8)
        self.assertEqual((first.host, first.len), (rest.host, 8))
        self.assertEqual((second.host, second.len), (rest.host + 8, PAGE - 32))

    def test_bytes(self):
        slice_ = self.slice()
        self.put(slice_, 3, b"abcdef")
        self.assertEqual(self.take(slice_, 2, 8), b"\0abcdef\0")
        self.assertEqual(lib.slice_copy(slice_, 4, slice_, 3, 6), 0)
        self.assertEqual(self.take(slice_, 3, 7), b"aabcdef")
        self.assertEqual(lib.slice_fill(slice_, 5, 2, 0x78), 0)
        self.assertEqual(self.take(slice_, 3, 7), b"aaxxdef")
        self.assertEqual(lib.slice_write(slice_, PAGE - 1, b"ab", 2),
                         lib.EOUTOFRANGE)
        self.assertEqual(lib.call("slice_write_some", slice_, PAGE - 1, b"ab",
                                  2), (lib.EOUTOFRANGE, 1))
        buf = ctypes.create_string_buffer(2)
        self.assertEqual(lib.call("slice_read_some", slice_, PAGE - 1, buf, 2),
                         (lib.EOUTOFRANGE, 1))
        self.assertEqual(buf.raw, b"a\0")

    def test_elements(self):
        slice_ = self.slice()
        buf = ctypes.create_string_buffer(24)
        self.assertEqual(lib.slice_write_elements(slice_, 1, 12, 2,
                                                  bytes(range(24))), 0)
        self.assertEqual(lib.slice_store_element(slice_, 3, 12, b"x" * 12), 0)
        self.assertEqual(lib.slice_load_element(slice_, 2, 12, buf), 0)
        self.assertEqual(buf.raw[:12], bytes(range(12, 24)))
        self.assertEqual(lib.slice_copy_elements(slice_, 5, slice_, 2, 12, 2),
                         0)
        self.assertEqual(lib.slice_read_elements(slice_, 5, 12, 2, buf), 0)
        self.assertEqual(buf.raw, bytes(range(12, 24)) + b"x" * 12)

    def test_integers(self):
        slice_ = self.slice()
        for size in 1, 2, 4, 8:
            kind = f"u{size * 8}"
            for offset in 64, 129:
                value = 0xfedcba9876543210 >> (64 - size * 8)
                write = getattr(lib, "slice_write_" + kind)
                self.assertEqual(write(slice_, offset, value), 0)
                self.assertEqual(self.take(slice_, offset, size),
                                 value.to_bytes(size, sys.byteorder))
                self.assertEqual(
                    lib.get("slice_read_" + kind, slice_, offset), value)

    def test_atomics(self):
        slice_ = self.slice()
        order = lib.ORDER_SEQ_CST
        for bits in 8, 16, 32, 64:
            top = 2 ** bits - 1

            def atomic(name, *args):
                return lib.get(f"slice_{name}_u{bits}", slice_, 64, *args)

            store = getattr(lib, f"slice_store_u{bits}")
            self.assertEqual(store(slice_, 64, top, lib.ORDER_RELEASE), 0)
            self.assertEqual(atomic("load", lib.ORDER_ACQUIRE), top)
            self.assertEqual(atomic("exchange", 7, order), top)
            self.assertEqual(atomic("compare_exchange", 8, 9, order,
                                    lib.ORDER_RELAXED), 7)
            self.assertEqual(atomic("compare_exchange", 7, top - 1, order,
                                    lib.ORDER_ACQUIRE), 7)
            self.assertEqual(atomic("fetch_add", 3, lib.ORDER_ACQ_REL),
                             top - 1)
            self.assertEqual(atomic("fetch_or", 0x50, order), 1)
            self.assertEqual(atomic("fetch_and", 0x41, order), 0x51)
            self.assertEqual(atomic("load", lib.ORDER_RELAXED), 0x41)
            self.assertEqual(self.take(slice_, 64 + bits // 8, 8), bytes(8))

    def test_refusals(self):
        read_only = self.slice(access=lib.PROT_READ)
        self.assertEqual(lib.slice_write_u8(read_only, 0, 1), lib.EDENIED)
        self.assertEqual(lib.code("slice_load_u32", self.slice(), 2,
                                  lib.ORDER_RELAXED), lib.EMISALIGNED)
        self.assertEqual(lib.slice_fill(self.slice(), 0, TOP - 1, 0),
                         lib.EOUTOFRANGE)


class OnDemand(Case):
    def test_acquire_and_release(self):
        memory = ctypes.create_string_buffer(256)
        base = ctypes.addressof(memory) + 15 & ~15
        calls = []

        def acquire(_, offset, length, access, ret_host):
            calls.append(("acquire", offset, length, access, base + offset))
            ret_host[0] = base + offset
            return 0

        def release(_, offset, length, access, host):
            calls.append(("release", offset, length, access, host))

        ops = self.ops(acquire=acquire, release=release)
        region = self.region("custom", 0x4000, 128, ops, None)
        slice_ = lib.get("region_slice", region, 16, 32, lib.PROT_WRITE)
        self.assertEqual(slice_.flags, lib.SLICE_FLAG_ACQUIRED)
        self.assertEqual(address(slice_.region), address(region))
        part = lib.get("slice_sub", slice_, 8, 8)
        self.assertEqual(part.flags, 0)
        self.assertEqual(lib.slice_write_u32(
            part, 4, int.from_bytes(b"abcd", sys.byteorder)), 0)
        self.assertEqual(ctypes.string_at(base + 28, 4), b"abcd")
        lib.slice_release(part)
        self.assertEqual(calls[1:], [])
        lib.slice_release(slice_)
        lib.slice_release(slice_)
        self.assertFalse(slice_.host)
        self.assertEqual(slice_.len, 0)
        self.assertFalse(slice_.region)
        self.assertEqual([name for name, *_ in calls], ["acquire", "release"])
        self.assertEqual(calls[0][1:], (16, 32, lib.PROT_WRITE, base + 16))
        self.assertEqual(calls[0][1:], calls[1][1:])
