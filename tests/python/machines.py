# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
"""Slots, and KVM's where it is, from Python; test_ctypes.py runs this."""

import ctypes
import errno
import fcntl
import os
import unittest

from spaces import SpaceCase
from support import PAGE, Case, address, lib

KVM = "/dev/kvm"
CREATE_VM, CREATE_VCPU = 0xae01, 0xae41


def why_no_kvm():
    """None, or why there is no KVM to test with."""
    try:
        system = os.open(KVM, os.O_RDWR)
    except OSError as error:
        return f"{KVM}: {error.strerror}"
    try:
        os.close(fcntl.ioctl(system, CREATE_VM, 0))
    except OSError as error:
        return f"KVM makes no machine: {error.strerror}"
    finally:
        os.close(system)
    return None


NO_KVM = why_no_kvm()


class Slots(Case):
    def slots(self, **members):
        kind = lib.struct("slot_table_options")
        slots = lib.get("slot_table_new", kind(size=ctypes.sizeof(kind), **members))
        self.addCleanup(lib.slot_table_free, slots)
        return slots

    def plan(self, slots, memory):
        plan = lib.get("slot_plan_new", slots, memory)
        self.addCleanup(lib.slot_plan_free, plan)
        return plan

    def carry_out(self, slots, plan):
        """What the plan does: (kind, gpa, number) of each operation."""
        done = []
        for index in range(lib.slot_plan_count(plan)):
            op = lib.get("slot_plan_at", plan, index)
            done.append((op.kind, op.slot.gpa, op.slot.number))
            self.assertEqual(lib.slot_table_done(slots, plan), 0)
        return done

    def test_plans(self):
        slots = self.slots(first=3)
        plan = self.plan(slots, self.memory((0, PAGE), (4 * PAGE, PAGE)))
        self.assertEqual(self.carry_out(slots, plan),
                         [(lib.SLOT_OP_CREATE, 0, 3),
                          (lib.SLOT_OP_CREATE, 4 * PAGE, 4)])
        self.assertEqual(lib.slot_table_count(slots), 2)
        self.assertEqual(lib.get("slot_table_at", slots, 1).gpa, 4 * PAGE)
        self.assertEqual(lib.get("slot_table_by_number", slots, 3).gpa, 0)
        self.assertEqual(lib.get("slot_table_find", slots, 5 * PAGE - 1).number, 4)
        self.assertEqual(lib.slot_table_invalidate(slots, 3), 0)
        self.assertEqual(lib.slot_table_redescribe(slots), 0)
        plan = self.plan(slots, self.memory())
        self.assertEqual([kind for kind, *_ in self.carry_out(slots, plan)],
                         [lib.SLOT_OP_DELETE, lib.SLOT_OP_DELETE])

    def test_settings(self):
        slots, memory = self.slots(), self.memory((0, PAGE), (4 * PAGE, PAGE))
        region = lib.collection_region(memory, 1)
        self.assertEqual(lib.slot_table_exclude(slots, region), 0)
        plan = self.plan(slots, memory)
        self.assertEqual(lib.slot_plan_count(plan), 1)
        self.assertEqual(
            lib.slot_table_set_guest_memfd(slots, region, 5, PAGE), 0)
        op = lib.get("slot_plan_at", self.plan(slots, memory), 1)
        self.assertEqual((op.slot.guest_memfd, op.slot.guest_memfd_offset),
                         (5, PAGE))
        self.assertEqual(lib.slot_table_unset(slots, region), 0)

    def memory(self, *ranges):
        if ranges:
            return super().memory(*ranges)
        collection = lib.get("collection_new_empty")
        self.addCleanup(lib.collection_unref, collection)
        return collection

    def test_refusals(self):
        self.assertEqual(
            lib.code("slot_plan_new", self.slots(max=1),
                     self.memory((0, PAGE), (4 * PAGE, PAGE))), lib.ENOSLOT)
        self.assertEqual(
            lib.code("slot_plan_new", self.slots(),
                     self.memory((0, PAGE + 16))), lib.ESLOTALIGN)


@unittest.skipIf(NO_KVM, NO_KVM)
class Kvm(SpaceCase):
    def machine(self):
        system = os.open(KVM, os.O_RDWR)
        self.addCleanup(os.close, system)
        machine = fcntl.ioctl(system, CREATE_VM, 0)
        self.addCleanup(os.close, machine)
        return machine

    def kvm(self, space, machine):
        kvm = lib.get("kvm_new", space, machine, None)
        self.addCleanup(lib.kvm_free, kvm)
        return kvm

    def tracked(self, gpa):
        builder = self.builder(gpa, PAGE)
        lib.region_builder_set_tracking(builder, PAGE)
        return self.build(builder)

    def test_slots(self):
        space = self.space((0, PAGE))
        kvm = self.kvm(space, self.machine())
        self.assertEqual(lib.kvm_slot_count(kvm), 1)
        self.assertEqual(lib.space_insert(space, self.tracked(8 * PAGE)), 0)
        self.assertEqual(lib.get("kvm_slot_at", kvm, 1).gpa, 8 * PAGE)
        self.assertEqual(lib.get("kvm_slot_find", kvm, 0).len, PAGE)
        region = lib.get("kvm_slot_find", kvm, 0).region
        self.assertEqual(lib.kvm_exclude(kvm, region), 0)
        self.assertEqual(lib.kvm_slot_count(kvm), 1)
        self.assertEqual(lib.kvm_unset(kvm, region), 0)
        self.assertEqual(lib.kvm_set_guest_memfd(kvm, region, -1, 0),
                         lib.EARGUMENT)
        self.assertEqual(lib.kvm_slot_count(kvm), 2)
        self.assertEqual(lib.kvm_is_pending(kvm), 0)
        self.assertEqual(lib.kvm_sync(kvm), 0)
        self.assertEqual(address(lib.kvm_space(kvm)), address(space))
        self.assertEqual(lib.kvm_stop(kvm), 0)
        self.assertFalse(lib.kvm_space(kvm))
        self.assertEqual(lib.kvm_slot_count(kvm), 0)

    def test_log(self):
        space = lib.get("space_new", self.collection(self.tracked(0)), None)
        self.addCleanup(lib.space_unref, space)
        kvm = self.kvm(space, self.machine())
        self.assertEqual(lib.kvm_log_start(kvm, None), 0)
        self.assertEqual(lib.kvm_log_collect(kvm, None), 0)
        self.assertEqual(lib.kvm_log_collect_all(kvm), 0)
        self.assertEqual(
            lib.space_insert(space, self.region("anonymous", PAGE, PAGE)),
            lib.ENOBITMAP)
        self.assertEqual(lib.kvm_log_stop(kvm, None), 0)

    def test_vcpus(self):
        machine = self.machine()
        kvm = self.kvm(self.space((0, PAGE)), machine)
        vcpu = fcntl.ioctl(machine, CREATE_VCPU, 0)
        self.addCleanup(os.close, vcpu)
        # Only where the log is one of rings.
        self.assertEqual(lib.kvm_add_vcpu(kvm, vcpu), lib.EARGUMENT)
        self.assertEqual(lib.kvm_remove_vcpu(kvm, vcpu), lib.EARGUMENT)

    def test_no_machine(self):
        self.assertEqual(lib.code("kvm_new", self.space((0, PAGE)), 0, None),
                         -errno.ENOTTY)
