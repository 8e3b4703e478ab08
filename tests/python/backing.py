# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Policies, discards and untrusted files from Python; test_ctypes.py runs it."""

import ctypes
import errno
import os

from support import PAGE, TOP, Case, lib


class Backing(Case):
    def policy(self):
        policy = lib.policy_new()
        self.assertTrue(policy)
        self.addCleanup(lib.policy_free, policy)
        return policy

    def sized(self, name, **members):
        kind = lib.struct(name)
        return kind(size=ctypes.sizeof(kind), **members)

    def memfd(self, length=4 * PAGE):
        fd = os.memfd_create("untrusted", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, fd)
        os.truncate(fd, length)
        return fd

    def test_policy(self):
        policy, builder = self.policy(), self.builder(PAGE, 4 * PAGE)
        seen = []
        kind = lib.policy_set_progress.argtypes[1]
        progress = kind(lambda _, done, total: seen.append((done, total)) or 0)
        lib.region_builder_set_memfd(builder)
        lib.policy_set_seals(policy, lib.SEAL_SHRINK)
        lib.policy_set_thp(policy, lib.THP_DEFAULT)
        lib.policy_set_numa(policy, lib.NUMA_DEFAULT, None, 0)
        lib.policy_set_reserve(policy, lib.RESERVE_YES)
        lib.policy_set_lock(policy, lib.LOCK_NO)
        lib.policy_set_guard(policy, 1)
        lib.policy_set_alignment(policy, 2 << 20)
        lib.policy_set_dont_dump(policy, 1)
        lib.policy_set_dont_fork(policy, 1)
        lib.policy_set_prefault(policy, 2)
        lib.policy_set_progress(policy, progress, None)
        lib.region_builder_set_policy(builder, policy)
        region = self.build(builder)
        self.assertEqual(seen[-1], (4 * PAGE, 4 * PAGE))

        granted = self.sized("policy_report")
        self.assertEqual(lib.region_policy_report(region, granted), 0)
        self.assertEqual(granted.seals & ~lib.SEAL_EXEC, lib.SEAL_SHRINK)
        self.assertEqual(granted.guard, PAGE)
        self.assertGreaterEqual(granted.alignment, 2 << 20)
        self.assertEqual(granted.prefaulted, 4 * PAGE)
        self.assertEqual((granted.dont_dump, granted.dont_fork), (1, 1))
        self.assertEqual(granted.reserve, lib.RESERVE_YES)

        residency = self.sized("residency")
        self.assertEqual(
            lib.region_residency(region, 1, 2 * PAGE, residency), 0)
        self.assertEqual(residency.resident, 2 * PAGE)
        self.assertEqual(residency.locked, 0)
        nodes = (ctypes.c_uint64 * 4)()
        code, rest = lib.call("region_nodes", region, 0, PAGE, nodes, 4)
        if code != lib.ENOSUPPORT:
            self.assertEqual((code, sum(nodes) + rest), (0, PAGE))

    def test_populated(self):
        region = self.region("memfd", 0, 4 * PAGE)
        memory = self.collection(region)
        self.write(memory, 2 * PAGE, b"\xff")
        for function, object_ in (("region_next_populated", region),
                                  ("collection_next_populated", memory)):
            self.assertEqual(lib.get(function, object_, 0, 4 * PAGE),
                             [2 * PAGE, PAGE])
            self.assertEqual(lib.get(function, object_, 3 * PAGE, PAGE),
                             [4 * PAGE, 0])

    def test_populate(self):
        region = self.region("memfd", 0, 4 * PAGE)
        memory = self.collection(region)
        self.assertEqual(lib.region_populate(region, PAGE + 1, 1), 0)
        self.assertEqual(lib.collection_populate(memory, 3 * PAGE, 1), 0)
        fd, _ = lib.get("region_file", region)
        self.assertEqual(os.fstat(fd).st_blocks * 512, 2 * PAGE)
        self.assertEqual(lib.region_populate(region, PAGE, 4 * PAGE),
                         lib.EOUTOFRANGE)
        self.assertEqual(lib.collection_populate(memory, 4 * PAGE, 1),
                         lib.EBADADDR)

    def test_discard(self):
        region = self.region("memfd", 0, 4 * PAGE)
        memory = self.collection(region)
        self.write(memory, 0, b"\xff" * 4 * PAGE)
        self.assertEqual(lib.get("region_discard", region, 1, 2 * PAGE, 0),
                         PAGE)
        self.assertEqual(
            lib.get("collection_discard", memory, 3 * PAGE, PAGE, 0), PAGE)
        fd, _ = lib.get("region_file", region)
        self.assertEqual(os.fstat(fd).st_blocks * 512, 2 * PAGE)
        self.assertEqual(self.read(memory, 0, 4 * PAGE),
                         b"\xff" + b"\0" * 2 * PAGE +
                         b"\xff" * (PAGE - 1) + b"\0" * PAGE)

    def test_discard_of_a_space(self):
        memory = self.memory((0, 4 * PAGE))
        self.write(memory, 0, b"\xff" * 4 * PAGE)
        space = lib.get("space_new", memory, None)
        self.addCleanup(lib.space_unref, space)
        seen, kind = [], lib.struct("listener_ops")
        types = dict(kind._fields_)

        def discarding(_, region, offset, length):
            seen.append((offset, length))
            return -errno.EBUSY if offset == 0 else 0

        def discarded(_, region, offset, length, code):
            seen.append(code)

        ops = kind(size=ctypes.sizeof(kind),
                   discarding=types["discarding"](discarding),
                   discarded=types["discarded"](discarded))
        listener = lib.get("listener_new", space, ops, None, None)
        self.assertEqual(lib.call("space_discard", space, 0, PAGE, 0),
                         (-errno.EBUSY, 0))
        self.assertEqual(lib.call("space_discard", space, PAGE, PAGE, 0),
                         (0, PAGE))
        self.assertEqual(seen, [(0, PAGE), (PAGE, PAGE), 0])
        self.assertFalse(lib.listener_free(listener))
        self.assertEqual(self.read(memory, 0, 2 * PAGE),
                         b"\xff" * PAGE + b"\0" * PAGE)
        kind = lib.struct("range")
        chain = (kind * 2)(kind(2 * PAGE, PAGE), kind(TOP, 0))
        for function, guest in (("collection_discard_ranges", memory),
                                ("space_discard_ranges", space)):
            self.assertEqual(lib.call(function, guest, chain, 2, 0),
                             (0, [PAGE, 0]))

    def test_pins(self):
        region = self.region("memfd", 0, 4 * PAGE)
        self.assertEqual(lib.region_pin(region, PAGE, 8), 0)
        self.assertEqual(lib.region_is_pinned(region, 0, 2 * PAGE), 1)
        self.assertEqual(lib.region_is_pinned(region, 0, PAGE), 0)
        self.assertEqual(lib.code("region_discard", region, 0, 2 * PAGE, 0),
                         lib.EPINNED)
        self.assertEqual(lib.region_unpin(region, PAGE, 8), 0)
        self.assertEqual(lib.region_unpin(region, PAGE, 8), lib.ENOREGION)
        self.assertEqual(lib.code("region_discard", region, 0, 2 * PAGE, 0), 0)

    def test_untrusted(self):
        fd = self.memfd()
        report = self.sized("fd_report")
        self.assertEqual(lib.fd_examine(fd, report), 0)
        status = os.fstat(fd)
        self.assertEqual((report.device, report.inode, report.len),
                         (status.st_dev, status.st_ino, 4 * PAGE))
        self.assertEqual(report.type, lib.FD_TYPE_MEMORY)
        self.assertEqual(report.shrinkable, 1)
        rules = self.sized("fd_rules", add=lib.SEAL_SHRINK)
        self.assertEqual(
            lib.fd_check(fd, 0, 4 * PAGE, rules, report), 0)
        self.assertEqual(report.shrinkable, 0)
        other = os.dup(fd)
        self.addCleanup(os.close, other)
        self.assertEqual(lib.get("fd_same_file", fd, other), 1)
        builder = self.builder(0, 4 * PAGE)
        lib.region_builder_set_untrusted_file(builder, fd, 0, 0, None)
        self.assertEqual(lib.region_kind(self.build(builder)),
                         lib.REGION_FILE)


class ProvokedByBacking:
    """What test_ctypes.py provokes of the codes that are about backings."""

    def refused(self, **settings):
        policy, builder = lib.policy_new(), self.builder()
        for name, value in settings.items():
            getattr(lib, "policy_set_" + name)(policy, *value)
        lib.region_builder_set_policy(builder, policy)
        lib.policy_free(policy)
        return lib.code("region_builder_build", builder)

    def check(self, flags=0, mode=os.O_RDWR, **members):
        kind = lib.struct("fd_rules")
        rules = kind(size=ctypes.sizeof(kind), **members)
        fd = os.memfd_create("untrusted", flags)
        other = os.open(f"/proc/self/fd/{fd}", mode)
        code = lib.fd_check(other, 0, 0, rules, None)
        os.close(fd)
        os.close(other)
        return code

    def provoke_ESTOPPED(self):
        kind = lib.policy_set_progress.argtypes[1]
        return self.refused(prefault=[1],
                            progress=[kind(lambda *_: lib.ESTOPPED), None])

    def provoke_ESHORTAGE(self):
        if not os.path.exists("/sys/kernel/mm/hugepages/hugepages-2048kB"):
            self.skipTest("no huge pages of 2 MiB")
        policy, builder = lib.policy_new(), self.builder(0, 1 << 40)
        lib.policy_set_reserve(policy, lib.RESERVE_NO)
        lib.policy_set_prefault(policy, 1)
        lib.region_builder_set_huge_page_size(builder, 2 << 20)
        lib.region_builder_set_policy(builder, policy)
        lib.policy_free(policy)
        return lib.code("region_builder_build", builder)

    def provoke_ENONODE(self):
        nodes = (ctypes.c_uint32 * 1)(lib.NUMA_NODES_MAX)
        return self.refused(numa=[lib.NUMA_BIND, nodes, 1])

    def provoke_ENODISCARD(self):
        ops, _ = self.store(64)
        region = self.region("custom", 0, 64, ops, None)
        return lib.code("region_discard", region, 0, 64, 0)

    def provoke_EPINNED(self):
        region = self.region("memfd", 0, PAGE)
        self.assertEqual(lib.region_pin(region, 0, 1), 0)
        code = lib.code("region_discard", region, 0, PAGE, 0)
        self.assertEqual(lib.region_unpin(region, 0, 1), 0)
        return code

    def provoke_EFILETYPE(self):
        return self.check(types=lib.FD_TYPE_DEVICE)

    def provoke_ESEALS(self):
        return self.check(require=lib.SEAL_GROW)

    def provoke_ESHRINKABLE(self):
        return self.check()

    def provoke_EFILEACCESS(self):
        return self.check(mode=os.O_RDONLY)
