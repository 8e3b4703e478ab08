/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Names and texts of the system's errors.  Not every C library has functions
 * for them that neither translate nor share a buffer.
 */
#include "base/errno_text.h"

#include <errno.h>
#include <stddef.h>

#define ERRNO(number, text) [number] = { #number, text }

static const struct errno_text {
	const char *name;
	const char *sentence;
} texts[] = {
	[0] = { "0", "Success" },
	ERRNO(EPERM, "Operation not permitted"),
	ERRNO(ENOENT, "No such file or directory"),
	ERRNO(ESRCH, "No such process"),
	ERRNO(EINTR, "Interrupted system call"),
	ERRNO(EIO, "Input/output error"),
	ERRNO(ENXIO, "No such device or address"),
	ERRNO(E2BIG, "Argument list too long"),
	ERRNO(ENOEXEC, "Exec format error"),
	ERRNO(EBADF, "Bad file descriptor"),
	ERRNO(ECHILD, "No child processes"),
	ERRNO(EAGAIN, "Resource temporarily unavailable"),
	ERRNO(ENOMEM, "Cannot allocate memory"),
	ERRNO(EACCES, "Permission denied"),
	ERRNO(EFAULT, "Bad address"),
	ERRNO(ENOTBLK, "Block device required"),
	ERRNO(EBUSY, "Device or resource busy"),
	ERRNO(EEXIST, "File exists"),
	ERRNO(EXDEV, "Invalid cross-device link"),
	ERRNO(ENODEV, "No such device"),
	ERRNO(ENOTDIR, "Not a directory"),
	ERRNO(EISDIR, "Is a directory"),
	ERRNO(EINVAL, "Invalid argument"),
	ERRNO(ENFILE, "Too many open files in system"),
	ERRNO(EMFILE, "Too many open files"),
	ERRNO(ENOTTY, "Inappropriate ioctl for device"),
	ERRNO(ETXTBSY, "Text file busy"),
	ERRNO(EFBIG, "File too large"),
	ERRNO(ENOSPC, "No space left on device"),
	ERRNO(ESPIPE, "Illegal seek"),
	ERRNO(EROFS, "Read-only file system"),
	ERRNO(EMLINK, "Too many links"),
	ERRNO(EPIPE, "Broken pipe"),
	ERRNO(EDOM, "Numerical argument out of domain"),
	ERRNO(ERANGE, "Numerical result out of range"),
	ERRNO(EDEADLK, "Resource deadlock avoided"),
	ERRNO(ENAMETOOLONG, "File name too long"),
	ERRNO(ENOLCK, "No locks available"),
	ERRNO(ENOSYS, "Function not implemented"),
	ERRNO(ENOTEMPTY, "Directory not empty"),
	ERRNO(ELOOP, "Too many levels of symbolic links"),
	ERRNO(ENOMSG, "No message of desired type"),
	ERRNO(EIDRM, "Identifier removed"),
	ERRNO(ECHRNG, "Channel number out of range"),
	ERRNO(EL2NSYNC, "Level 2 not synchronized"),
	ERRNO(EL3HLT, "Level 3 halted"),
	ERRNO(EL3RST, "Level 3 reset"),
	ERRNO(ELNRNG, "Link number out of range"),
	ERRNO(EUNATCH, "Protocol driver not attached"),
	ERRNO(ENOCSI, "No CSI structure available"),
	ERRNO(EL2HLT, "Level 2 halted"),
	ERRNO(EBADE, "Invalid exchange"),
	ERRNO(EBADR, "Invalid request descriptor"),
	ERRNO(EXFULL, "Exchange full"),
	ERRNO(ENOANO, "No anode"),
	ERRNO(EBADRQC, "Invalid request code"),
	ERRNO(EBADSLT, "Invalid slot"),
	ERRNO(EBFONT, "Bad font file format"),
	ERRNO(ENOSTR, "Device not a stream"),
	ERRNO(ENODATA, "No data available"),
	ERRNO(ETIME, "Timer expired"),
	ERRNO(ENOSR, "Out of streams resources"),
	ERRNO(ENONET, "Machine is not on the network"),
	ERRNO(ENOPKG, "Package not installed"),
	ERRNO(EREMOTE, "Object is remote"),
	ERRNO(ENOLINK, "Link has been severed"),
	ERRNO(EADV, "Advertise error"),
	ERRNO(ESRMNT, "Srmount error"),
	ERRNO(ECOMM, "Communication error on send"),
	ERRNO(EPROTO, "Protocol error"),
	ERRNO(EMULTIHOP, "Multihop attempted"),
	ERRNO(EDOTDOT, "RFS specific error"),
	ERRNO(EBADMSG, "Bad message"),
	ERRNO(EOVERFLOW, "Value too large for defined data type"),
	ERRNO(ENOTUNIQ, "Name not unique on network"),
	ERRNO(EBADFD, "File descriptor in bad state"),
	ERRNO(EREMCHG, "Remote address changed"),
	ERRNO(ELIBACC, "Can not access a needed shared library"),
	ERRNO(ELIBBAD, "Accessing a corrupted shared library"),
	ERRNO(ELIBSCN, ".lib section in a.out corrupted"),
	ERRNO(ELIBMAX, "Attempting to link in too many shared libraries"),
	ERRNO(ELIBEXEC, "Cannot exec a shared library directly"),
	ERRNO(EILSEQ, "Invalid or incomplete multibyte or wide character"),
	ERRNO(ERESTART, "Interrupted system call should be restarted"),
	ERRNO(ESTRPIPE, "Streams pipe error"),
	ERRNO(EUSERS, "Too many users"),
	ERRNO(ENOTSOCK, "Socket operation on non-socket"),
	ERRNO(EDESTADDRREQ, "Destination address required"),
	ERRNO(EMSGSIZE, "Message too long"),
	ERRNO(EPROTOTYPE, "Protocol wrong type for socket"),
	ERRNO(ENOPROTOOPT, "Protocol not available"),
	ERRNO(EPROTONOSUPPORT, "Protocol not supported"),
	ERRNO(ESOCKTNOSUPPORT, "Socket type not supported"),
	ERRNO(EOPNOTSUPP, "Operation not supported"),
	ERRNO(EPFNOSUPPORT, "Protocol family not supported"),
	ERRNO(EAFNOSUPPORT, "Address family not supported by protocol"),
	ERRNO(EADDRINUSE, "Address already in use"),
	ERRNO(EADDRNOTAVAIL, "Cannot assign requested address"),
	ERRNO(ENETDOWN, "Network is down"),
	ERRNO(ENETUNREACH, "Network is unreachable"),
	ERRNO(ENETRESET, "Network dropped connection on reset"),
	ERRNO(ECONNABORTED, "Software caused connection abort"),
	ERRNO(ECONNRESET, "Connection reset by peer"),
	ERRNO(ENOBUFS, "No buffer space available"),
	ERRNO(EISCONN, "Transport endpoint is already connected"),
	ERRNO(ENOTCONN, "Transport endpoint is not connected"),
	ERRNO(ESHUTDOWN, "Cannot send after transport endpoint shutdown"),
	ERRNO(ETOOMANYREFS, "Too many references: cannot splice"),
	ERRNO(ETIMEDOUT, "Connection timed out"),
	ERRNO(ECONNREFUSED, "Connection refused"),
	ERRNO(EHOSTDOWN, "Host is down"),
	ERRNO(EHOSTUNREACH, "No route to host"),
	ERRNO(EALREADY, "Operation already in progress"),
	ERRNO(EINPROGRESS, "Operation now in progress"),
	ERRNO(ESTALE, "Stale file handle"),
	ERRNO(EUCLEAN, "Structure needs cleaning"),
	ERRNO(ENOTNAM, "Not a XENIX named type file"),
	ERRNO(ENAVAIL, "No XENIX semaphores available"),
	ERRNO(EISNAM, "Is a named type file"),
	ERRNO(EREMOTEIO, "Remote I/O error"),
	ERRNO(EDQUOT, "Disk quota exceeded"),
	ERRNO(ENOMEDIUM, "No medium found"),
	ERRNO(EMEDIUMTYPE, "Wrong medium type"),
	ERRNO(ECANCELED, "Operation canceled"),
	ERRNO(ENOKEY, "Required key not available"),
	ERRNO(EKEYEXPIRED, "Key has expired"),
	ERRNO(EKEYREVOKED, "Key has been revoked"),
	ERRNO(EKEYREJECTED, "Key was rejected by service"),
	ERRNO(EOWNERDEAD, "Owner died"),
	ERRNO(ENOTRECOVERABLE, "State not recoverable"),
	ERRNO(ERFKILL, "Operation not possible due to RF-kill"),
	ERRNO(EHWPOISON, "Memory page has hardware error"),
};

static const struct errno_text *
find(int number)
{
	static const struct errno_text none;

	return number >= 0 && number < (int)(sizeof(texts) / sizeof(texts[0])) ?
		       &texts[number] :
		       &none;
}

const char *
vmmem_errno_name(int number)
{
	return find(number)->name;
}

const char *
vmmem_errno_sentence(int number)
{
	return find(number)->sentence;
}
