/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/error.h - what a call that failed says.
 *
 * A function that can fail returns an int: 0, or one negative code.
 *
 *   -1 ... -4095    the system's -errno, as a system call or the allocator
 *                   gave it (-ENOMEM, -EMFILE, -EACCES, ...)
 *   below -4096     the library's own codes, all of them listed here
 *
 * No function returns a code below -4096 that is not in the list.  A later
 * version may add codes at its end, so a program that tells codes apart has a
 * default branch.  A number never gets another meaning.
 */
#ifndef VMMEM_ERROR_H
#define VMMEM_ERROR_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

/* An argument is wrong in itself: a NULL handle, an unknown flag bit. */
#define VMMEM_EARGUMENT (-4097)
/* There is no such region, or there is no region at all. */
#define VMMEM_ENOREGION (-4098)
/* Two regions share at least one guest address. */
#define VMMEM_EOVERLAP (-4099)
/* Regions are not in ascending order of their start addresses. */
#define VMMEM_EUNSORTED (-4100)
/* A guest address of the range lies in no region. */
#define VMMEM_EBADADDR (-4101)
/* An offset or range lies outside of the object it was asked of. */
#define VMMEM_EOUTOFRANGE (-4102)
/* A range passes 2^64, or an address calculation does. */
#define VMMEM_EWRAPS (-4103)
/* A transfer ended early, with neither an error nor the end of the file. */
#define VMMEM_EPARTIAL (-4104)
/* The memory has no host address: it is reached by callbacks only. */
#define VMMEM_ENOHOST (-4105)
/* The region does not permit this access. */
#define VMMEM_EDENIED (-4106)
/*
 * The guest address is not a multiple of the size of an access, or of a page.
 */
#define VMMEM_EMISALIGNED (-4107)
/* An access that must be one piece crosses from one region into the next. */
#define VMMEM_ECROSS (-4108)
/* The memory order is unknown, or does not go with the operation. */
#define VMMEM_EORDER (-4109)
/* The length is zero where a range must hold at least one byte. */
#define VMMEM_EZEROLEN (-4110)
/* The object to be added is there already, and stays as it is. */
#define VMMEM_EEXISTS (-4111)
/* The mapping would go past the end of its file. */
#define VMMEM_EPASTEOF (-4112)
/* The file offset is not a multiple of the page size of the file. */
#define VMMEM_EFILEOFFSET (-4113)
/* Guest and host address differ modulo 16. */
#define VMMEM_ECONGRUENCE (-4114)
/* The size member of a struct is smaller or larger than any version had. */
#define VMMEM_ESTRUCTSIZE (-4115)
/* A struct has bytes set that this version of the library does not know. */
#define VMMEM_ESTRUCTNEWER (-4116)
/* The huge page size is unknown, or not that of the backing. */
#define VMMEM_EHUGEPAGE (-4117)
/* The number of elements times their size is out of range. */
#define VMMEM_ETOOBIG (-4118)
/* The end of the file or stream came before the transfer was complete. */
#define VMMEM_EEOF (-4119)
/* An I/O virtual address has no translation. */
#define VMMEM_EIOMMUMISS (-4120)
/* A callback returned a value that is neither 0 nor a negative code. */
#define VMMEM_ECALLBACK (-4121)
/* The region has no file behind it. */
#define VMMEM_ENOFILE (-4122)
/* The name is longer than VMMEM_REGION_NAME_MAX bytes. */
#define VMMEM_ELONGNAME (-4123)
/* The hypervisor has no memory slot left. */
#define VMMEM_ENOSLOT (-4124)
/* A memory slot would not consist of whole pages. */
#define VMMEM_ESLOTALIGN (-4125)
/* The region has no bitmap to log to. */
#define VMMEM_ENOBITMAP (-4126)
/* A range of a file passes 2^63 - 1, the last offset that a file can have. */
#define VMMEM_EFILERANGE (-4127)
/* The array, or the table, is too small for what would go into it. */
#define VMMEM_ENOROOM (-4128)
/* A callback of the caller ended it. */
#define VMMEM_ESTOPPED (-4129)
/* The system, KVM or the processor has no means to do what was asked for. */
#define VMMEM_ENOSUPPORT (-4130)
/* The system has too little memory of the kind that was asked for. */
#define VMMEM_ESHORTAGE (-4131)
/* A NUMA node is not there, or not for this process. */
#define VMMEM_ENONODE (-4132)
/* Memory of this kind cannot be given back and then read as zero. */
#define VMMEM_ENODISCARD (-4133)
/* The descriptor is of a type of file that is not permitted here. */
#define VMMEM_EFILETYPE (-4134)
/* The file lacks a seal, and cannot be given it. */
#define VMMEM_ESEALS (-4135)
/* The file could become shorter while it is mapped. */
#define VMMEM_ESHRINKABLE (-4136)
/* The descriptor is not open for the access that is needed. */
#define VMMEM_EFILEACCESS (-4137)
/* The memory behind the guest address is gone: see vmmem/fault.h. */
#define VMMEM_EGONE (-4138)
/* Handlers of signals were put on top of the library's too often. */
#define VMMEM_EHANDLERS (-4139)
/* The calling thread would wait for itself: it is in what it waits for. */
#define VMMEM_ESELFWAIT (-4140)
/* The dirty log does not cover what would be written. */
#define VMMEM_EUNLOGGED (-4141)
/* There are more rows than a memory table can have. */
#define VMMEM_EREGIONCOUNT (-4142)
/* The number of descriptors is not what the message needs. */
#define VMMEM_EDESCRIPTORS (-4143)
/* Two rows of a memory table share a user address. */
#define VMMEM_EUSEROVERLAP (-4144)
/* A user address is in no row of the memory table. */
#define VMMEM_EUSERADDR (-4145)
/* The front end's dirty log does not reach as far as its memory. */
#define VMMEM_ELOGSHORT (-4146)
/* A message is of an unknown kind, or not of its length. */
#define VMMEM_EMESSAGE (-4147)
/* A memory table and its log have more bytes than is permitted. */
#define VMMEM_EREGIONBYTES (-4148)
/* The time that the caller gave is over. */
#define VMMEM_ETIMEOUT (-4149)
/* The object belongs to the process that this one was forked from. */
#define VMMEM_EFORKED (-4150)
/* A byte of the range is pinned: see vmmem/pin.h. */
#define VMMEM_EPINNED (-4151)
/* A byte of the range is private to the guest: see vmmem/private.h. */
#define VMMEM_EPRIVATE (-4152)

/*
 * vmmem_strerror() returns one English sentence, without a full stop, for
 * 'code': 0, a code of this list or a -errno.  For any other value it returns
 * "unknown code".  Never NULL.  The string is constant and never freed, and
 * contains no address.
 *
 * Any thread, any time.  Since: 0.9.
 */
const char *vmmem_strerror(int code);

/*
 * vmmem_error_name() returns the name of 'code' as it is written in C:
 * "VMMEM_EOVERLAP" for a code of this list, "ENOMEM" for a -errno, "0" for 0.
 * NULL for any other value, so that a binding can walk the list from
 * VMMEM_EARGUMENT downwards until it ends.  The string is constant.
 *
 * Any thread, any time.  Since: 0.9.
 */
const char *vmmem_error_name(int code);

/*
 * vmmem_error_errno() returns the errno that comes nearest to 'code', for
 * programs whose own functions speak of failure by errno: a positive number of
 * <errno.h>, of a -errno its own.  Several codes have the same.  0 for 0, and
 * EIO for what is no code.  docs/error.md has the table, which may become more
 * exact.
 *
 * Any thread, any time.  Since: 0.9.
 */
int vmmem_error_errno(int code);

VMMEM_END_DECLS

#endif
