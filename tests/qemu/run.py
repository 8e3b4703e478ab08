#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""run.py [TEST...] - a Linux guest on a disk that examples/vhost-user-blk is.

tools/check-qemu says in the environment where things are.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import time
import traceback

from machine import Backend, Failure, Machine, Skipped, check

MIB = 1 << 20
DISK = 64 * MIB


class Run:
    """What one test has: a directory, a disk and what it has started."""

    def __init__(self, name):
        self.dir = os.path.join(os.environ["QEMU_DIR"], name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.backend = os.environ["QEMU_BACKEND"]
        self.kernel = os.environ["QEMU_KERNEL"]
        self.initrd = os.environ["QEMU_INITRD"]
        self.parts = []
        self.disk = os.path.join(self.dir, "disk")
        with open(self.disk, "wb") as disk:
            disk.write(os.urandom(DISK))

    def digest(self, offset=0, length=DISK):
        with open(self.disk, "rb") as disk:
            disk.seek(offset)
            return hashlib.sha256(disk.read(length)).hexdigest()

    def fsck(self, length):
        """Whether the file system in the first bytes of the disk is clean."""
        image = os.path.join(self.dir, "fs")
        with open(self.disk, "rb") as disk, open(image, "wb") as out:
            out.write(disk.read(length))
        result = subprocess.run(["e2fsck", "-f", "-n", image],
                                capture_output=True, text=True)
        check(result.returncode == 0, "fsck: " + result.stdout)
        os.unlink(image)

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        for name in self.disk, os.path.join(self.dir, "ram"):
            if os.path.exists(name):
                os.unlink(name)


def basics(run, machine, backend):
    """Reading, writing, flushing and discarding."""
    seen = machine.run("sha256sum /dev/vda").split()[0]
    check(seen == run.digest(), "the guest reads another disk")
    machine.run("dd if=/dev/urandom of=/tmp/data bs=64k count=48 2>&1")
    wrote = machine.run("sha256sum /tmp/data").split()[0]
    machine.run("dd if=/tmp/data of=/dev/vda bs=64k seek=16 conv=fsync "
                "oflag=direct 2>&1")
    check(run.digest(MIB, 3 * MIB) == wrote, "the file has other data")
    machine.run("blkdiscard -o %d -l %d /dev/vda" % (8 * MIB, MIB))
    check(run.digest(8 * MIB, MIB) == hashlib.sha256(bytes(MIB)).hexdigest(),
          "what was discarded is not zero")
    check(run.digest() ==
          machine.run("echo 3 >/proc/sys/vm/drop_caches; "
                      "sha256sum /dev/vda").split()[0],
          "the guest reads another disk in the end")
    check(machine.run("cat /sys/block/vda/serial") == "libvmmem", "the id")
    machine.start_writer(4096, 2048)
    machine.stop_writer()
    backend.expect_alive()


def test_split(run):
    """Split rings, several queues: the disk is the file."""
    backend = Backend(run, "blk", run.disk, ["--queues", "2"])
    machine = Machine(run, "vm", backend, queues=2)
    machine.boot()
    basics(run, machine, backend)


def test_packed(run):
    """Packed rings."""
    backend = Backend(run, "blk", run.disk, ["--queues", "2"])
    machine = Machine(run, "vm", backend, queues=2, device="packed=on")
    machine.boot()
    features = machine.run("cat /sys/bus/virtio/devices/virtio0/features")
    check(features[34] == "1", "no packed rings: " + features)
    basics(run, machine, backend)


def test_preadv(run):
    """Without io_uring, event indices, and seals: memory is a file."""
    backend = Backend(run, "blk", run.disk, options=["--files"],
                      environment={"VHOST_USER_BLK_NO_URING": "1"})
    machine = Machine(run, "vm", backend, device="event_idx=off",
                      ram="memory-backend-file,mem-path=" +
                      os.path.join(run.dir, "ram"))
    machine.boot()
    basics(run, machine, backend)


def test_hugepages(run):
    """The guest's memory is of huge pages."""
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/"
              "free_hugepages") as file:
        if int(file.read()) < 128:
            raise Skipped("needs 128 free huge pages of 2 MiB "
                          "(sysctl vm.nr_hugepages=128)")
    backend = Backend(run, "blk", run.disk)
    machine = Machine(run, "vm", backend,
                      ram="memory-backend-memfd,hugetlb=on,hugetlbsize=2M")
    machine.boot()
    basics(run, machine, backend)


def test_ext4(run):
    """A file system is made, filled, and clean when it is unmounted."""
    backend = Backend(run, "blk", run.disk)
    machine = Machine(run, "vm", backend)
    machine.boot()
    machine.run("/sbin/mke2fs -q -t ext4 /dev/vda")
    machine.run("mount -t ext4 /dev/vda /mnt")
    machine.run("for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom "
                "of=/mnt/$i bs=64k count=$((i * 8)); done 2>&1")
    before = machine.run("cd /mnt; sha256sum [1-8]; cd /")
    machine.run("rm /mnt/3; sync; umount /mnt")
    run.fsck(DISK)
    machine.run("mount -t ext4 /dev/vda /mnt")
    after = machine.run("cd /mnt; sha256sum [1-8]; cd /; umount /mnt")
    lines = [line for line in before.splitlines() if not line.endswith(" 3")]
    check(after.splitlines() == lines, "files have changed")
    backend.expect_alive()


def test_hotplug(run):
    """Memory comes while the disk is used, and is then used for the disk."""
    backend = Backend(run, "blk", run.disk)
    machine = Machine(run, "vm", backend, memory="256M")
    machine.boot()
    machine.start_writer(0, 4096)
    machine.qmp("object-add", **{"qom-type": "memory-backend-memfd",
                                 "id": "more", "size": 256 * MIB,
                                 "share": True})
    machine.qmp("device_add", driver="pc-dimm", id="dimm", memdev="more")
    machine.run("until grep -q offline /sys/devices/system/memory/*/state; "
                "do usleep 100000; done")
    machine.run("for i in /sys/devices/system/memory/memory*; do "
                "grep -q offline $i/state && echo online >$i/state; "
                "done; true")
    machine.stop_writer()
    total = int(machine.run("grep MemTotal /proc/meminfo").split()[1])
    check(total > 400 * 1024, "the guest has only %d KiB" % total)
    # More than was there before: it must be in the new memory too.
    machine.start_writer(4096, 4096, pool=300)
    machine.stop_writer()
    backend.expect_alive()


def test_migrate(run):
    """From one QEMU to another, with I/O all the time."""
    half = DISK // 2
    first = Backend(run, "from", run.disk)
    second = Backend(run, "to", run.disk)
    source = Machine(run, "source", first)
    path = os.path.join(run.dir, "migration")
    target = Machine(run, "target", second,
                     options=["-incoming", "unix:" + path])
    source.boot()
    source.run("/sbin/mke2fs -q -t ext4 /dev/vda %dk" % (half // 1024))
    source.run("mount -t ext4 /dev/vda /mnt")
    source.start_writer(half // 4096, half // 4096)
    source.run("while :; do dd if=/dev/urandom of=/mnt/file bs=64k "
               "count=64 conv=fsync 2>/dev/null; done & echo $! >/tmp/pid")
    source.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 30,
                                            "downtime-limit": 2000})
    source.qmp("migrate-set-capabilities",
               capabilities=[{"capability": "events", "state": True}])
    source.qmp("migrate", uri="unix:" + path)
    state = None
    while state != "completed":
        state = source.event("MIGRATION")["status"]
        check(state not in ("failed", "cancelled"), "migration: %s" % state)
    source.stop()
    # The same guest goes on: its shell, its writer, its files.
    target.run("kill $(cat /tmp/pid)")
    target.stop_writer()
    target.run("dd if=/dev/urandom of=/mnt/after bs=64k count=16 2>/dev/null; "
               "sync; umount /mnt")
    run.fsck(half)
    second.expect_alive()


def test_postcopy(run):
    """The guest goes on before its memory has come; the disk fetches it."""
    half = DISK // 2
    first = Backend(run, "from", run.disk)
    second = Backend(run, "to", run.disk, ["--postcopy"])
    path = os.path.join(run.dir, "migration")
    trace = os.path.join(run.dir, "trace")
    source = Machine(run, "source", first, memory="192M")
    target = Machine(run, "target", second, memory="192M",
                     options=["-incoming", "defer", "-D", trace, "-trace",
                              "vhost_user_postcopy_fault_handler_found"])
    source.boot()
    source.run("/sbin/mke2fs -q -t ext4 /dev/vda %dk" % (half // 1024))
    source.run("mount -t ext4 /dev/vda /mnt")
    source.start_writer(half // 4096, half // 4096, pool=48)
    source.run("while :; do dd if=/dev/urandom of=/mnt/file bs=64k "
               "count=64 conv=fsync 2>/dev/null; done & echo $! >/tmp/pid")
    # The disk reads into pages that nobody has touched since.
    source.run("while :; do echo 3 >/proc/sys/vm/drop_caches; "
               "cat /dev/vda >/dev/null; done & echo $! >>/tmp/pid")
    for machine in (source, target):
        machine.qmp("migrate-set-capabilities",
                    capabilities=[{"capability": name, "state": True}
                                  for name in ("events", "postcopy-ram")])
    target.qmp("migrate-incoming", uri="unix:" + path)
    # So slow that most is still to come.
    source.qmp("migrate-set-parameters", **{
        "max-bandwidth": 4 * MIB, "max-postcopy-bandwidth": 16 * MIB})
    source.qmp("migrate", uri="unix:" + path)
    states = []
    while "completed" not in states:
        states.append(source.event("MIGRATION")["status"])
        check(states[-1] not in ("failed", "cancelled", "postcopy-paused"),
              "migration: %s" % states)
        if states[-1] == "active":
            source.qmp("migrate-start-postcopy")
    check("postcopy-active" in states, "not in postcopy: %s" % states)
    while target.event("MIGRATION")["status"] != "completed":
        pass
    source.stop()
    target.run("kill $(cat /tmp/pid)")
    target.stop_writer()
    target.run("dd if=/dev/urandom of=/mnt/after bs=64k count=16 2>/dev/null; "
               "sync; umount /mnt")
    run.fsck(half)
    second.expect_alive()
    with open(trace) as lines:
        count = sum("fault_handler_found" in line for line in lines)
    check(count > 0, "the disk never was the first to touch a page")
    print("   %d pages were fetched for the disk" % count)


def test_iommu(run):
    """All of it through an IOMMU, and so through our iotlb."""
    backend = Backend(run, "blk", run.disk)
    # Below a port: a device of the root bus has no ATS, and without that the
    # guest invalidates nothing.
    machine = Machine(
        run, "vm", backend, machine="q35,kernel-irqchip=split",
        device="disable-legacy=on,iommu_platform=on,ats=on,bus=below",
        options=["-device", "intel-iommu,intremap=on,device-iotlb=on",
                 "-device", "pcie-root-port,id=below"],
        append="intel_iommu=on iommu.passthrough=0")
    machine.boot()
    features = machine.run("cat /sys/bus/virtio/devices/virtio0/features")
    check(features[33] == "1", "no VIRTIO_F_ACCESS_PLATFORM: " + features)
    check("DMA" in machine.run("cat /sys/kernel/iommu_groups/*/type"),
          "the guest does not translate")
    # QEMU reads the ring of the firmware when the kernel switches the IOMMU on:
    # one fault that no message of the back end comes before.
    before = machine.kernel_says("DMAR.*fault")
    basics(run, machine, backend)
    # The guest sees each access to, and each question for, what it has back.
    faults = machine.kernel_says("DMAR.*fault")
    check(faults == before, "the guest reports DMA faults: " + faults)


def test_reconnect(run):
    """The back end is killed in mid-I/O: no acknowledged write is lost."""
    for packed in ("off", "on"):
        name = "packed-" + packed
        backend = Backend(run, name, run.disk)
        machine = Machine(run, name, backend, reconnect=True,
                          device="packed=" + packed)
        machine.boot()
        machine.start_writer(0, 4096)
        for _ in range(3):
            backend.kill()
            backend.start()
            # It goes on: that many bytes more are written.
            machine.run("a=$(awk '{print $7}' /sys/block/vda/stat); "
                        "until [ $(awk '{print $7}' /sys/block/vda/stat) "
                        "-gt $((a + 1000)) ]; do usleep 50000; done")
        machine.stop_writer()
        machine.stop()
        backend.stop()
        run.parts.remove(machine)
        run.parts.remove(backend)


def main(names):
    tests = {name[5:]: function for name, function in globals().items()
             if name.startswith("test_")}
    failed = []
    for name in names or tests:
        if name not in tests:
            sys.exit("no such test: " + name)
        began = time.monotonic()
        run = Run(name)
        try:
            tests[name](run)
            print("ok: %s (%.0f s): %s" % (
                name, time.monotonic() - began, tests[name].__doc__),
                flush=True)
        except Skipped as reason:
            print("skipped: %s: %s" % (name, reason), flush=True)
        except Exception as error:  # whatever it is, others still run
            failed.append(name)
            if not isinstance(error, Failure):
                traceback.print_exc()
            print("FAIL: %s: %s\n  logs in %s" % (name, error, run.dir),
                  flush=True)
        finally:
            run.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
