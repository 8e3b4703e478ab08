/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Backings: the memory behind regions, and where it is mapped. */
#include "region/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <vmmem/address.h>
#include <vmmem/error.h>

#include "region/quiet.h"
#include "region/replaced.h"

/* How mmap() and memfd_create() are told a huge page size: log2, shifted. */
#define HUGE_SHIFT 26
_Static_assert(MAP_HUGE_SHIFT == HUGE_SHIFT && MFD_HUGE_SHIFT == HUGE_SHIFT,
	       "one encoding serves both");

/* Newer than the oldest headers that serve: Linux 6.3. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* A name to look for in /proc/PID/maps where the caller gave none. */
#define MEMFD_NAME "vmmem"

/* The seals of a new memfd, except that of the executable bits. */
#define MEMFD_MODE 0666

static const char no_such_pages[] =
	"The system has no pages of the huge page size";

static uint32_t
huge_bits(uint64_t page_size)
{
	return (uint32_t)__builtin_ctzll(page_size) << HUGE_SHIFT;
}

/*
 * agreed() returns the offset within a page by which guest and host address
 * agree; place() places the pages.
 */
static uint64_t
agreed(const struct vmmem_region *region)
{
	uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t agree = region->policy.alignment;

	if (agree < VMMEM_CONGRUENCE)
		agree = VMMEM_CONGRUENCE;
	return agree < small ? agree : small;
}

/*
 * plan() tells how many bytes of whole pages to map for a region that begins
 * 'shift' bytes into them.
 */
static int
plan(const struct vmmem_region *region, uint64_t page_size, uint64_t shift,
     size_t *ret_len)
{
	uint64_t len;

	if (vmmem_address_checked_add(region->last - region->start, shift + 1,
				      &len) != 0 ||
	    vmmem_address_align_up(len, page_size, &len) != 0 ||
	    len > PTRDIFF_MAX)
		return VMMEM_EWRAPS;
	*ret_len = (size_t)len;
	return 0;
}

/* The span of one entry of the second level of page tables: 2 MiB for 4 KiB. */
static uint64_t
large_page(void)
{
	uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);

	return small * (small / sizeof(uint64_t));
}

/*
 * alignment() returns the modulus by which guest and host address must agree:
 * the one of the policy, or else a large page if one fits, so that the system
 * can give some to the region, and a hypervisor to the guest.  Not if a file's
 * offset makes them differ within a page already.
 */
static uint64_t
alignment(const struct vmmem_region *region, size_t shift)
{
	const uint64_t large = large_page();
	uint64_t first;

	if (region->policy.alignment != 0)
		return region->policy.alignment;
	if (region->huge_pages != VMMEM_HUGE_PAGES_NO ||
	    region->policy.thp == VMMEM_THP_NO ||
	    region->start % (uint64_t)sysconf(_SC_PAGESIZE) != 0 ||
	    shift % (uint64_t)sysconf(_SC_PAGESIZE) != 0)
		return 0;
	/* The first large page that begins within the region. */
	first = -region->start & (large - 1);
	return first <= region->last - region->start &&
			       large - 1 <= region->last - region->start -
						    first ?
		       large :
		       0;
}

/*
 * place() finds room for 'len' bytes, which are not yet mapped, with guards on
 * both sides and at an address that agrees with the guest's.  The rest of the
 * room stays as it is, inaccessible, and costs only addresses.  Sets 'pages' to
 * NULL if it may be anywhere.
 */
static int
place(struct vmmem_region *region, size_t len, size_t shift)
{
	uint64_t page_size = region->page_size;
	uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t wanted = alignment(region, shift), align = wanted;
	uint64_t first = region->start - shift;
	uint64_t guard, total;
	unsigned char *room;

	/* A device whose pages nobody knows has at least the system's. */
	if (page_size < small)
		page_size = small;
	if (region->policy.guard == 0 && align <= small)
		return 0;
	if (vmmem_address_align_up(region->policy.guard, small, &guard) != 0)
		return VMMEM_EWRAPS;
	/* Whole huge pages lie at multiples of their size, wherever else. */
	if (align < page_size)
		align = page_size;
	if (wanted > small &&
	    first % (wanted < page_size ? wanted : page_size) != 0)
		return VMMEM_ECONGRUENCE;
	if (wanted < page_size)
		first = 0;
	if (vmmem_address_checked_add(guard, guard, &total) != 0 ||
	    vmmem_address_checked_add(total, len, &total) != 0 ||
	    vmmem_address_checked_add(total, align, &total) != 0 ||
	    total > PTRDIFF_MAX)
		return VMMEM_EWRAPS;

	room = mmap(NULL, (size_t)total, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	region->map = room;
	region->map_len = (size_t)total;
	region->guard = guard;
	/* On from the end of the guard to where the addresses agree. */
	room += guard;
	region->pages = room + ((first - (uintptr_t)room) & (align - 1));
	return 0;
}

/*
 * make_accessible() is for memory that was mapped without access.  After
 * mlockall(MCL_FUTURE), mmap(2) makes all pages of an accessible mapping, and
 * mprotect(2) none of a shared one.
 */
static int
make_accessible(const struct vmmem_region *region, void *address, size_t len)
{
	return mprotect(address, len, (int)region->protection) != 0 ? -errno :
								      0;
}

/*
 * map() maps 'len' bytes; the region begins 'shift' bytes into them.  If it is
 * to be 'empty', that makes no page of a shared file: another process may bring
 * the pages later (userfaultfd(2)).
 */
static int
map(struct vmmem_region *region, size_t len, size_t shift, uint32_t flags,
    int fd, uint64_t offset, bool empty)
{
	void *address;
	int rc;

	rc = place(region, len, shift);
	if (rc != 0)
		return rc;
	if (region->pages != NULL)
		flags |= MAP_FIXED;
	address = mmap(region->pages, len,
		       empty ? PROT_NONE : (int)region->protection, (int)flags,
		       fd, (off_t)offset);
	if (address == MAP_FAILED)
		return -errno;
	if (region->map == NULL) {
		region->map = address;
		region->map_len = len;
	}
	region->pages = address;
	region->pages_len = len;
	region->shift = shift;
	region->host = (unsigned char *)address + shift;
	region->mapping_flags = flags & ~(uint32_t)MAP_FIXED;
	if (empty)
		rc = make_accessible(region, address, len);
	return rc != 0 ? rc : vmmem_policy_apply(region);
}

/*
 * Memory of the huge page pool must be reserved, or a pool that runs dry kills
 * the process when it touches the page.  Other memory need not be: guests are
 * larger than what they use.
 */
static uint32_t
flags_of(const struct vmmem_region_settings *settings, uint32_t huge_pages)
{
	const uint32_t no_reserve = MAP_NORESERVE;

	switch (settings->policy.reserve) {
	case VMMEM_RESERVE_YES:
		return 0;
	case VMMEM_RESERVE_NO:
		return no_reserve;
	default:
		return huge_pages == VMMEM_HUGE_PAGES_YES ? 0 : no_reserve;
	}
}

/*
 * new_memory() says what pages fresh memory has, and how much of it to map.
 */
static int
new_memory(struct vmmem_region *region,
	   struct vmmem_region_settings *settings, size_t *ret_len,
	   size_t *ret_shift)
{
	uint64_t huge = settings->huge_page_size;

	region->huge_pages = huge != 0 ? VMMEM_HUGE_PAGES_YES :
					 VMMEM_HUGE_PAGES_NO;
	region->page_size = huge != 0 ? huge : (uint64_t)sysconf(_SC_PAGESIZE);
	if (huge != 0 && settings->len % huge != 0)
		return vmmem_region_refuse(
			settings, VMMEM_EHUGEPAGE,
			"The length is not a multiple of the huge "
			"page size");
	*ret_shift = region->start % agreed(region);
	return plan(region, region->page_size, *ret_shift, ret_len);
}

int
vmmem_backing_anonymous(struct vmmem_region *region,
			 struct vmmem_region_settings *settings)
{
	uint32_t flags;
	size_t len, shift;
	int rc;

	rc = new_memory(region, settings, &len, &shift);
	if (rc != 0)
		return rc;
	flags = flags_of(settings, region->huge_pages) | MAP_PRIVATE |
		MAP_ANONYMOUS;
	if (settings->huge_page_size != 0)
		flags |= (uint32_t)MAP_HUGETLB |
			 huge_bits(settings->huge_page_size);

	rc = map(region, len, shift, flags, -1, 0, false);
	/* All other arguments are valid, so the system lacks the page size. */
	if (rc == -EINVAL && settings->huge_page_size != 0)
		return vmmem_region_refuse(settings, VMMEM_EHUGEPAGE,
					   no_such_pages);
	return rc;
}

/*
 * keep_off_streams() moves a new descriptor up if it is below 3: standard
 * streams that the program closed stay closed, or printed text would go into
 * the guest's memory.  Returns the descriptor, or -errno.
 */
static int
keep_off_streams(int fd)
{
	int moved;

	if (fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (moved < 0)
		moved = -errno;
	close(fd);
	return moved;
}

/*
 * share() makes the region use the descriptor that other regions of its file
 * share, once its own descriptor is no longer needed.
 */
static int
share(struct vmmem_region *region)
{
	int fd = region->fd, rc;

	/* From here on the file owns the descriptor, also on failure. */
	region->fd = -1;
	rc = vmmem_file_share(fd, &region->file);
	if (rc == 0)
		region->fd = vmmem_file_fd(region->file);
	return rc;
}

/* Nobody else has the descriptor yet, so nobody sees it without seals. */
static int
seal(const struct vmmem_region *region)
{
	/* F_SEAL_SEAL too, or a peer could forbid writing later. */
	uint32_t seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	if (region->policy.seals_set)
		seals = region->policy.seals;
	/* If any were executable, the system would forbid writing with it. */
	if ((seals & VMMEM_SEAL_EXEC) != 0 &&
	    fchmod(region->fd, MEMFD_MODE) != 0)
		return -errno;
	if (seals == 0 || fcntl(region->fd, F_ADD_SEALS, seals) == 0)
		return 0;
	/* The seals were checked, so the system does not know one. */
	if (errno == EINVAL && region->policy.seals_set)
		return VMMEM_ENOSUPPORT;
	return -errno;
}

/*
 * hole_before() is how many bytes of a new file come before the region's pages,
 * and are never touched: large pages of a file are where its offset is a
 * multiple of them, so it is to agree with the addresses.
 */
static uint64_t
hole_before(const struct vmmem_region *region, size_t shift)
{
	if (region->huge_pages != VMMEM_HUGE_PAGES_NO ||
	    alignment(region, shift) < large_page())
		return 0;
	return (region->start - shift) & (large_page() - 1);
}

/* set_len() gives a new file its length, which the process may have limited. */
static int
set_len(int fd, uint64_t len)
{
	struct vmmem_quiet quiet;
	int rc;

	if (len > INT64_MAX)
		return VMMEM_EWRAPS;
	vmmem_quiet_begin(&quiet);
	rc = ftruncate(fd, (off_t)len) != 0 ? -errno : 0;
	vmmem_quiet_end(&quiet, rc);
	return rc;
}

/*
 * new_file() makes a memfd that nobody can execute.  A system may be set up to
 * refuse any other, or to complain of it.  An older one knows neither.
 */
static int
new_file(const struct vmmem_region *region, unsigned int how)
{
	const char *name = region->name[0] != '\0' ? region->name : MEMFD_NAME;
	int fd;

	fd = memfd_create(name, how | MFD_NOEXEC_SEAL);
	return fd < 0 && errno == EINVAL ? memfd_create(name, how) : fd;
}

int
vmmem_backing_memfd(struct vmmem_region *region,
		    struct vmmem_region_settings *settings)
{
	unsigned int how = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	uint64_t hole;
	uint32_t flags;
	size_t len, shift;
	int fd, rc;

	rc = new_memory(region, settings, &len, &shift);
	if (rc != 0)
		return rc;
	flags = flags_of(settings, region->huge_pages) | MAP_SHARED;
	if (settings->huge_page_size != 0)
		how |= MFD_HUGETLB | huge_bits(settings->huge_page_size);

	fd = new_file(region, how);
	if (fd < 0) {
		/* Only the page size can be wrong about 'how'. */
		if (settings->huge_page_size != 0 &&
		    (errno == EINVAL || errno == ENODEV))
			return vmmem_region_refuse(settings, VMMEM_EHUGEPAGE,
						   no_such_pages);
		return -errno;
	}
	fd = keep_off_streams(fd);
	if (fd < 0)
		return fd;
	region->fd = fd;
	hole = hole_before(region, shift);
	region->fd_offset = hole + shift;
	rc = set_len(region->fd, hole + len);
	if (rc == 0)
		rc = map(region, len, shift, flags, region->fd, hole,
			 false);
	/* Last: F_SEAL_FUTURE_WRITE would forbid all of this. */
	if (rc == 0)
		rc = seal(region);
	return rc != 0 ? rc : share(region);
}

/*
 * file_pages() finds the size of the file's pages: hugetlbfs tells it, a device
 * may have any, and all other files have the system's.
 */
static int
file_pages(struct vmmem_region *region, const struct stat *status)
{
	struct statfs fs;

	region->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	if (!S_ISREG(status->st_mode)) {
		region->huge_pages = VMMEM_HUGE_PAGES_UNKNOWN;
		return 0;
	}
	if (fstatfs(region->fd, &fs) != 0)
		return -errno;
	region->huge_pages = VMMEM_HUGE_PAGES_NO;
	if (fs.f_type == HUGETLBFS_MAGIC) {
		region->huge_pages = VMMEM_HUGE_PAGES_YES;
		region->page_size = (uint64_t)fs.f_bsize;
	}
	return 0;
}

/* file_seals() finds out whether another process may cut the file short. */
static int
file_seals(struct vmmem_region *region, const struct stat *status)
{
	int seals;

	if (!S_ISREG(status->st_mode))
		return 0;
	seals = fcntl(region->fd, F_GET_SEALS);
	/* Only files in memory know of seals; all others answer EINVAL. */
	if (seals < 0 && errno != EINVAL)
		return -errno;
	region->can_shrink = seals < 0 || (seals & F_SEAL_SHRINK) == 0;
	return 0;
}

/*
 * check_foreign() checks whether an untrusted file may be mapped for the
 * region.
 */
static int
check_foreign(const struct vmmem_region *region,
	      const struct vmmem_region_settings *settings)
{
	struct vmmem_fd_report report = { 0 };
	bool shared = (settings->file_flags & VMMEM_FILE_PRIVATE) == 0;
	uint32_t access = settings->rules.access | VMMEM_PROT_READ;
	int rc;

	/* Writes to a private mapping only change copies. */
	if (shared)
		access |= region->protection & VMMEM_PROT_WRITE;
	rc = vmmem_fd_judge(settings->fd, &settings->rules, access, &report);
	if (rc == 0)
		rc = vmmem_fd_range(&report, &settings->rules, settings->offset,
				    settings->len);
	return rc;
}

/* may_end_early() tells whether the rules permit a file that ends early. */
static bool
may_end_early(const struct vmmem_region_settings *settings)
{
	return settings->untrusted && (settings->rules.flags &
				     VMMEM_FD_MAY_END_EARLY) != 0;
}

/* keep_replaced() prepares for discards, after which pages have no file. */
static int
keep_replaced(struct vmmem_region *region, size_t len, uint32_t flags)
{
	if ((flags & (uint32_t)MAP_TYPE) != MAP_PRIVATE ||
	    region->huge_pages != VMMEM_HUGE_PAGES_NO)
		return 0;
	region->replaced = vmmem_replaced_new(len / (size_t)region->page_size);
	return region->replaced == NULL ? -ENOMEM : 0;
}

/*
 * comes_empty() tells whether pages of a file are only made when they are
 * touched, or by a policy.
 */
static bool
comes_empty(const struct vmmem_region *region,
	    const struct vmmem_region_settings *settings, uint32_t flags)
{
	/* A device may check the access of a new mapping. */
	return settings->untrusted &&
	       (flags & (uint32_t)MAP_TYPE) != MAP_PRIVATE &&
	       region->huge_pages != VMMEM_HUGE_PAGES_UNKNOWN;
}

/* file_type() is how mmap(2) is told VMMEM_FILE_.... */
static uint32_t
file_type(uint32_t flags)
{
	if ((flags & VMMEM_FILE_PRIVATE) != 0)
		return MAP_PRIVATE;
	/* Only the validating type makes the system heed or refuse MAP_SYNC. */
	return (flags & VMMEM_FILE_SYNC) != 0 ?
		       MAP_SHARED_VALIDATE | MAP_SYNC :
		       MAP_SHARED;
}

/*
 * has_pages() tells whether the file is of the huge pages that were asked for.
 */
static bool
has_pages(const struct vmmem_region *region,
	  const struct vmmem_region_settings *settings)
{
	return settings->huge_page_size == 0 ||
	       (region->huge_pages == VMMEM_HUGE_PAGES_YES &&
		region->page_size == settings->huge_page_size &&
		settings->len % region->page_size == 0);
}

/* map_file() maps a checked file, whose descriptor the region has. */
static int
map_file(struct vmmem_region *region, struct vmmem_region_settings *settings)
{
	const uint64_t offset = settings->offset;
	uint32_t flags;
	uint64_t shift;
	size_t len;
	int rc;

	/* Whole pages are mapped, from the one in which the region begins. */
	shift = offset % region->page_size;
	if ((region->start ^ shift) % agreed(region) != 0)
		return vmmem_region_refuse(
			settings, VMMEM_ECONGRUENCE,
			"Guest address and file offset differ "
			"modulo 16, or the policy's alignment");
	rc = plan(region, region->page_size, shift, &len);
	if (rc != 0)
		return rc;
	flags = flags_of(settings, region->huge_pages) |
		file_type(settings->file_flags);
	rc = keep_replaced(region, len, flags);
	if (rc == 0)
		rc = map(region, len, (size_t)shift, flags, region->fd,
			 offset - shift, comes_empty(region, settings, flags));
	/* The page size of a device's mapping is not known. */
	if (region->huge_pages == VMMEM_HUGE_PAGES_UNKNOWN)
		region->page_size = 0;
	return rc != 0 ? rc : share(region);
}

int
vmmem_backing_file(struct vmmem_region *region,
		   struct vmmem_region_settings *settings)
{
	uint64_t offset = settings->offset;
	struct stat status;
	uint64_t end;
	int rc;

	if (vmmem_address_checked_add(offset, settings->len, &end) != 0 ||
	    end > INT64_MAX)
		return vmmem_region_refuse(
			settings, VMMEM_EWRAPS,
			"The file's offset and the length pass the "
			"last offset that a file can have");

	/*
	 * Before the library has a descriptor of its own, which it would have
	 * to close: closing asks a file system, and one that a peer runs need
	 * not answer.
	 */
	if (settings->untrusted) {
		rc = check_foreign(region, settings);
		if (rc != 0)
			return rc;
	}
	/* Above the standard streams, as keep_off_streams() does. */
	region->fd = fcntl(settings->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (region->fd < 0)
		return -errno;
	region->fd_offset = offset;
	if (fstat(region->fd, &status) != 0)
		return -errno;
	rc = file_pages(region, &status);
	if (rc == 0)
		rc = file_seals(region, &status);
	if (rc != 0)
		return rc;
	if (!has_pages(region, settings))
		return vmmem_region_refuse(
			settings, VMMEM_EHUGEPAGE,
			"The file has no pages of the huge page "
			"size, or the length is not a multiple");
	/*
	 * Only a regular file has an end.  It may still be moved after this,
	 * which no check can prevent and a seal can.
	 */
	if (S_ISREG(status.st_mode) && end > (uint64_t)status.st_size &&
	    !may_end_early(settings))
		return VMMEM_EPASTEOF;

	return map_file(region, settings);
}
