# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Spaces, readers, updates and listeners from Python; test_ctypes.py runs it."""

import ctypes
import errno
import os
import sys

from support import PAGE, Case, address, lib


class SpaceCase(Case):
    def space(self, *ranges):
        space = lib.get("space_new", self.memory(*ranges), None)
        self.addCleanup(lib.space_unref, space)
        return space

    def reader(self, space):
        reader = lib.get("reader_new", space, None)
        self.addCleanup(lib.reader_free, reader)
        return reader


class Spaces(SpaceCase):
    def starts(self, space):
        """Where the regions of the current map begin."""
        current = lib.space_get(space)
        starts = [lib.region_start(lib.collection_region(current, i))
                  for i in range(lib.collection_count(current))]
        lib.collection_unref(current)
        return starts

    def listener(self, space, priority=0, **callbacks):
        kind = lib.struct("listener_ops")
        types = dict(kind._fields_)
        ops = kind(size=ctypes.sizeof(kind))
        for name, function in callbacks.items():
            setattr(ops, name, types[name](function))
        self.kept = [*getattr(self, "kept", []), ops]
        options = lib.struct("listener_options")()
        options.size = ctypes.sizeof(options)
        options.name = b"python"
        options.priority = priority
        return lib.call("listener_new", space, ops, None, options)

    def test_replacing(self):
        space = self.space((0, PAGE))
        before = lib.space_generation(space)
        self.assertEqual(
            lib.space_insert(space, self.region("anonymous", PAGE, PAGE)), 0)
        self.assertEqual(self.starts(space), [0, PAGE])
        region = lib.get("space_remove", space, 0, PAGE)
        self.assertEqual(lib.region_start(region), 0)
        lib.region_unref(region)
        self.assertEqual(self.starts(space), [PAGE])
        self.assertEqual(lib.space_replace(space, self.memory((7 * PAGE,
                                                               PAGE))), 0)
        self.assertEqual(self.starts(space), [7 * PAGE])
        self.assertEqual(lib.space_generation(space), before + 3)
        self.assertEqual(address(lib.space_ref(space)), address(space))
        self.assertFalse(lib.space_unref(space))

    def test_sections(self):
        space = self.space((0, PAGE))
        reader = self.reader(space)
        self.assertEqual(address(lib.reader_space(reader)), address(space))
        self.assertEqual(lib.reader_name(reader), b"")
        self.assertEqual(lib.space_name(space), b"")
        taken = lib.reader_enter(reader)
        generation = lib.reader_generation(reader)
        self.assertEqual(generation, lib.space_generation(space))
        self.assertEqual(lib.space_replace(space, self.memory((PAGE, PAGE))),
                         0)
        self.assertEqual(address(lib.inline_call_enter(reader)),
                         address(taken))
        self.assertEqual(lib.inline_call_generation(reader), generation)
        lib.inline_call_leave(reader)
        self.assertEqual(address(lib.reader_enter(reader)), address(taken))
        lib.reader_leave(reader)
        self.assertEqual(lib.space_synchronize(space, 0), lib.ETIMEOUT)
        self.assertEqual(lib.space_retired(space), 1)
        lib.reader_leave(reader)
        self.assertEqual(lib.space_synchronize(space, lib.FOREVER), 0)
        self.assertEqual(lib.reader_generation(reader), 0)

    def test_sections_without_a_reader(self):
        space = self.space((0, PAGE))
        section, taken = lib.call("space_enter", space)
        self.assertEqual(address(taken), address(lib.space_get(space)))
        lib.collection_unref(taken)
        lib.space_leave(space, section)

    def test_updates(self):
        space = self.space((0, PAGE), (PAGE, PAGE))
        update = lib.get("update_new", space, lib.FOREVER)
        self.assertEqual(lib.code("update_new", space, 0), lib.ETIMEOUT)
        self.assertEqual(address(lib.update_space(update)), address(space))
        lib.region_unref(lib.get("update_remove", update, 0, PAGE))
        self.assertEqual(lib.update_insert(
            update, self.region("anonymous", 4 * PAGE, PAGE)), 0)
        self.assertEqual(lib.collection_count(lib.update_collection(update)), 2)
        self.assertEqual(self.starts(space), [0, PAGE])
        self.assertEqual(lib.update_commit(update), 0)
        self.assertEqual(lib.update_commit(update), lib.EARGUMENT)
        self.assertFalse(lib.update_free(update))
        self.assertEqual(self.starts(space), [PAGE, 4 * PAGE])
        update = lib.get("update_new", space, lib.FOREVER)
        self.assertEqual(lib.update_replace(update, self.memory((0, PAGE))),
                         0)
        self.assertFalse(lib.update_free(update))
        self.assertEqual(self.starts(space), [PAGE, 4 * PAGE])

    def test_text(self):
        space = self.space((0, PAGE))
        text = ctypes.create_string_buffer(200)
        self.assertEqual(lib.get("space_describe", space, text, 200),
                         len(text.value))
        self.assertIn(b"anonymous rw- 0x1000 -\n", text.value)

    def test_differences(self):
        space = self.space((0, PAGE))
        before = lib.space_get(space)
        self.assertEqual(lib.space_replace(space, self.memory((PAGE, PAGE))),
                         0)
        after = lib.space_get(space)
        diff = lib.get("diff_new", before, after)
        region, kind = lib.get("diff_next", diff)
        self.assertEqual((kind, lib.region_start(region)),
                         (lib.DIFF_REMOVED, 0))
        region, kind = lib.get("diff_next", diff)
        self.assertEqual((kind, lib.region_start(region)),
                         (lib.DIFF_ADDED, PAGE))
        region, kind = lib.get("diff_next", diff)
        self.assertEqual(kind, lib.DIFF_END)
        self.assertFalse(region)
        self.assertFalse(lib.diff_free(diff))
        lib.collection_unref(before)
        lib.collection_unref(after)

    def test_updates_by_region(self):
        space = self.space((0, 4 * PAGE))
        update = lib.get("update_new", space, lib.FOREVER)
        window = self.region("anonymous", PAGE, PAGE)
        other = self.region("anonymous", PAGE, PAGE)
        self.assertEqual(lib.update_overlay(update, window), 0)
        self.assertEqual(lib.update_replace_region(update, window, other), 0)
        self.assertEqual(lib.update_remove_region(update, window),
                         lib.ENOREGION)
        self.assertEqual(lib.update_remove_region(update, other), 0)
        self.assertEqual(lib.update_commit(update), 0)
        lib.update_free(update)
        self.assertEqual(self.starts(space), [0, 2 * PAGE])

    def test_listeners(self):
        space = self.space((0, PAGE))
        heard = []

        def note(name, code=0):
            def called(_, region):
                heard.append((name, lib.region_start(region) // PAGE))
                return code
            return called

        code, listener = self.listener(space, added=note("added"),
                                       removed=note("removed"))
        self.assertEqual((code, heard), (0, [("added", 0)]))
        self.assertEqual(address(lib.listener_space(listener)),
                         address(space))
        self.assertEqual(lib.listener_name(listener), b"python")
        self.assertEqual(lib.listener_priority(listener), 0)
        self.assertEqual(
            self.listener(space, 1, added=note("no", -errno.EPERM))[0],
            -errno.EPERM)
        del heard[:]
        self.assertEqual(
            lib.space_insert(space, self.region("anonymous", PAGE, PAGE)), 0)
        self.assertEqual(heard, [("added", 1)])
        self.assertFalse(lib.listener_free(listener))
        self.assertEqual(heard[1:], [("removed", 1), ("removed", 0)])

    def test_forking(self):
        space = self.space((0, PAGE))
        self.assertEqual(lib.space_before_fork(space), 0)
        child = os.fork()
        if child == 0:
            lib.space_after_fork_child(space)
            os._exit(lib.space_replace(space, self.memory((0, PAGE))) or
                     lib.space_synchronize(space, 0))
        lib.space_after_fork_parent(space)
        lib.space_after_fork_child(None)
        self.assertEqual(os.waitpid(child, 0), (child, 0))
        self.assertEqual(lib.space_replace(space, self.memory((0, PAGE))), 0)


class InSection(SpaceCase):
    """What vmmem/reader_access.h does in one call of C."""

    def setUp(self):
        super().setUp()
        self.space_ = self.space((0, PAGE), (PAGE, PAGE))
        self.reader_ = self.reader(self.space_)

    def test_bytes(self):
        map_ = lib.reader_enter(self.reader_)
        self.assertEqual(lib.get("collection_write", map_, PAGE - 2, b"abcd",
                                 4), 4)
        lib.reader_leave(self.reader_)
        map_ = lib.reader_enter(self.reader_)
        buf = ctypes.create_string_buffer(4)
        self.assertEqual(lib.get("collection_read", map_, PAGE - 2, buf, 4), 4)
        lib.reader_leave(self.reader_)
        self.assertEqual(buf.raw, b"abcd")

    def test_loads_and_stores(self):
        map_ = lib.reader_enter(self.reader_)
        part = lib.get("collection_slice", map_, 64, 16,
                       lib.PROT_READ | lib.PROT_WRITE)
        for size in 2, 4, 8:
            value = 0xfedcba9876543210 >> (64 - size * 8)
            for way, handle, at in (("collection", map_, 64),
                                    ("slice", part, 0)):
                kind = f"u{size * 8}"
                store = getattr(lib, f"{way}_store_{kind}")
                self.assertEqual(store(handle, at, value,
                                       lib.ORDER_RELEASE), 0)
                self.assertEqual(self.read(map_, 64, size),
                                 value.to_bytes(size, sys.byteorder))
                self.assertEqual(lib.get(f"{way}_load_{kind}", handle, at,
                                         lib.ORDER_ACQUIRE), value)
        lib.slice_release(part)
        lib.reader_leave(self.reader_)
