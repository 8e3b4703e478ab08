#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""The same with a Linux guest, which has each back end as a disk.

tools/check-qemu says in the environment where things are.
"""
import argparse
import json
import os
import re
import shutil
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "qemu"))

import backends  # noqa: E402
from machine import Machine, check  # noqa: E402

BLOCK = 4096
ROWS = [
    ("random read 4 KiB", "random read", BLOCK),
    ("random write 4 KiB", "random write", BLOCK),
    ("sequential read 128 KiB", "sequential read", 32 * BLOCK),
    ("sequential write 128 KiB", "sequential write", 32 * BLOCK),
]
DEPTHS = (1, 8, 32)
# The daemon's alone: it says what size is best, and is no way to move data.
TOPOLOGY = 1 << 10


def mix(value):
    value = ((value ^ value >> 30) * 0xbf58476d1ce4e5b9) & (1 << 64) - 1
    return value ^ value >> 27


def fill(disk, mib):
    with open(disk, "wb") as file:
        for block in range((mib << 20) // BLOCK):
            file.write(struct.pack("<QQ4072sQ", mix(block + 1), 0, b"",
                                   mix(block + 1)))


def marked(disk, mark):
    """How many blocks have the mark; all must be their own."""
    count = 0
    with open(disk, "rb") as file:
        block = 0
        while data := file.read(BLOCK):
            first, seen, last = struct.unpack("<QQ4072xQ", data)
            check(first == last == mix(block + 1), "other data on the disk")
            count += seen == mark
            block += 1
    return count


def cpu_of(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    """What a machine of tests/qemu wants to know."""

    def __init__(self, directory):
        self.dir = directory
        self.kernel = os.environ["QEMU_KERNEL"]
        self.initrd = os.environ["QEMU_INITRD"]
        self.parts = []


class Last:
    """The back end that a machine connects by itself."""

    def __init__(self, path):
        self.socket = path


def disks(parts):
    """The machine's options for all but the last."""
    options = []
    for i, (path, _) in enumerate(parts[:-1]):
        options += ["-chardev", "socket,id=disk%d,path=%s" % (i, path),
                    "-device", "vhost-user-blk-pci,chardev=disk%d,"
                    "num-queues=1,config-wce=off" % i]
    return options


def measure(options, run, disk):
    if options.realtime:
        # What is started from here on has it too.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    parts = backends.BackEnds(run.dir, os.environ["QEMU_BACKEND"], disk, 1)
    samples = []
    try:
        # Ours comes last: its serial number says that the order is right.
        names = [*backends.DAEMONS, backends.OURS]
        devices = ["/dev/vd" + "abcdefgh"[i] for i in range(len(names))]
        order = [parts.parts[name] for name in names]
        machine = Machine(run, "bench", Last(order[-1][0]),
                          options=disks(order))
        machine.boot()
        serial = machine.run("cat /sys/block/%s/serial" % devices[-1][5:])
        check(serial == "libvmmem", "the disks are in another order")
        features = {name: sum(1 << bit for bit, seen in enumerate(
            machine.run("cat /sys/bus/virtio/devices/virtio%d/features" % i))
            if seen == "1") for i, name in enumerate(names)}
        ours = features[backends.OURS]
        check({value & ~TOPOLOGY for value in features.values()} ==
              {ours}, "they have other features: %s" % features)
        agreed = "0x%x" % ours
        for count in range(options.rounds):
            for row, how, size in ROWS:
                for depth in DEPTHS:
                    for i in range(len(names)):
                        at = (i + count) % len(names)
                        samples.append(one(options, machine, names[at],
                                           order[at][1].pid, devices[at],
                                           disk, row, how, size, depth,
                                           len(samples) + 1))
    finally:
        for part in run.parts:
            part.stop()
        parts.stop()
    return agreed, samples


def one(options, machine, name, pid, device, disk, row, how, size, depth,
        mark):
    cpu = cpu_of(pid)
    text = machine.run("guest-bench %s %s %d %d %s %d" % (
        device, how, size, depth, options.seconds, mark))
    cpu = cpu_of(pid) - cpu
    match = re.search(r"GUEST (\d+) requests in ([\d.]+) s", text)
    check(match, "the guest says: " + text)
    requests = int(match.group(1))
    if "write" in how:
        check(0 < marked(disk, mark) <= requests * size // BLOCK,
              "what the guest wrote is not there")
    return {"row": row, "depth": depth, "target": name, "bytes": size,
            "requests": requests, "seconds": float(match.group(2)),
            "cpu": cpu}


def main():
    parser = argparse.ArgumentParser(prog="tools/bench-vhost --guest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--size", type=int, default=64, help="MiB")
    parser.add_argument("--realtime", action="store_true",
                        help="all with a real-time priority")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    text = backends.machine_text()
    print("%(processor)s, %(processors)d processors, Linux %(kernel)s, "
          "%(daemon)s, load %(load).1f" % text)
    directory = os.path.join(os.environ["QEMU_DIR"], "bench")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as disk:
        fill(disk.name, options.size)
        agreed, samples = measure(options, Run(directory), disk.name)
    lines, summary = backends.table(samples)
    print("\na guest, tmpfs: features %s with all of them\n\n%s" % (
        agreed, lines))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": text, "options": vars(options),
                       "features": agreed, "samples": samples,
                       "summary": summary}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
