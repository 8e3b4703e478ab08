# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Bitmaps and harvesters from Python; test_ctypes.py runs this."""

import ctypes

from support import PAGE, Case, address, lib

UNIT = 64


class Bitmaps(Case):
    def bitmap(self, length=64 * UNIT, most=0):
        bitmap = lib.get("bitmap_new", length, most, UNIT, None)
        self.addCleanup(lib.bitmap_unref, bitmap)
        return bitmap

    def dirty(self, bitmap):
        """The marked ranges, in pages."""
        found, at = [], 0
        while True:
            start, length = lib.get("bitmap_next", bitmap, at)
            if length == 0:
                self.assertEqual(start, lib.bitmap_len(bitmap))
                return found
            found.append((start // UNIT, length // UNIT))
            at = start + length

    def words(self, count, *values):
        kind = lib.struct("le64") * count
        return kind.from_buffer_copy(
            b"".join(value.to_bytes(8, "little") for value in values)
            .ljust(8 * count, b"\0"))

    def test_marks(self):
        bitmap = self.bitmap()
        self.assertEqual(lib.bitmap_len(bitmap), 64 * UNIT)
        self.assertEqual(lib.bitmap_page_size(bitmap), UNIT)
        self.assertEqual(lib.bitmap_mark(bitmap, 3 * UNIT - 1, 2), 0)
        self.assertEqual(lib.bitmap_mark(bitmap, 9 * UNIT, 1), 0)
        self.assertEqual(self.dirty(bitmap), [(2, 2), (9, 1)])
        self.assertEqual(lib.bitmap_count(bitmap), 3)
        self.assertEqual(lib.bitmap_test(bitmap, 3 * UNIT), 1)
        self.assertEqual(lib.bitmap_test(bitmap, 4 * UNIT), 0)
        self.assertEqual(lib.bitmap_clear(bitmap, 0, 3 * UNIT), 0)
        self.assertEqual(self.dirty(bitmap), [(3, 1), (9, 1)])
        self.assertEqual(lib.bitmap_mark(bitmap, 64 * UNIT, 1),
                         lib.EOUTOFRANGE)

    def test_growing(self):
        bitmap = self.bitmap(UNIT, 4 * UNIT)
        self.assertEqual(lib.bitmap_grow(bitmap, 3 * UNIT), 0)
        self.assertEqual(lib.bitmap_len(bitmap), 3 * UNIT)
        self.assertEqual(lib.bitmap_mark(bitmap, 2 * UNIT, 1), 0)
        self.assertEqual(lib.bitmap_grow(bitmap, 5 * UNIT), lib.EOUTOFRANGE)

    def test_words(self):
        bitmap = self.bitmap()
        self.assertEqual(
            lib.bitmap_merge(bitmap, 0, 64 * UNIT, 2 * UNIT,
                             self.words(1, 0b101), 8), 0)
        self.assertEqual(self.dirty(bitmap), [(0, 2), (4, 2)])
        words = self.words(2, 2 ** 64 - 1, 2 ** 64 - 1)
        self.assertEqual(
            lib.bitmap_export(bitmap, 0, 64 * UNIT, UNIT, words, 16), 0)
        self.assertEqual(bytes(words), bytes(self.words(2, 0b110011)))
        bits = ctypes.create_string_buffer(b"\xff" * 2, 2)
        self.assertEqual(
            lib.bitmap_export(bitmap, UNIT, 8 * UNIT, UNIT, bits, 1), 0)
        self.assertEqual(bits.raw, b"\x19\xff")

    def test_bits_of_others(self):
        released = []
        bits = ctypes.create_string_buffer(24)
        at = ctypes.addressof(bits) + 7 & ~7
        release = lib.bitmap_new_external.argtypes[4](released.append)
        bitmap = lib.get("bitmap_new_external", at, 16, 128 * UNIT, UNIT,
                         release, 0xb175, None)
        self.assertEqual(lib.bitmap_mark(bitmap, 9 * UNIT, UNIT), 0)
        self.assertEqual(ctypes.string_at(at, 2), b"\0\2")
        self.assertEqual(lib.bitmap_is_logging(bitmap), 1)
        self.assertEqual(lib.bitmap_logging(bitmap)[0], 1)
        self.assertEqual(lib.bitmap_is_external(bitmap), 1)
        self.assertEqual(lib.bitmap_max_len(bitmap), 128 * UNIT)
        self.assertIsNone(lib.bitmap_name(bitmap))
        self.assertEqual(address(lib.bitmap_ref(bitmap)), address(bitmap))
        self.assertFalse(lib.bitmap_unref(bitmap))
        self.assertEqual(released, [])
        self.assertFalse(lib.bitmap_unref(bitmap))
        self.assertEqual(released, [0xb175])

    def test_of_regions(self):
        builder = self.builder(0x10000, PAGE)
        lib.region_builder_set_tracking(builder, UNIT)
        tracked = self.build(builder)
        self.assertEqual(lib.region_bitmap_offset(tracked), 0)
        bitmap = lib.region_bitmap(tracked)
        self.assertEqual(lib.bitmap_len(bitmap), PAGE)

        shared = self.bitmap(4 * PAGE)
        lib.region_builder_set_tracking(builder, 0)
        lib.region_builder_set_range(builder, 0x20000, PAGE)
        lib.region_builder_set_bitmap(builder, shared, PAGE)
        region = self.build(builder)
        self.assertEqual(address(lib.region_bitmap(region)), address(shared))
        self.assertEqual(lib.region_bitmap_offset(region), PAGE)

        memory = self.collection(tracked, region)
        self.assertEqual(lib.bitmap_start_logging(shared), 0)
        self.assertEqual(lib.bitmap_is_logging(shared), 1)
        self.write(memory, 0x20000 + UNIT, b"x")
        slice_ = lib.get("region_slice", region, 4 * UNIT, UNIT,
                         lib.PROT_WRITE)
        self.assertEqual(slice_.log_offset, PAGE + 4 * UNIT)
        ctypes.memset(slice_.host, 0x61, 1)
        self.assertEqual(lib.slice_mark(slice_, 0, 1), 0)
        first = PAGE // UNIT
        self.assertEqual(self.dirty(shared), [(first + 1, 1), (first + 4, 1)])
        self.assertEqual(self.dirty(bitmap), [])
        self.assertEqual(lib.bitmap_stop_logging(shared), 0)
        self.assertEqual(lib.bitmap_stop_logging(shared), lib.EARGUMENT)

    def test_all_of_a_map(self):
        builder = self.builder(0, PAGE)
        lib.region_builder_set_tracking(builder, UNIT)
        tracked = self.build(builder)
        memory = self.collection(tracked, self.region("anonymous", PAGE, PAGE))
        bitmap = lib.region_bitmap(tracked)
        self.assertEqual(lib.collection_start_logging(memory), 0)
        self.assertEqual(
            lib.get("region_write", tracked, 3 * UNIT, b"text", 4), 4)
        self.assertEqual(self.dirty(bitmap), [(3, 1)])
        text = ctypes.create_string_buffer(3)
        self.assertEqual(
            lib.get("region_read", tracked, 3 * UNIT + 1, text, 3), 3)
        self.assertEqual(text.raw, b"ext")
        self.assertEqual(lib.code("region_read", tracked, PAGE, text, 1),
                         lib.EOUTOFRANGE)
        self.assertEqual(lib.get("region_fill", tracked, 3 * UNIT, 8, 0x61), 8)
        self.assertEqual(lib.region_store(tracked, 4 * UNIT, 4,
                                          lib.ORDER_RELEASE, 0x12345678), 0)
        self.assertEqual(lib.get("region_load", tracked, 4 * UNIT, 4,
                                 lib.ORDER_ACQUIRE), 0x12345678)
        self.assertEqual(lib.get("region_load", tracked, 3 * UNIT, 1,
                                 lib.ORDER_RELAXED), 0x61)
        self.assertEqual(lib.region_store(tracked, 0, 3, lib.ORDER_RELAXED, 0),
                         lib.EARGUMENT)
        self.assertEqual(lib.collection_stop_logging(memory), 0)
        self.assertEqual(lib.bitmap_is_logging(bitmap), 0)

    def test_harvest(self):
        bitmap = self.bitmap()
        harvester = lib.get("harvester_new", bitmap, None)
        self.assertEqual(lib.bitmap_mark(bitmap, UNIT, 3 * UNIT), 0)
        self.assertEqual(address(lib.harvester_bitmap(harvester)),
                         address(bitmap))
        self.assertIsNone(lib.harvester_name(harvester))
        self.assertEqual(lib.get("harvester_take", harvester), 3)
        taken = lib.harvester_taken(harvester)
        self.assertEqual(self.dirty(taken), [(1, 3)])
        self.assertEqual(self.dirty(bitmap), [])
        self.assertEqual(lib.harvester_confirm(harvester, 0, 3 * UNIT), 0)
        self.assertEqual(lib.bitmap_mark(bitmap, 5 * UNIT, 5 * UNIT), 0)
        self.assertEqual(
            lib.get("harvester_take_range", harvester, 6 * UNIT, UNIT), 2)
        self.assertEqual(self.dirty(taken), [(3, 1), (6, 1)])
        self.assertEqual(lib.harvester_confirm(harvester, 0, 2 ** 64 - 1), 0)
        self.assertEqual(lib.get("harvester_take", harvester), 4)
        self.assertFalse(lib.harvester_free(harvester))


class DirtyLogs(Case):
    def test_a_round(self):
        builder = self.builder(0x10000, PAGE)
        lib.region_builder_set_tracking(builder, UNIT)
        memory = self.collection(self.build(builder))
        space = lib.get("space_new", memory, None)
        self.addCleanup(lib.space_unref, space)
        log = lib.get("dirty_log_new", space, None)
        self.assertEqual(address(lib.dirty_log_space(log)), address(space))
        self.assertIsNone(lib.dirty_log_name(log))
        self.assertEqual(lib.get("dirty_log_collect", log), PAGE)
        found = lib.struct("dirty_range")()
        self.assertEqual(lib.dirty_log_next(log, found), 0)
        self.assertEqual((found.gpa, found.len), (0x10000, PAGE))
        self.assertEqual(lib.dirty_log_confirm(log, found), 0)
        self.write(memory, 0x10000 + UNIT, b"x")
        self.assertEqual(lib.get("dirty_log_collect", log), UNIT)
        self.assertEqual(lib.dirty_log_count(log), UNIT)
        self.assertEqual(lib.dirty_log_next_unlogged(log, found), 0)
        self.assertEqual(found.len, 0)

        # What is written without a log is refused.
        plain = self.region("anonymous", 0, PAGE)
        self.assertEqual(lib.space_insert(space, plain), lib.ENOBITMAP)
        self.assertFalse(lib.dirty_log_free(log))
        self.assertEqual(lib.space_insert(space, plain), 0)
