/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/vmmem.h - all of libvmmem except vmmem/inline.h.  Each header also
 * stands alone.  Glue is other libraries': vmmem/kvm.h of libvmmem-kvm, and
 * vmmem/vhost.h of libvmmem-vhost.
 */
#ifndef VMMEM_VMMEM_H
#define VMMEM_VMMEM_H

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
#include <vmmem/endian_access.h>
#include <vmmem/error.h>
#include <vmmem/fault.h>
#include <vmmem/fd.h>
#include <vmmem/harvester.h>
#include <vmmem/io.h>
#include <vmmem/iommu.h>
#include <vmmem/iotlb.h>
#include <vmmem/iovec.h>
#include <vmmem/listener.h>
#include <vmmem/pin.h>
#include <vmmem/policy.h>
#include <vmmem/private.h>
#include <vmmem/reader.h>
#include <vmmem/reader_access.h>
#include <vmmem/region.h>
#include <vmmem/region_builder.h>
#include <vmmem/residency.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>
#include <vmmem/space.h>
#include <vmmem/update.h>
#include <vmmem/version.h>

#endif
