/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/error.h>

#include <errno.h>
#include <string.h>

#include "api.h"

/* The system's codes end here, by the kernel's own convention. */
#define LAST_ERRNO 4095

struct text {
	const char *name;
	const char *sentence;
};

#define INDEX(code) (VMMEM_EINVAL - (code))
#define CODE(code, sentence) [INDEX(code)] = { #code, sentence }

static const struct text texts[] = {
	CODE(VMMEM_EINVAL, "Invalid argument"),
	CODE(VMMEM_ENOREGION, "No such region, or no region at all"),
	CODE(VMMEM_EOVERLAP, "Regions overlap"),
	CODE(VMMEM_EUNSORTED, "Regions are not sorted by address"),
	CODE(VMMEM_EBADADDR, "Guest address is not mapped"),
	CODE(VMMEM_EOUTOFRANGE, "Range is outside of its object"),
	CODE(VMMEM_EOVERFLOW, "Range passes the end of the address space"),
	CODE(VMMEM_EPARTIAL, "Transfer ended early"),
	CODE(VMMEM_ENOHOST, "Memory has no host address"),
	CODE(VMMEM_EPERM, "Region does not permit this access"),
	CODE(VMMEM_EMISALIGNED, "Guest address is misaligned for the access"),
	CODE(VMMEM_ECROSS, "Access crosses from one region into the next"),
	CODE(VMMEM_EORDER, "Memory order is invalid for the operation"),
	CODE(VMMEM_EZEROLEN, "Length is zero"),
	CODE(VMMEM_EMAPFIXED, "Mapping at a fixed host address is refused"),
	CODE(VMMEM_EPASTEOF, "Mapping goes past the end of the file"),
	CODE(VMMEM_EFILEOFFSET, "File offset is not aligned to a page"),
	CODE(VMMEM_ECONGRUENCE, "Guest and host address differ modulo 16"),
	CODE(VMMEM_ESTRUCTSIZE, "Size member of a struct is wrong"),
	CODE(VMMEM_ESTRUCTNEWER, "Struct uses members of a newer library"),
	CODE(VMMEM_EHUGEPAGE, "Huge page size is not available here"),
	CODE(VMMEM_ETOOBIG, "Element count times element size is too big"),
	CODE(VMMEM_EEOF, "End of file"),
	CODE(VMMEM_EIOMMUMISS, "I/O virtual address has no translation"),
	CODE(VMMEM_ECALLBACK, "Callback returned an invalid value"),
	CODE(VMMEM_ENOFILE, "Region has no file"),
	CODE(VMMEM_ENAMETOOLONG, "Name is too long"),
	CODE(VMMEM_ENOSLOT, "No memory slot is left"),
	CODE(VMMEM_ESLOTALIGN, "Memory slot is not aligned to pages"),
	CODE(VMMEM_ENOBITMAP, "Region has no bitmap to log to"),
	CODE(VMMEM_EFILERANGE, "Range passes the last offset of a file"),
	CODE(VMMEM_ENOROOM, "Array is too small"),
	CODE(VMMEM_ECANCELED, "Canceled by the caller"),
	CODE(VMMEM_ENOSUPPORT, "System cannot do what was asked for"),
	CODE(VMMEM_ESHORTAGE, "Too little memory of the kind asked for"),
	CODE(VMMEM_ENONODE, "NUMA node is not available"),
	CODE(VMMEM_ENODISCARD, "Memory cannot be discarded"),
	CODE(VMMEM_EFILETYPE, "Type of file is not permitted"),
	CODE(VMMEM_ESEALS, "File is not sealed as required"),
	CODE(VMMEM_ESHRINKABLE, "File could be cut short"),
	CODE(VMMEM_EFILEACCESS, "Descriptor does not permit the access"),
	CODE(VMMEM_EFAULT, "Memory behind the guest address is gone"),
	CODE(VMMEM_EHANDLERS, "Signal handlers were replaced too often"),
	CODE(VMMEM_EUNDERWAY, "Caller is in a section that it would wait for"),
	CODE(VMMEM_EUNLOGGED, "Dirty log does not cover the range"),
	CODE(VMMEM_EREGIONCOUNT, "Memory table has too many rows"),
	CODE(VMMEM_EDESCRIPTORS, "Number of descriptors is wrong"),
	CODE(VMMEM_EUSEROVERLAP, "User addresses overlap"),
	CODE(VMMEM_EUSERADDR, "User address is in no row of the memory table"),
	CODE(VMMEM_ELOGSHORT, "Dirty log does not reach as far as the memory"),
	CODE(VMMEM_EMESSAGE, "Message is malformed or of an unknown kind"),
	CODE(VMMEM_EREGIONBYTES, "Memory table has too many bytes"),
};

static const struct text *
find(int code)
{
	size_t i;

	if (code > VMMEM_EINVAL)
		return NULL;
	/* In 64 bits, so that INT_MIN does not overflow. */
	i = (size_t)((int64_t)VMMEM_EINVAL - code);
	return i < sizeof(texts) / sizeof(texts[0]) ? &texts[i] : NULL;
}

VMMEM_API const char *
vmmem_strerror(int code)
{
	const struct text *text = find(code);
	const char *sentence = NULL;

	if (text != NULL)
		return text->sentence;
	if (code == 0)
		return "Success";
	/*
	 * strerror() may translate, and may share its buffer between threads;
	 * this one does neither.
	 */
	if (code < 0 && code >= -LAST_ERRNO)
		sentence = strerrordesc_np(-code);
	return sentence != NULL ? sentence : "unknown code";
}

VMMEM_API const char *
vmmem_error_name(int code)
{
	const struct text *text = find(code);

	if (text != NULL)
		return text->name;
	if (code <= 0 && code >= -LAST_ERRNO)
		return strerrorname_np(-code);
	return NULL;
}

/* What is not here is a wrong argument, in one way or another. */
static int
errno_of(int code)
{
	switch (code) {
	case VMMEM_EBADADDR:
	case VMMEM_EIOMMUMISS:
	case VMMEM_EUSERADDR:
	case VMMEM_EFAULT:
	case VMMEM_ECROSS:
		return EFAULT;
	case VMMEM_EPERM:
	case VMMEM_EFILEACCESS:
		return EACCES;
	case VMMEM_EFILETYPE:
	case VMMEM_ESEALS:
	case VMMEM_ESHRINKABLE:
		return EPERM;
	case VMMEM_ENOREGION:
		return ENOENT;
	case VMMEM_EOVERLAP:
	case VMMEM_EUSEROVERLAP:
		return EEXIST;
	case VMMEM_EOVERFLOW:
	case VMMEM_EFILERANGE:
	case VMMEM_ETOOBIG:
		return EOVERFLOW;
	case VMMEM_EPARTIAL:
	case VMMEM_ECALLBACK:
		return EIO;
	case VMMEM_EEOF:
		return ENODATA;
	case VMMEM_EPASTEOF:
		return ENXIO;
	case VMMEM_ESTRUCTNEWER:
		return E2BIG;
	case VMMEM_ENOFILE:
		return EBADF;
	case VMMEM_ENAMETOOLONG:
		return ENAMETOOLONG;
	case VMMEM_ENOSLOT:
	case VMMEM_EREGIONCOUNT:
		return ENOSPC;
	case VMMEM_ENOROOM:
		return ENOBUFS;
	case VMMEM_ECANCELED:
		return ECANCELED;
	case VMMEM_EHUGEPAGE:
	case VMMEM_ENOBITMAP:
	case VMMEM_ENODISCARD:
	case VMMEM_ENOHOST:
	case VMMEM_ENOSUPPORT:
		return EOPNOTSUPP;
	case VMMEM_ESHORTAGE:
		return ENOMEM;
	case VMMEM_ENONODE:
		return ENODEV;
	case VMMEM_EHANDLERS:
		return EBUSY;
	case VMMEM_EUNDERWAY:
		return EDEADLK;
	case VMMEM_EUNLOGGED:
	case VMMEM_ELOGSHORT:
		return ERANGE;
	case VMMEM_EDESCRIPTORS:
	case VMMEM_EMESSAGE:
		return EBADMSG;
	default:
		return EINVAL;
	}
}

VMMEM_API int
vmmem_error_errno(int code)
{
	if (code <= 0 && code >= -LAST_ERRNO)
		return -code;
	return find(code) != NULL ? errno_of(code) : EIO;
}
