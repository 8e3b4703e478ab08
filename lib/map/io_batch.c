/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Batches: the guest's memory as pieces that a system call takes. */
#include <vmmem/error.h>

#include "dirty/logging.h"
#include "map/access_priv.h"
#include "map/collection_priv.h"
#include "map/io_priv.h"
#include "map/translate.h"
#include "region/slice_priv.h"

/*
 * bounce() makes the piece at 'gpa', up to 'len' bytes, one of the stack.  If
 * they are for the descriptor they are read now.
 */
static int
bounce(struct vmmem_io_batch *batch, const struct vmmem_io *io,
       const struct vmmem_io_cursor *cursor, uint64_t gpa, uint64_t len,
       struct vmmem_slice *ret_piece)
{
	/* To where a group of 8 ends, so that none is cut in two. */
	uint64_t piece = VMMEM_IO_BOUNCE - gpa % 8;

	if (piece > len)
		piece = len;
	if (io->to_fd) {
		batch->rc = vmmem_access_read_slow(
			cursor->collection, gpa, batch->bounce, piece, &piece);
		if (piece == 0)
			return batch->rc;
	}
	batch->bounce_gpa = gpa;
	batch->bounce_len = piece;
	*ret_piece = (struct vmmem_slice){
		.host = batch->bounce,
		.len = piece,
		.logging = &vmmem_region_never_logging,
	};
	return 0;
}

static void
enter(struct vmmem_io_batch *batch, const struct vmmem_collection *collection)
{
	if (batch->iotlb != NULL)
		return;
	batch->iotlb = collection->translation->iotlb;
	batch->section = vmmem_srcu_enter(&batch->iotlb->srcu);
}

static void
leave(struct vmmem_io_batch *batch)
{
	if (batch->iotlb == NULL)
		return;
	vmmem_srcu_leave(&batch->iotlb->srcu, batch->section);
	batch->iotlb = NULL;
}

/* A result of piece_of(): the batch ends before the piece. */
#define NOT_YET 1

/*
 * seen_piece() is piece_of() of a translated collection.  Within the section it
 * asks no miss handler for a translation, and calls no callback: a piece that
 * needs that is the first of its batch, or waits for the next batch.
 */
static int
seen_piece(struct vmmem_io_batch *batch, const struct vmmem_io *io,
	   const struct vmmem_io_cursor *cursor, uint64_t gpa, uint64_t len,
	   uint32_t access, struct vmmem_slice *ret_piece)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	int rc;

	for (;;) {
		enter(batch, cursor->collection);
		rc = vmmem_translate_piece(cursor->collection, gpa, len, access,
					   ret_piece);
		/* Bytes that the log does not cover are counted in bounce(). */
		if (rc != VMMEM_EIOMMUMISS && rc != VMMEM_ENOHOST &&
		    rc != VMMEM_EUNLOGGED)
			return rc;
		if (batch->count != 0)
			return NOT_YET;
		leave(batch);
		if (rc != VMMEM_EIOMMUMISS)
			return bounce(batch, io, cursor, gpa, len, ret_piece);
		/*
		 * For the first piece alone, and not for all that is left: an
		 * iotlb may have room for no more.
		 */
		rc = vmmem_translate(cursor->collection, gpa, len, access,
				     &wait, &place);
		if (rc != 0)
			return rc;
		vmmem_translate_end(&place);
	}
}

/* piece_of() gives the next piece: of the guest's memory, or of the stack. */
static int
piece_of(struct vmmem_io_batch *batch, const struct vmmem_io *io,
	 const struct vmmem_io_cursor *cursor, uint64_t gpa, uint64_t len,
	 uint32_t access, struct vmmem_slice *ret_piece)
{
	int rc;

	if (cursor->collection->translation != NULL)
		return seen_piece(batch, io, cursor, gpa, len, access,
				  ret_piece);
	rc = vmmem_collection_next_piece(cursor->collection, gpa, len, access,
					 true, ret_piece);
	if (rc == VMMEM_ENOHOST)
		rc = bounce(batch, io, cursor, gpa, len, ret_piece);
	return rc;
}

void
vmmem_io_fill(struct vmmem_io_batch *batch, const struct vmmem_io *io,
	      struct vmmem_io_cursor *cursor)
{
	const uint32_t access = io->to_fd ? VMMEM_PROT_READ : VMMEM_PROT_WRITE;
	struct vmmem_slice piece;
	uint64_t gpa, len;
	int rc;

	batch->first = 0;
	batch->count = 0;
	batch->len = 0;
	batch->done = 0;
	batch->rc = 0;
	batch->bounce_len = 0;
	batch->held_count = 0;
	batch->iotlb = NULL;
	while (cursor->left != 0 && batch->count < VMMEM_IO_PIECES &&
	       batch->held_count < VMMEM_IO_HELD &&
	       batch->len < VMMEM_IO_CALL_MAX &&
	       batch->bounce_len == 0) {
		while (cursor->at == cursor->range->len) {
			cursor->range++;
			cursor->at = 0;
		}
		gpa = cursor->range->gpa + cursor->at;
		len = cursor->range->len - cursor->at;
		if (len > cursor->left)
			len = cursor->left;
		if (len > VMMEM_IO_CALL_MAX - batch->len)
			len = VMMEM_IO_CALL_MAX - batch->len;
		rc = piece_of(batch, io, cursor, gpa, len, access, &piece);
		if (rc != 0) {
			batch->rc = rc != NOT_YET ? rc : 0;
			return;
		}
		if ((piece.flags & VMMEM_SLICE_FLAG_ACQUIRED) != 0)
			batch->held[batch->held_count++] = piece;
		batch->iov[batch->count].iov_base = piece.host;
		batch->iov[batch->count].iov_len = piece.len;
		batch->logs[batch->count].logging = piece.logging;
		batch->logs[batch->count].offset = piece.log_offset;
		batch->count++;
		batch->len += piece.len;
		cursor->at += piece.len;
		cursor->left -= piece.len;
	}
}

bool
vmmem_io_is_logged(const struct vmmem_io_batch *batch)
{
	size_t i;

	for (i = batch->first; i < batch->count; i++) {
		if (vmmem_logging_wants(batch->logs[i].logging))
			return true;
	}
	return false;
}

void
vmmem_io_mark(const struct vmmem_io_batch *batch, uint64_t len)
{
	size_t i;

	for (i = batch->first; len != 0; i++) {
		const struct vmmem_slice piece = {
			.len = batch->iov[i].iov_len,
			.logging = batch->logs[i].logging,
			.log_offset = batch->logs[i].offset,
		};
		const uint64_t part = len < piece.len ? len : piece.len;

		vmmem_slice_written(&piece, 0, part);
		len -= part;
	}
}

void
vmmem_io_advance(struct vmmem_io_batch *batch, uint64_t len)
{
	struct iovec *iov = &batch->iov[batch->first];

	batch->done += len;
	while (len != 0 && len >= iov->iov_len) {
		len -= iov->iov_len;
		iov++;
		batch->first++;
	}
	if (len != 0) {
		iov->iov_base = (unsigned char *)iov->iov_base + len;
		iov->iov_len -= len;
		batch->logs[batch->first].offset += len;
	}
}

int
vmmem_io_settle(struct vmmem_io_batch *batch, const struct vmmem_io *io,
		const struct vmmem_collection *collection)
{
	const uint64_t before = batch->len - batch->bounce_len;
	uint64_t given;
	size_t i;
	int rc = 0;

	leave(batch);
	if (!io->to_fd && batch->done > before) {
		rc = vmmem_access_write_slow(collection, batch->bounce_gpa,
					     batch->bounce,
					     batch->done - before, &given);
		batch->done = before + given;
	}
	for (i = 0; i < batch->held_count; i++)
		vmmem_slice_release(&batch->held[i]);
	return rc;
}
