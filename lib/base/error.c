/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The codes: their names, their texts, and the errno that comes nearest. */
#include <vmmem/error.h>

#include <errno.h>
#include <string.h>

#include "base/api.h"
#include "base/errno_text.h"

/* The system's codes end here, by the kernel's own convention. */
#define LAST_ERRNO 4095

struct text {
	const char *name;
	const char *sentence;
	int nearest; /* errno */
};

#define INDEX(code) (VMMEM_EARGUMENT - (code))
#define CODE(code, nearest, sentence)                                      \
	[INDEX(code)] = { #code, sentence, nearest }

static const struct text texts[] = {
	CODE(VMMEM_EARGUMENT, EINVAL, "Invalid argument"),
	CODE(VMMEM_ENOREGION, ENOENT, "No such region, or no region at all"),
	CODE(VMMEM_EOVERLAP, EEXIST, "Regions overlap"),
	CODE(VMMEM_EUNSORTED, EINVAL, "Regions are not sorted by address"),
	CODE(VMMEM_EBADADDR, EFAULT, "Guest address is not mapped"),
	CODE(VMMEM_EOUTOFRANGE, EINVAL, "Range is outside of its object"),
	CODE(VMMEM_EWRAPS, EOVERFLOW,
	     "Range passes the end of the address space"),
	CODE(VMMEM_EPARTIAL, EIO, "Transfer ended early"),
	CODE(VMMEM_ENOHOST, EOPNOTSUPP, "Memory has no host address"),
	CODE(VMMEM_EDENIED, EACCES, "Region does not permit this access"),
	CODE(VMMEM_EMISALIGNED, EINVAL,
	     "Guest address or length is not aligned"),
	CODE(VMMEM_ECROSS, EFAULT,
	     "Access crosses from one region into the next"),
	CODE(VMMEM_EORDER, EINVAL, "Memory order is invalid for the operation"),
	CODE(VMMEM_EZEROLEN, EINVAL, "Length is zero"),
	CODE(VMMEM_EEXISTS, EEXIST, "Something is there already"),
	CODE(VMMEM_EPASTEOF, ENXIO, "Mapping goes past the end of the file"),
	CODE(VMMEM_EFILEOFFSET, EINVAL, "File offset is not aligned to a page"),
	CODE(VMMEM_ECONGRUENCE, EINVAL,
	     "Guest and host address differ modulo 16"),
	CODE(VMMEM_ESTRUCTSIZE, EINVAL, "Size member of a struct is wrong"),
	CODE(VMMEM_ESTRUCTNEWER, E2BIG,
	     "Struct uses members of a newer library"),
	CODE(VMMEM_EHUGEPAGE, EOPNOTSUPP,
	     "Huge page size is not available here"),
	CODE(VMMEM_ETOOBIG, EOVERFLOW,
	     "Element count times element size is too big"),
	CODE(VMMEM_EEOF, ENODATA, "End of file"),
	CODE(VMMEM_EIOMMUMISS, EFAULT,
	     "I/O virtual address has no translation"),
	CODE(VMMEM_ECALLBACK, EIO, "Callback returned an invalid value"),
	CODE(VMMEM_ENOFILE, EBADF, "Region has no file"),
	CODE(VMMEM_ELONGNAME, ENAMETOOLONG, "Name is too long"),
	CODE(VMMEM_ENOSLOT, ENOSPC, "No memory slot is left"),
	CODE(VMMEM_ESLOTALIGN, EINVAL, "Memory slot is not aligned to pages"),
	CODE(VMMEM_ENOBITMAP, EOPNOTSUPP, "Region has no bitmap to log to"),
	CODE(VMMEM_EFILERANGE, EOVERFLOW,
	     "Range passes the last offset of a file"),
	CODE(VMMEM_ENOROOM, ENOBUFS, "Array or table is too small"),
	CODE(VMMEM_ESTOPPED, ECANCELED, "Stopped by the caller"),
	CODE(VMMEM_ENOSUPPORT, EOPNOTSUPP,
	     "System cannot do what was asked for"),
	CODE(VMMEM_ESHORTAGE, ENOMEM,
	     "Too little memory of the kind asked for"),
	CODE(VMMEM_ENONODE, ENODEV, "NUMA node is not available"),
	CODE(VMMEM_ENODISCARD, EOPNOTSUPP, "Memory cannot be discarded"),
	CODE(VMMEM_EFILETYPE, EPERM, "Type of file is not permitted"),
	CODE(VMMEM_ESEALS, EPERM, "File is not sealed as required"),
	CODE(VMMEM_ESHRINKABLE, EPERM, "File could be cut short"),
	CODE(VMMEM_EFILEACCESS, EACCES,
	     "Descriptor does not permit the access"),
	CODE(VMMEM_EGONE, EFAULT, "Memory behind the guest address is gone"),
	CODE(VMMEM_EHANDLERS, EBUSY, "Signal handlers were replaced too often"),
	CODE(VMMEM_ESELFWAIT, EDEADLK,
	     "Caller would wait for itself"),
	CODE(VMMEM_EUNLOGGED, ERANGE, "Dirty log does not cover the range"),
	CODE(VMMEM_EREGIONCOUNT, ENOSPC, "Memory table has too many rows"),
	CODE(VMMEM_EDESCRIPTORS, EBADMSG, "Number of descriptors is wrong"),
	CODE(VMMEM_EUSEROVERLAP, EEXIST, "User addresses overlap"),
	CODE(VMMEM_EUSERADDR, EFAULT,
	     "User address is in no row of the memory table"),
	CODE(VMMEM_ELOGSHORT, ERANGE,
	     "Dirty log does not reach as far as the memory"),
	CODE(VMMEM_EMESSAGE, EBADMSG,
	     "Message is malformed or of an unknown kind"),
	CODE(VMMEM_EREGIONBYTES, EINVAL, "Memory table has too many bytes"),
	CODE(VMMEM_ETIMEOUT, ETIMEDOUT, "The time is over"),
	CODE(VMMEM_EFORKED, EPERM, "Object belongs to the parent process"),
	CODE(VMMEM_EPINNED, EBUSY, "Memory is pinned"),
	CODE(VMMEM_EPRIVATE, EACCES, "Memory is private to the guest"),
};

static const struct text *
find(int code)
{
	size_t i;

	if (code > VMMEM_EARGUMENT)
		return NULL;
	/* In 64 bits, so that INT_MIN does not overflow. */
	i = (size_t)((int64_t)VMMEM_EARGUMENT - code);
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
	/* strerror() may translate, and share its buffer between threads. */
	if (code < 0 && code >= -LAST_ERRNO)
		sentence = vmmem_errno_sentence(-code);
	return sentence != NULL ? sentence : "unknown code";
}

VMMEM_API const char *
vmmem_error_name(int code)
{
	const struct text *text = find(code);

	if (text != NULL)
		return text->name;
	if (code <= 0 && code >= -LAST_ERRNO)
		return vmmem_errno_name(-code);
	return NULL;
}

VMMEM_API int
vmmem_error_errno(int code)
{
	const struct text *text = find(code);

	if (code <= 0 && code >= -LAST_ERRNO)
		return -code;
	return text != NULL ? text->nearest : EIO;
}
