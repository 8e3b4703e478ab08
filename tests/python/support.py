# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""What test_ctypes.py stands on: short names, and things to test with."""

import ctypes
import glob
import mmap
import os
import re
import tempfile
import unittest

import vmmem

SOURCE = os.environ["VMMEM_SOURCE"]
PAGE = mmap.PAGESIZE
TOP = 2 ** 64


class Recorder:
    """The library with short names, which remembers what was called."""

    def __init__(self):
        self.library = vmmem.load(os.environ["VMMEM_LIBRARY"].split(":"),
                                  os.path.join(SOURCE, "include"))
        self.called = set()

    def __getattr__(self, name):
        if name.isupper():
            return getattr(self.library, "VMMEM_" + name)
        self.called.add("vmmem_" + name)
        return getattr(self.library, "vmmem_" + name)

    def struct(self, name):
        return self.library.types["vmmem_" + name]

    def call(self, name, *args):
        """(code, outputs): outputs are the parameters that were not given."""
        function = getattr(self, name)
        outputs = [kind._type_() for kind in function.argtypes[len(args):]]
        code = function(*args, *map(ctypes.byref, outputs))
        values = [output.value if hasattr(output, "value") else output
                  for output in outputs]
        return code, values[0] if len(values) == 1 else values

    def get(self, name, *args):
        """The outputs of a call that must not fail."""
        code, values = self.call(name, *args)
        if code != 0:
            raise AssertionError(f"{name}{args}: {self.error_name(code)}")
        return values

    def code(self, name, *args):
        return self.call(name, *args)[0]


lib = Recorder()


def address(pointer):
    return ctypes.cast(pointer, ctypes.c_void_p).value


def symbols_of_map():
    symbols = []
    for path in glob.glob(os.path.join(SOURCE, "lib", "**", "*.map.in"),
                          recursive=True):
        with open(path, encoding="ascii") as text:
            symbols += re.findall(r"^\t(vmmem_\w+);$", text.read(),
                                  flags=re.M)
    return sorted(symbols)


class Case(unittest.TestCase):
    def region(self, name, *args):
        region = lib.get("region_new_" + name, *args)
        self.addCleanup(lib.region_unref, region)
        return region

    def collection(self, *regions, name="new"):
        array = (ctypes.POINTER(lib.struct("region")) * len(regions))(*regions)
        collection = lib.get("collection_" + name, array, len(regions))
        self.addCleanup(lib.collection_unref, collection)
        return collection

    def memory(self, *ranges):
        """A collection of anonymous memory at (gpa, len), ...."""
        kind = lib.struct("range")
        array = (kind * len(ranges))(*(kind(*each) for each in ranges))
        collection = lib.get("collection_new_ranges", array, len(ranges),
                             None)
        self.addCleanup(lib.collection_unref, collection)
        return collection

    def builder(self, gpa=0, length=PAGE):
        builder = lib.region_builder_new()
        self.assertTrue(builder)
        self.addCleanup(lib.region_builder_free, builder)
        lib.region_builder_set_range(builder, gpa, length)
        return builder

    def build(self, builder):
        region = lib.get("region_builder_build", builder)
        self.addCleanup(lib.region_unref, region)
        return region

    def file(self, length):
        file = tempfile.TemporaryFile()
        self.addCleanup(file.close)
        file.truncate(length)
        return file

    def ops(self, **callbacks):
        """A table of callbacks, which keeps the Python functions alive."""
        kind = lib.struct("region_ops")
        types = dict(kind._fields_)
        ops = kind(size=ctypes.sizeof(kind))
        for name, function in callbacks.items():
            setattr(ops, name, types[name](function))
        self.kept = [*getattr(self, "kept", []), ops]
        return ops

    def store(self, length):
        """Callbacks over a bytearray, and the bytearray."""
        data = bytearray(length)

        def read(_, offset, buf, count, info):
            ctypes.memmove(buf, bytes(data[offset:offset + count]), count)
            return 0

        def write(_, offset, buf, count, info):
            data[offset:offset + count] = ctypes.string_at(buf, count)
            return 0

        return self.ops(read=read, write=write), data

    def write(self, collection, gpa, data):
        done = lib.get("collection_write", collection, gpa, data, len(data))
        self.assertEqual(done, len(data))

    def read(self, collection, gpa, length):
        buf = ctypes.create_string_buffer(length)
        done = lib.get("collection_read", collection, gpa, buf, length)
        self.assertEqual(done, length)
        return buf.raw
