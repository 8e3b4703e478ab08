/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Every number that a program compiles in: macros, sizes, offsets.  It is a
 * promise, written down a second time so that it cannot be changed by a slip.
 * Lines are only ever added.  What has no line here, tools/abi finds.
 */
#include <vmmem/access.h>
#include <vmmem/address.h>
#include <vmmem/atomic.h>
#include <vmmem/bitmap.h>
#include <vmmem/chain.h>
#include <vmmem/collection.h>
#include <vmmem/diff.h>
#include <vmmem/dirty_log.h>
#include <vmmem/discard.h>
#include <vmmem/endian.h>
#include <vmmem/error.h>
#include <vmmem/fault.h>
#include <vmmem/fd.h>
#include <vmmem/harvester.h>
#include <vmmem/inline.h>
#include <vmmem/io.h>
#include <vmmem/iommu.h>
#include <vmmem/iotlb.h>
#include <vmmem/iovec.h>
#include <vmmem/kvm.h>
#include <vmmem/listener.h>
#include <vmmem/pin.h>
#include <vmmem/policy.h>
#include <vmmem/reader.h>
#include <vmmem/reader_access.h>
#include <vmmem/region.h>
#include <vmmem/region_builder.h>
#include <vmmem/residency.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>
#include <vmmem/slot_table.h>
#include <vmmem/space.h>
#include <vmmem/update.h>
#include <vmmem/version.h>
#include <vmmem/vhost.h>

#define VALUE(name, value)                                                 \
	_Static_assert((name) == (value), #name " changed")
#define SIZE(type, size, alignment)                                        \
	_Static_assert(sizeof(type) == (size) &&                           \
		       _Alignof(type) == (alignment), #type " changed size")
/* May be longer one day: 'size' is that of its first version. */
#define GROWS(type, size, alignment)                                       \
	_Static_assert(sizeof(type) >= (size) &&                           \
		       _Alignof(type) == (alignment), #type " changed size")
#define MEMBER(type, member, offset, size)                                 \
	_Static_assert(offsetof(type, member) == (offset) &&               \
		       sizeof(((type *)0)->member) == (size),              \
		       #type "." #member " moved or changed size")

/* The widths that everything below stands on. */
_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8,
	       "libvmmem is for 64-bit systems");
_Static_assert(sizeof(void (*)(void)) == 8, "libvmmem is for 64-bit systems");

/* vmmem/error.h, since 0.9 */
VALUE(VMMEM_EARGUMENT, -4097);
VALUE(VMMEM_ENOREGION, -4098);
VALUE(VMMEM_EOVERLAP, -4099);
VALUE(VMMEM_EUNSORTED, -4100);
VALUE(VMMEM_EBADADDR, -4101);
VALUE(VMMEM_EOUTOFRANGE, -4102);
VALUE(VMMEM_EWRAPS, -4103);
VALUE(VMMEM_EPARTIAL, -4104);
VALUE(VMMEM_ENOHOST, -4105);
VALUE(VMMEM_EDENIED, -4106);
VALUE(VMMEM_EMISALIGNED, -4107);
VALUE(VMMEM_ECROSS, -4108);
VALUE(VMMEM_EORDER, -4109);
VALUE(VMMEM_EZEROLEN, -4110);
VALUE(VMMEM_EEXISTS, -4111);
VALUE(VMMEM_EPASTEOF, -4112);
VALUE(VMMEM_EFILEOFFSET, -4113);
VALUE(VMMEM_ECONGRUENCE, -4114);
VALUE(VMMEM_ESTRUCTSIZE, -4115);
VALUE(VMMEM_ESTRUCTNEWER, -4116);
VALUE(VMMEM_EHUGEPAGE, -4117);
VALUE(VMMEM_ETOOBIG, -4118);
VALUE(VMMEM_EEOF, -4119);
VALUE(VMMEM_EIOMMUMISS, -4120);
VALUE(VMMEM_ECALLBACK, -4121);
VALUE(VMMEM_ENOFILE, -4122);
VALUE(VMMEM_ELONGNAME, -4123);
VALUE(VMMEM_ENOSLOT, -4124);
VALUE(VMMEM_ESLOTALIGN, -4125);
VALUE(VMMEM_ENOBITMAP, -4126);
VALUE(VMMEM_EFILERANGE, -4127);
VALUE(VMMEM_ENOROOM, -4128);
VALUE(VMMEM_ESTOPPED, -4129);
VALUE(VMMEM_ENOSUPPORT, -4130);
VALUE(VMMEM_ESHORTAGE, -4131);
VALUE(VMMEM_ENONODE, -4132);
VALUE(VMMEM_ENODISCARD, -4133);
VALUE(VMMEM_EFILETYPE, -4134);
VALUE(VMMEM_ESEALS, -4135);
VALUE(VMMEM_ESHRINKABLE, -4136);
VALUE(VMMEM_EFILEACCESS, -4137);
VALUE(VMMEM_EGONE, -4138);
VALUE(VMMEM_EHANDLERS, -4139);
VALUE(VMMEM_ESELFWAIT, -4140);
VALUE(VMMEM_EUNLOGGED, -4141);

/* vmmem/version.h, since 0.9 */
VALUE(VMMEM_FEATURE_FAULT_SURVIVAL, 1);
VALUE(VMMEM_FEATURE_MEMBARRIER, 2);
VALUE(VMMEM_STRUCT_FD_REPORT, 1);
VALUE(VMMEM_STRUCT_FD_RULES, 2);
VALUE(VMMEM_STRUCT_IOMMU_OPTIONS, 3);
VALUE(VMMEM_STRUCT_LISTENER_OPS, 4);
VALUE(VMMEM_STRUCT_POLICY_REPORT, 5);
VALUE(VMMEM_STRUCT_REGION_OPS, 6);
VALUE(VMMEM_STRUCT_RESIDENCY, 7);
VALUE(VMMEM_STRUCT_BITMAP_OPTIONS, 8);
VALUE(VMMEM_STRUCT_DIRTY_LOG_OPTIONS, 9);
VALUE(VMMEM_STRUCT_HARVESTER_OPTIONS, 10);
VALUE(VMMEM_STRUCT_IOMMU_MISS, 11);
VALUE(VMMEM_STRUCT_IOTLB_OPTIONS, 12);
VALUE(VMMEM_STRUCT_LISTENER_OPTIONS, 13);
VALUE(VMMEM_STRUCT_READER_OPTIONS, 14);
VALUE(VMMEM_STRUCT_SPACE_OPTIONS, 15);
VALUE(VMMEM_STRUCT_ACCESS_INFO, 16);

/* vmmem/region.h, since 0.9 */
VALUE(VMMEM_REGION_ANONYMOUS, 1);
VALUE(VMMEM_REGION_MEMFD, 2);
VALUE(VMMEM_REGION_FILE, 3);
VALUE(VMMEM_REGION_EXTERNAL, 4);
VALUE(VMMEM_REGION_ALIAS, 5);
VALUE(VMMEM_REGION_CUSTOM, 6);
VALUE(VMMEM_PROT_READ, 1U);
VALUE(VMMEM_PROT_WRITE, 2U);
VALUE(VMMEM_PROT_EXEC, 4U);
VALUE(VMMEM_HUGE_PAGES_UNKNOWN, 0);
VALUE(VMMEM_HUGE_PAGES_NO, 1);
VALUE(VMMEM_HUGE_PAGES_YES, 2);
VALUE(VMMEM_ROLE_RAM, 1U);
VALUE(VMMEM_ROLE_ROM, 2U);
VALUE(VMMEM_ROLE_DEVICE, 3U);
VALUE(VMMEM_ROLE_PMEM, 4U);
VALUE(VMMEM_ROLE_RESERVED, 5U);
VALUE(VMMEM_GUEST_NODE_NONE, 0xffffffffU);
VALUE(VMMEM_FILE_PRIVATE, 1U);
VALUE(VMMEM_FILE_SYNC, 2U);
VALUE(VMMEM_REGION_COOKIES_MAX, 8);
VALUE(VMMEM_COLLECTION_COOKIES_MAX, 8);
VALUE(VMMEM_REGION_NAME_MAX, 63);

/* vmmem/atomic.h, since 0.9 */
VALUE(VMMEM_ORDER_RELAXED, 0);
VALUE(VMMEM_ORDER_ACQUIRE, 2);
VALUE(VMMEM_ORDER_RELEASE, 3);
VALUE(VMMEM_ORDER_ACQ_REL, 4);
VALUE(VMMEM_ORDER_SEQ_CST, 5);

/* vmmem/region.h, since 0.9 */
GROWS(struct vmmem_access_info, 16, 8);
MEMBER(struct vmmem_access_info, size, 0, 8);
MEMBER(struct vmmem_access_info, flags, 8, 4);
MEMBER(struct vmmem_access_info, requester, 12, 4);
VALUE(VMMEM_ACCESS_DEBUG, 1U);
VALUE(VMMEM_ACCESS_RAM_ONLY, 2U);
GROWS(struct vmmem_region_ops, 64, 8);
MEMBER(struct vmmem_region_ops, size, 0, 8);
MEMBER(struct vmmem_region_ops, host, 8, 8);
MEMBER(struct vmmem_region_ops, acquire, 16, 8);
MEMBER(struct vmmem_region_ops, release, 24, 8);
MEMBER(struct vmmem_region_ops, read, 32, 8);
MEMBER(struct vmmem_region_ops, write, 40, 8);
MEMBER(struct vmmem_region_ops, destroy, 48, 8);
MEMBER(struct vmmem_region_ops, discard, 56, 8);

/* vmmem/collection.h, since 0.9 */
SIZE(struct vmmem_range, 16, 8);
MEMBER(struct vmmem_range, gpa, 0, 8);
MEMBER(struct vmmem_range, len, 8, 8);
SIZE(struct vmmem_file_range, 32, 8);
MEMBER(struct vmmem_file_range, gpa, 0, 8);
MEMBER(struct vmmem_file_range, len, 8, 8);
MEMBER(struct vmmem_file_range, offset, 16, 8);
MEMBER(struct vmmem_file_range, fd, 24, 4);
MEMBER(struct vmmem_file_range, flags, 28, 4);

/* vmmem/chain.h, since 0.9 */
VALUE(VMMEM_CHAIN_SOME, 1U);

/* vmmem/io.h, since 0.9 */
VALUE(VMMEM_IO_SOME, 1U);
VALUE(VMMEM_IO_MESSAGE, 2U);
VALUE(VMMEM_IO_NO_SIGNAL, 4U);
VALUE(VMMEM_IO_SPARSE, 8U);
VALUE(VMMEM_IO_POSITION, UINT64_C(1) << 63);
VALUE(VMMEM_IO_REST, UINT64_MAX);

/* vmmem/bitmap.h, since 0.9 */
VALUE(VMMEM_BITMAP_PAGE_MIN, 64);

/* vmmem/bitmap.h, since 0.9 */
GROWS(struct vmmem_bitmap_options, 16, 8);
MEMBER(struct vmmem_bitmap_options, size, 0, 8);
MEMBER(struct vmmem_bitmap_options, name, 8, 8);

/* vmmem/dirty_log.h, since 0.9 */
VALUE(VMMEM_DIRTY_LOG_CLEAN, 1U);
VALUE(VMMEM_DIRTY_LOG_SKIP_UNLOGGED, 2U);
GROWS(struct vmmem_dirty_log_options, 48, 8);
MEMBER(struct vmmem_dirty_log_options, size, 0, 8);
MEMBER(struct vmmem_dirty_log_options, name, 8, 8);
MEMBER(struct vmmem_dirty_log_options, collect, 16, 8);
MEMBER(struct vmmem_dirty_log_options, destroy, 24, 8);
MEMBER(struct vmmem_dirty_log_options, opaque, 32, 8);
MEMBER(struct vmmem_dirty_log_options, flags, 40, 4);
MEMBER(struct vmmem_dirty_log_options, reserved, 44, 4);
SIZE(struct vmmem_dirty_range, 24, 8);
MEMBER(struct vmmem_dirty_range, gpa, 0, 8);
MEMBER(struct vmmem_dirty_range, len, 8, 8);
MEMBER(struct vmmem_dirty_range, region, 16, 8);

/* vmmem/harvester.h, since 0.9 */
GROWS(struct vmmem_harvester_options, 16, 8);
MEMBER(struct vmmem_harvester_options, size, 0, 8);
MEMBER(struct vmmem_harvester_options, name, 8, 8);

/* vmmem/slice.h, since 0.9; inline accessors read it, so it never grows */
VALUE(VMMEM_SLICE_CALL, 0x40U);
VALUE(VMMEM_SLICE_ASK_READ, 0x100U);
VALUE(VMMEM_SLICE_ASK_WRITE, 0x200U);
SIZE(struct vmmem_slice, 64, 8);
MEMBER(struct vmmem_slice, host, 0, 8);
MEMBER(struct vmmem_slice, len, 8, 8);
MEMBER(struct vmmem_slice, logging, 16, 8);
MEMBER(struct vmmem_slice, log_offset, 24, 8);
MEMBER(struct vmmem_slice, access, 32, 4);
MEMBER(struct vmmem_slice, flags, 36, 4);
MEMBER(struct vmmem_slice, region, 40, 8);
MEMBER(struct vmmem_slice, gpa, 48, 8);
MEMBER(struct vmmem_slice, reserved, 56, 8);
VALUE(VMMEM_SLICE_FLAG_ACQUIRED, 1);
VALUE(VMMEM_SLICE_CALL, 0x40);

/* vmmem/endian.h, since 0.9 */
SIZE(vmmem_le16, 2, 2);
MEMBER(vmmem_le16, raw, 0, 2);
SIZE(vmmem_le32, 4, 4);
MEMBER(vmmem_le32, raw, 0, 4);
SIZE(vmmem_le64, 8, 8);
MEMBER(vmmem_le64, raw, 0, 8);
SIZE(vmmem_be16, 2, 2);
MEMBER(vmmem_be16, raw, 0, 2);
SIZE(vmmem_be32, 4, 4);
MEMBER(vmmem_be32, raw, 0, 4);
SIZE(vmmem_be64, 8, 8);
MEMBER(vmmem_be64, raw, 0, 8);

/* vmmem/reader.h, since 0.9; inline functions read it, so it never grows */
SIZE(struct vmmem_reader, 32, 8);
MEMBER(struct vmmem_reader, section, 0, 8);
MEMBER(struct vmmem_reader, nested, 8, 8);
MEMBER(struct vmmem_reader, map, 16, 8);
MEMBER(struct vmmem_reader, view, 24, 8);
SIZE(struct vmmem_reader_view, 16, 8);
MEMBER(struct vmmem_reader_view, generation, 0, 8);
MEMBER(struct vmmem_reader_view, current, 8, 8);

/* vmmem/listener.h, since 0.9; it may grow at its end */
GROWS(struct vmmem_listener_ops, 80, 8);
MEMBER(struct vmmem_listener_ops, size, 0, 8);
MEMBER(struct vmmem_listener_ops, begin, 8, 8);
MEMBER(struct vmmem_listener_ops, removed, 16, 8);
MEMBER(struct vmmem_listener_ops, added, 24, 8);
MEMBER(struct vmmem_listener_ops, commit, 32, 8);
MEMBER(struct vmmem_listener_ops, published, 40, 8);
MEMBER(struct vmmem_listener_ops, abort, 48, 8);
MEMBER(struct vmmem_listener_ops, discarding, 56, 8);
MEMBER(struct vmmem_listener_ops, discarded, 64, 8);
MEMBER(struct vmmem_listener_ops, destroy, 72, 8);
MEMBER(struct vmmem_listener_ops, converting, 80, 8);
MEMBER(struct vmmem_listener_ops, converted, 88, 8);
GROWS(struct vmmem_listener_options, 24, 8);
MEMBER(struct vmmem_listener_options, size, 0, 8);
MEMBER(struct vmmem_listener_options, name, 8, 8);
MEMBER(struct vmmem_listener_options, priority, 16, 4);
MEMBER(struct vmmem_listener_options, flags, 20, 4);
GROWS(struct vmmem_space_options, 16, 8);
MEMBER(struct vmmem_space_options, size, 0, 8);
MEMBER(struct vmmem_space_options, name, 8, 8);
GROWS(struct vmmem_reader_options, 16, 8);
MEMBER(struct vmmem_reader_options, size, 0, 8);
MEMBER(struct vmmem_reader_options, name, 8, 8);
VALUE(VMMEM_SPACE_NAME_MAX, 63);
VALUE(VMMEM_DIFF_END, 0);
VALUE(VMMEM_DIFF_REMOVED, 1);
VALUE(VMMEM_DIFF_ADDED, 2);

/* vmmem/slot_table.h, since 0.9 */
VALUE(VMMEM_SLOT_READ_ONLY, 1U);
VALUE(VMMEM_SLOT_LOG, 2U);
VALUE(VMMEM_SLOT_GUEST_MEMFD, 4U);
VALUE(VMMEM_SLOT_NONE, 8U);
VALUE(VMMEM_SLOT_OP_DELETE, 1);
VALUE(VMMEM_SLOT_OP_MOVE, 2);
VALUE(VMMEM_SLOT_OP_CHANGE, 3);
VALUE(VMMEM_SLOT_OP_KEEP, 4);
VALUE(VMMEM_SLOT_OP_CREATE, 5);
VALUE(VMMEM_SLOT_TABLE_CAN_MOVE, 1U);
VALUE(VMMEM_SLOT_TABLE_NO_MERGE, 2U);
VALUE(VMMEM_SLOT_TABLE_SKIP_UNALIGNED, 4U);
SIZE(struct vmmem_slot, 128, 8);
MEMBER(struct vmmem_slot, gpa, 0, 8);
MEMBER(struct vmmem_slot, len, 8, 8);
MEMBER(struct vmmem_slot, host, 16, 8);
MEMBER(struct vmmem_slot, region, 24, 8);
MEMBER(struct vmmem_slot, guest_memfd_offset, 32, 8);
MEMBER(struct vmmem_slot, guest_memfd, 40, 4);
MEMBER(struct vmmem_slot, flags, 44, 4);
MEMBER(struct vmmem_slot, number, 48, 4);
MEMBER(struct vmmem_slot, region_count, 52, 4);
MEMBER(struct vmmem_slot, reserved, 56, 72);
SIZE(struct vmmem_slot_op, 160, 8);
MEMBER(struct vmmem_slot_op, kind, 0, 4);
MEMBER(struct vmmem_slot_op, old_flags, 4, 4);
MEMBER(struct vmmem_slot_op, old_gpa, 8, 8);
MEMBER(struct vmmem_slot_op, reserved, 16, 16);
MEMBER(struct vmmem_slot_op, slot, 32, 128);
GROWS(struct vmmem_slot_table_options, 64, 8);
MEMBER(struct vmmem_slot_table_options, size, 0, 8);
MEMBER(struct vmmem_slot_table_options, first, 8, 4);
MEMBER(struct vmmem_slot_table_options, max, 12, 4);
MEMBER(struct vmmem_slot_table_options, page_size, 16, 8);
MEMBER(struct vmmem_slot_table_options, flags, 24, 4);
MEMBER(struct vmmem_slot_table_options, reserved, 28, 4);
MEMBER(struct vmmem_slot_table_options, max_len, 32, 8);
MEMBER(struct vmmem_slot_table_options, describe, 40, 8);
MEMBER(struct vmmem_slot_table_options, destroy, 48, 8);
MEMBER(struct vmmem_slot_table_options, opaque, 56, 8);

/* vmmem/kvm.h, since 0.9 */
VALUE(VMMEM_KVM_LOG_GET, 0);
VALUE(VMMEM_KVM_LOG_CLEAR, 1);
VALUE(VMMEM_KVM_LOG_ALL_SET, 2);
VALUE(VMMEM_KVM_LOG_RING, 3);
VALUE(VMMEM_KVM_FLAG_LOG_IS_ON, 1U);
VALUE(VMMEM_KVM_FLAG_NO_MOVE, 2U);
VALUE(VMMEM_KVM_FLAG_NO_MERGE, 4U);
VALUE(VMMEM_KVM_FLAG_SKIP_UNALIGNED, 8U);
GROWS(struct vmmem_kvm_options, 80, 8);
MEMBER(struct vmmem_kvm_options, size, 0, 8);
MEMBER(struct vmmem_kvm_options, address_space, 8, 4);
MEMBER(struct vmmem_kvm_options, first_slot, 12, 4);
MEMBER(struct vmmem_kvm_options, max_slots, 16, 4);
MEMBER(struct vmmem_kvm_options, priority, 20, 4);
MEMBER(struct vmmem_kvm_options, log, 24, 4);
MEMBER(struct vmmem_kvm_options, ring_entries, 28, 4);
MEMBER(struct vmmem_kvm_options, flags, 32, 4);
MEMBER(struct vmmem_kvm_options, reserved, 36, 4);
MEMBER(struct vmmem_kvm_options, max_slot_len, 40, 8);
MEMBER(struct vmmem_kvm_options, describe, 48, 8);
MEMBER(struct vmmem_kvm_options, other_slot, 56, 8);
MEMBER(struct vmmem_kvm_options, destroy, 64, 8);
MEMBER(struct vmmem_kvm_options, opaque, 72, 8);

/* vmmem/policy.h, since 0.9 */
VALUE(VMMEM_SEAL_SEAL, 1U);
VALUE(VMMEM_SEAL_SHRINK, 2U);
VALUE(VMMEM_SEAL_GROW, 4U);
VALUE(VMMEM_SEAL_WRITE, 8U);
VALUE(VMMEM_SEAL_FUTURE_WRITE, 16U);
VALUE(VMMEM_SEAL_EXEC, 32U);
VALUE(VMMEM_THP_DEFAULT, 0);
VALUE(VMMEM_THP_YES, 1);
VALUE(VMMEM_THP_NO, 2);
VALUE(VMMEM_NUMA_DEFAULT, 0);
VALUE(VMMEM_NUMA_BIND, 1);
VALUE(VMMEM_NUMA_PREFERRED, 2);
VALUE(VMMEM_NUMA_INTERLEAVE, 3);
VALUE(VMMEM_NUMA_NODES_MAX, 1024);
VALUE(VMMEM_RESERVE_DEFAULT, 0);
VALUE(VMMEM_RESERVE_NO, 1);
VALUE(VMMEM_RESERVE_YES, 2);
VALUE(VMMEM_LOCK_NO, 0);
VALUE(VMMEM_LOCK_NOW, 1);
VALUE(VMMEM_LOCK_ON_FAULT, 2);
VALUE(VMMEM_PREFAULT_THREADS_MAX, 1024);
GROWS(struct vmmem_policy_report, 80, 8);
MEMBER(struct vmmem_policy_report, size, 0, 8);
MEMBER(struct vmmem_policy_report, page_size, 8, 8);
MEMBER(struct vmmem_policy_report, guard, 16, 8);
MEMBER(struct vmmem_policy_report, alignment, 24, 8);
MEMBER(struct vmmem_policy_report, prefaulted, 32, 8);
MEMBER(struct vmmem_policy_report, nodes, 40, 8);
MEMBER(struct vmmem_policy_report, threads, 48, 4);
MEMBER(struct vmmem_policy_report, seals, 52, 4);
MEMBER(struct vmmem_policy_report, thp, 56, 4);
MEMBER(struct vmmem_policy_report, numa, 60, 4);
MEMBER(struct vmmem_policy_report, reserve, 64, 4);
MEMBER(struct vmmem_policy_report, lock, 68, 4);
MEMBER(struct vmmem_policy_report, dont_dump, 72, 4);
MEMBER(struct vmmem_policy_report, dont_fork, 76, 4);

/* vmmem/residency.h, since 0.9 */
VALUE(VMMEM_RESIDENCY_UNKNOWN, UINT64_MAX);
GROWS(struct vmmem_residency, 32, 8);
MEMBER(struct vmmem_residency, size, 0, 8);
MEMBER(struct vmmem_residency, resident, 8, 8);
MEMBER(struct vmmem_residency, huge, 16, 8);
MEMBER(struct vmmem_residency, locked, 24, 8);

/* vmmem/pin.h, since 0.9 */
VALUE(VMMEM_PINS_MAX, 4096);

/* vmmem/discard.h, since 0.9 */
VALUE(VMMEM_DISCARD_WHOLE_PAGES, 1U);
VALUE(VMMEM_DISCARD_UNMARKED, 2U);

/* vmmem/fd.h, since 0.9 */
VALUE(VMMEM_FD_TYPE_MEMORY, 1U);
VALUE(VMMEM_FD_TYPE_HUGETLB, 2U);
VALUE(VMMEM_FD_TYPE_REGULAR, 4U);
VALUE(VMMEM_FD_TYPE_DEVICE, 8U);
VALUE(VMMEM_FD_TYPE_BLOCK, 16U);
VALUE(VMMEM_FD_TYPE_DIRECTORY, 32U);
VALUE(VMMEM_FD_TYPE_PIPE, 64U);
VALUE(VMMEM_FD_TYPE_SOCKET, 128U);
VALUE(VMMEM_FD_TYPE_OTHER, 256U);
VALUE(VMMEM_FD_TYPE_GUEST_MEMFD, 512U);
VALUE(VMMEM_FD_MAY_SHRINK, 1U);
VALUE(VMMEM_FD_MAY_END_EARLY, 2U);
GROWS(struct vmmem_fd_rules, 40, 8);
MEMBER(struct vmmem_fd_rules, size, 0, 8);
MEMBER(struct vmmem_fd_rules, types, 8, 4);
MEMBER(struct vmmem_fd_rules, access, 12, 4);
MEMBER(struct vmmem_fd_rules, require, 16, 4);
MEMBER(struct vmmem_fd_rules, add, 20, 4);
MEMBER(struct vmmem_fd_rules, warn, 24, 4);
MEMBER(struct vmmem_fd_rules, flags, 28, 4);
MEMBER(struct vmmem_fd_rules, page_size, 32, 8);
GROWS(struct vmmem_fd_report, 80, 8);
MEMBER(struct vmmem_fd_report, size, 0, 8);
MEMBER(struct vmmem_fd_report, device, 8, 8);
MEMBER(struct vmmem_fd_report, inode, 16, 8);
MEMBER(struct vmmem_fd_report, len, 24, 8);
MEMBER(struct vmmem_fd_report, allocated, 32, 8);
MEMBER(struct vmmem_fd_report, page_size, 40, 8);
MEMBER(struct vmmem_fd_report, fs_type, 48, 8);
MEMBER(struct vmmem_fd_report, type, 56, 4);
MEMBER(struct vmmem_fd_report, access, 60, 4);
MEMBER(struct vmmem_fd_report, seals, 64, 4);
MEMBER(struct vmmem_fd_report, missing, 68, 4);
MEMBER(struct vmmem_fd_report, shrinkable, 72, 4);
MEMBER(struct vmmem_fd_report, reserved, 76, 4);
/* vmmem/iotlb.h, since 0.9 */
VALUE(VMMEM_IOTLB_CAPACITY_MAX, 1048576);
VALUE(VMMEM_IOTLB_HIT, 0);
VALUE(VMMEM_IOTLB_MISS, 1);
VALUE(VMMEM_IOTLB_DENIED, 2);
SIZE(struct vmmem_iotlb_piece, 64, 8);
MEMBER(struct vmmem_iotlb_piece, iova, 0, 8);
MEMBER(struct vmmem_iotlb_piece, len, 8, 8);
MEMBER(struct vmmem_iotlb_piece, gpa, 16, 8);
MEMBER(struct vmmem_iotlb_piece, cookie, 24, 8);
MEMBER(struct vmmem_iotlb_piece, access, 32, 4);
MEMBER(struct vmmem_iotlb_piece, state, 36, 4);
MEMBER(struct vmmem_iotlb_piece, reserved, 40, 24);
VALUE(VMMEM_IOTLB_CAPACITY_DEFAULT, 4096);
VALUE(VMMEM_IOTLB_NO_EVICT, 1U);
GROWS(struct vmmem_iotlb_options, 24, 8);
MEMBER(struct vmmem_iotlb_options, size, 0, 8);
MEMBER(struct vmmem_iotlb_options, capacity, 8, 8);
MEMBER(struct vmmem_iotlb_options, flags, 16, 4);
MEMBER(struct vmmem_iotlb_options, reserved, 20, 4);

/* vmmem/iommu.h, since 0.9; its size member lets the struct grow */
VALUE(VMMEM_IOMMU_LATER, 1);
VALUE(VMMEM_FOREVER, 0xffffffffffffffffULL);
GROWS(struct vmmem_iommu_options, 72, 8);
MEMBER(struct vmmem_iommu_options, size, 0, 8);
MEMBER(struct vmmem_iommu_options, miss, 8, 8);
MEMBER(struct vmmem_iommu_options, unlogged, 16, 8);
MEMBER(struct vmmem_iommu_options, destroy, 24, 8);
MEMBER(struct vmmem_iommu_options, opaque, 32, 8);
MEMBER(struct vmmem_iommu_options, timeout_ns, 40, 8);
MEMBER(struct vmmem_iommu_options, log, 48, 8);
MEMBER(struct vmmem_iommu_options, log_start, 56, 8);
MEMBER(struct vmmem_iommu_options, flags, 64, 4);
MEMBER(struct vmmem_iommu_options, misses_max, 68, 4);
VALUE(VMMEM_IOMMU_QUEUE_MISSES, 1U);
VALUE(VMMEM_IOMMU_MISSES_MAX, 4096);
VALUE(VMMEM_IOMMU_MISSES_DEFAULT, 256);
GROWS(struct vmmem_iommu_miss, 32, 8);
MEMBER(struct vmmem_iommu_miss, size, 0, 8);
MEMBER(struct vmmem_iommu_miss, iova, 8, 8);
MEMBER(struct vmmem_iommu_miss, len, 16, 8);
MEMBER(struct vmmem_iommu_miss, access, 24, 4);
MEMBER(struct vmmem_iommu_miss, reason, 28, 4);

/* vmmem/vhost.h, since 0.9; the first two are the protocol's */
VALUE(VMMEM_EREGIONCOUNT, -4142);
VALUE(VMMEM_EDESCRIPTORS, -4143);
VALUE(VMMEM_EUSEROVERLAP, -4144);
VALUE(VMMEM_EUSERADDR, -4145);
VALUE(VMMEM_ELOGSHORT, -4146);
VALUE(VMMEM_EMESSAGE, -4147);
VALUE(VMMEM_EREGIONBYTES, -4148);
VALUE(VMMEM_ETIMEOUT, -4149);
VALUE(VMMEM_EFORKED, -4150);
VALUE(VMMEM_EPINNED, -4151);
VALUE(VMMEM_EPRIVATE, -4152);
VALUE(VMMEM_FAULT_SIGNAL_BUS, 1U);
VALUE(VMMEM_FAULT_SIGNAL_SEGV, 2U);
VALUE(VMMEM_FAULT_KIND_NONE, 0);
VALUE(VMMEM_FAULT_KIND_BACKING, 1);
VALUE(VMMEM_FAULT_KIND_POISON, 2);
VALUE(VMMEM_FAULT_KIND_POISON_AHEAD, 3);
VALUE(VMMEM_FAULT_KIND_UNMAPPED, 4);
VALUE(VMMEM_FAULT_KIND_DENIED, 5);
VALUE(VMMEM_FAULT_KIND_ON_DEMAND, 6);
VALUE(VMMEM_VHOST_REGIONS_MAX, 509);
VALUE(VMMEM_VHOST_LOG_PAGE, 4096);
VALUE(VMMEM_VHOST_SET_MEM_TABLE, 5U);
VALUE(VMMEM_VHOST_SET_LOG_BASE, 6U);
VALUE(VMMEM_VHOST_IOTLB_MSG, 22U);
VALUE(VMMEM_VHOST_ADD_MEM_REG, 37U);
VALUE(VMMEM_VHOST_REM_MEM_REG, 38U);
VALUE(VMMEM_VHOST_IOTLB_MISS, 1U);
VALUE(VMMEM_VHOST_IOTLB_UPDATE, 2U);
VALUE(VMMEM_VHOST_IOTLB_INVALIDATE, 3U);
VALUE(VMMEM_VHOST_IOTLB_ACCESS_FAIL, 4U);
VALUE(VMMEM_VHOST_EXPORT_HOST, 1U);
VALUE(VMMEM_VHOST_EXPORT_PRIVATE, 2U);
VALUE(VMMEM_VHOST_EXPORT_GUEST_MEMFD, 4U);
VALUE(VMMEM_VHOST_EXPORT_SHARED_SIDE, 8U);
SIZE(struct vmmem_vhost_region, 32, 8);
MEMBER(struct vmmem_vhost_region, gpa, 0, 8);
MEMBER(struct vmmem_vhost_region, len, 8, 8);
MEMBER(struct vmmem_vhost_region, user_address, 16, 8);
MEMBER(struct vmmem_vhost_region, offset, 24, 8);
SIZE(struct vmmem_vhost_iotlb_msg, 32, 8);
MEMBER(struct vmmem_vhost_iotlb_msg, iova, 0, 8);
MEMBER(struct vmmem_vhost_iotlb_msg, len, 8, 8);
MEMBER(struct vmmem_vhost_iotlb_msg, user_address, 16, 8);
MEMBER(struct vmmem_vhost_iotlb_msg, access, 24, 1);
MEMBER(struct vmmem_vhost_iotlb_msg, type, 25, 1);
MEMBER(struct vmmem_vhost_iotlb_msg, padding, 26, 2);
MEMBER(struct vmmem_vhost_iotlb_msg, padding2, 28, 4);
GROWS(struct vmmem_vhost_options, 40, 8);
MEMBER(struct vmmem_vhost_options, size, 0, 8);
MEMBER(struct vmmem_vhost_options, rules, 8, 8);
MEMBER(struct vmmem_vhost_options, iotlb, 16, 8);
MEMBER(struct vmmem_vhost_options, regions_max, 24, 4);
MEMBER(struct vmmem_vhost_options, flags, 28, 4);
VALUE(VMMEM_VHOST_DUE_SPACE, 1U);
VALUE(VMMEM_VHOST_DUE_IOTLB, 2U);
MEMBER(struct vmmem_vhost_options, bytes_max, 32, 8);
