/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Listeners: telling them what changes. */
#ifndef LISTENER_PRIV_H
#define LISTENER_PRIV_H

#include "space/space_priv.h"

/*
 * vmmem_listeners_tell() tells all of 'list' of the change, up to and including
 * commit; if one refuses, it tells the reverse and returns the code.  -ENOMEM
 * before anybody was told.  Under the lock of the telling thread.
 */
int vmmem_listeners_tell(struct vmmem_listener_list *list,
			 struct vmmem_collection *old_map,
			 struct vmmem_collection *new_map);

/*
 * vmmem_listeners_next() is the listener behind 'listener' that was not freed,
 * or the first; NULL at the end.
 */
struct vmmem_listener *
vmmem_listeners_next(struct vmmem_space *space,
		     const struct vmmem_listener *listener);

/*
 * vmmem_listeners_take_dead() moves listeners that were freed in a callback to
 * 'dead', under the lock of the telling thread; vmmem_listeners_bury() then
 * frees them, under no lock.
 */
void vmmem_listeners_take_dead(struct vmmem_space *space,
			       struct vmmem_listener_list *dead);
void vmmem_listeners_bury(struct vmmem_listener_list *dead);

/* vmmem_listeners_tell_published() is the last event of a change. */
void vmmem_listeners_tell_published(struct vmmem_listener_list *list,
				    struct vmmem_collection *old_map,
				    struct vmmem_collection *new_map);

/*
 * vmmem_listeners_tell_discarding() asks all of 'list' about bytes of a region;
 * if one refuses, it tells the listeners before that one and returns the code.
 * vmmem_listeners_tell_discarded() tells all of them the result.
 */
int vmmem_listeners_tell_discarding(struct vmmem_listener_list *list,
				    struct vmmem_region *region,
				    uint64_t offset, uint64_t len);
void vmmem_listeners_tell_discarded(struct vmmem_listener_list *list,
				    struct vmmem_region *region,
				    uint64_t offset, uint64_t len, int code);

/*
 * vmmem_listeners_tell_converting() asks all of 'list' about bytes that are to
 * become private, or shared.  If one refuses it stores which, and tells no
 * other: the caller first makes the state what it was.
 * vmmem_listeners_tell_converted() tells all of them the result; with a
 * 'refuser' it tells those that were asked before that one.
 */
int vmmem_listeners_tell_converting(struct vmmem_listener_list *list,
				    struct vmmem_region *region,
				    uint64_t offset, uint64_t len,
				    int to_private,
				    struct vmmem_listener **ret_refuser);
void vmmem_listeners_tell_converted(struct vmmem_listener_list *list,
				    struct vmmem_listener *refuser,
				    struct vmmem_region *region,
				    uint64_t offset, uint64_t len,
				    int to_private, int code);

#endif
