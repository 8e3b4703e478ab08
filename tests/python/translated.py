# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Memory seen through an IOMMU, from Python; test_ctypes.py runs this."""

import ctypes
import select
import threading

from support import PAGE, Case, address, lib

READ_WRITE = 3


class IotlbCase(Case):
    def iotlb(self, capacity=8, flags=0):
        kind = lib.struct("iotlb_options")
        options = kind(size=ctypes.sizeof(kind), capacity=capacity,
                       flags=flags)
        iotlb = lib.get("iotlb_new", options)
        self.addCleanup(lib.iotlb_unref, iotlb)
        return iotlb


class Iotlb(IotlbCase):
    def test_lookups(self):
        iotlb = self.iotlb()
        self.assertEqual(lib.iotlb_map(iotlb, 0, 4 * PAGE, PAGE, 1), 0)
        pieces = (lib.struct("iotlb_piece") * 4)()
        code, count = lib.call("iotlb_lookup", iotlb, 0, 2 * PAGE, 1, pieces,
                               4)
        self.assertEqual((code, count), (lib.EIOMMUMISS, 2))
        self.assertEqual((pieces[0].state, pieces[0].gpa, pieces[0].len),
                         (lib.IOTLB_HIT, 4 * PAGE, PAGE))
        self.assertEqual((pieces[1].state, pieces[1].iova),
                         (lib.IOTLB_MISS, PAGE))
        code, count = lib.call("iotlb_lookup", iotlb, 0, PAGE, 1, None, 0)
        self.assertEqual((code, count), (lib.ENOROOM, 1))
        self.assertEqual(lib.iotlb_count(iotlb), 1)
        self.assertEqual(lib.iotlb_unmap(iotlb, 0, PAGE), 0)
        self.assertEqual(lib.iotlb_count(iotlb), 0)

    def test_bounds(self):
        iotlb = self.iotlb()
        self.assertEqual(lib.iotlb_capacity(iotlb), 8)
        self.assertGreater(lib.iotlb_memory(iotlb), 8 * 32)
        for i in range(20):
            self.assertEqual(
                lib.iotlb_map(iotlb, 2 * i * PAGE, 0, PAGE, 1), 0)
        self.assertEqual(lib.iotlb_count(iotlb), 8)
        self.assertGreaterEqual(lib.iotlb_evicted(iotlb), 12)
        lib.iotlb_unmap_all(iotlb)
        self.assertEqual(lib.iotlb_count(iotlb), 0)

    def test_a_table(self):
        iotlb = self.iotlb(2, lib.IOTLB_NO_EVICT)
        self.assertEqual(lib.iotlb_flags(iotlb), lib.IOTLB_NO_EVICT)
        for i in range(2):
            self.assertEqual(lib.iotlb_map_cookie(
                iotlb, 2 * i * PAGE, 0, PAGE, 1, 40 + i), 0)
        self.assertEqual(lib.iotlb_map(iotlb, 4 * PAGE, 0, PAGE, 1),
                         lib.ENOROOM)
        piece = (lib.struct("iotlb_piece") * 1)()
        code, _ = lib.call("iotlb_lookup", iotlb, 2 * PAGE, PAGE, 1, piece, 1)
        self.assertEqual((code, piece[0].cookie), (0, 41))

    def test_sections(self):
        iotlb = self.iotlb()
        self.assertEqual(address(lib.iotlb_ref(iotlb)), address(iotlb))
        lib.iotlb_unref(iotlb)
        section = lib.iotlb_enter(iotlb)
        self.assertEqual(lib.iotlb_synchronize(iotlb, lib.FOREVER), lib.ESELFWAIT)
        lib.iotlb_leave(iotlb, section)
        self.assertEqual(lib.iotlb_synchronize(iotlb, lib.FOREVER), 0)


class Iommu(IotlbCase):
    def iommu(self, miss=None, **members):
        kind = lib.struct("iommu_options")
        options = kind(size=ctypes.sizeof(kind), **members)
        if miss is not None:
            options.miss = dict(kind._fields_)["miss"](miss)
        self.kept = [*getattr(self, "kept", []), options]
        iommu = lib.get("iommu_new", self.iotlb(), options)
        self.addCleanup(lib.iommu_unref, iommu)
        # Off until somebody switches it on, or the other way round.
        lib.iommu_set_enabled(iommu, 1)
        return iommu

    def seen(self, iommu, physical):
        seen = lib.get("collection_new_translated", iommu, physical)
        self.addCleanup(lib.collection_unref, seen)
        return seen

    def test_misses(self):
        asked = []

        def miss(_, iova, length, access, reason):
            asked.append((iova, length, access, reason))
            if iova >= 4 * PAGE:
                return lib.EDENIED
            page = iova // PAGE
            return lib.iotlb_map(lib.iommu_iotlb(iommu), page * PAGE,
                                 (3 - page) * PAGE, PAGE, READ_WRITE)

        iommu = self.iommu(miss)
        physical = self.memory((0, 4 * PAGE))
        seen = self.seen(iommu, physical)
        self.write(seen, PAGE - 2, b"abcd")
        self.assertEqual(self.read(physical, 4 * PAGE - 2, 2), b"ab")
        self.assertEqual(self.read(physical, 2 * PAGE, 2), b"cd")
        self.assertEqual(len(asked), 2)
        self.assertEqual(lib.iommu_misses(iommu), 2)
        self.assertEqual(lib.code("collection_read_u8", seen, 4 * PAGE),
                         lib.EDENIED)
        self.assertEqual(address(lib.collection_physical(seen)), address(physical))

    def test_a_queue_of_misses(self):
        """A device on a thread, a program without a callback."""
        iommu = self.iommu(timeout_ns=lib.FOREVER,
                           flags=lib.IOMMU_QUEUE_MISSES)
        self.assertEqual(lib.iommu_flags(iommu), lib.IOMMU_QUEUE_MISSES)
        physical = self.memory((0, 4 * PAGE))
        seen = self.seen(iommu, physical)
        self.assertEqual(address(lib.collection_iommu(seen)), address(iommu))
        self.write(physical, 2 * PAGE, b"\x2a")
        codes = []

        def device():
            codes.append(lib.call("collection_read_u8", seen, PAGE))
            codes.append(lib.code("collection_read_u8", seen, 9 * PAGE))

        thread = threading.Thread(target=device)
        thread.start()
        kind = lib.struct("iommu_miss")
        fd = lib.get("iommu_miss_fd", iommu)
        for answer in (
                lambda miss: lib.iotlb_map(lib.iommu_iotlb(iommu), miss.iova,
                                           2 * PAGE, PAGE, READ_WRITE),
                lambda miss: lib.iommu_refuse(iommu, miss.iova, miss.len,
                                              lib.EDENIED)):
            select.select([fd], [], [])
            miss = kind(size=ctypes.sizeof(kind))
            self.assertEqual(lib.iommu_next_miss(iommu, miss), 0)
            self.assertEqual((miss.len, miss.access, miss.reason),
                             (1, lib.PROT_READ, lib.IOTLB_MISS))
            self.assertEqual(answer(miss), 0)
        thread.join()
        self.assertEqual(codes, [(0, 0x2a), lib.EDENIED])
        self.assertEqual(select.select([fd], [], [], 0)[0], [])

    def test_refusals_and_the_switch(self):
        iommu = self.iommu()
        self.assertEqual(address(lib.iommu_ref(iommu)), address(iommu))
        lib.iommu_unref(iommu)
        seen = self.seen(iommu, self.memory((0, PAGE)))
        self.assertEqual(lib.iommu_is_enabled(iommu), 1)
        self.assertEqual(lib.code("collection_read_u8", seen, 0),
                         lib.EIOMMUMISS)
        lib.iommu_set_timeout(iommu, 1)
        self.assertEqual(lib.iommu_timeout(iommu), 1)
        self.assertFalse(lib.iommu_log(iommu, None))
        self.assertEqual(lib.code("iommu_resolve", iommu, 0, 1, 1, 0),
                         lib.EIOMMUMISS)
        lib.iommu_retry(iommu)
        lib.iommu_set_enabled(iommu, 0)
        self.assertEqual(lib.iommu_is_enabled(iommu), 0)
        self.assertEqual(lib.get("collection_read_u8", seen, 0), 0)

    def test_log(self):
        log = lib.get("bitmap_new", PAGE, 0, PAGE, None)
        self.addCleanup(lib.bitmap_unref, log)
        iommu = self.iommu(log=log, log_start=0)
        seen = self.seen(iommu, self.memory((0, 2 * PAGE)))
        self.assertEqual(lib.iotlb_map(lib.iommu_iotlb(iommu), 0, 0, 2 * PAGE,
                                       READ_WRITE), 0)
        self.assertEqual(lib.bitmap_start_logging(log), 0)
        self.write(seen, PAGE - 1, b"ab")
        self.assertEqual(lib.bitmap_count(log), 1)
        iova = ctypes.c_uint64()
        self.assertEqual(lib.iommu_unlogged(iommu, ctypes.byref(iova)), 1)
        self.assertEqual(iova.value, PAGE)
        self.assertEqual(
            lib.code("collection_slice", seen, PAGE, 8, READ_WRITE),
            lib.EUNLOGGED)
