/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The end of a kvm object of which nothing must be left. */
#ifndef END_KVM_H
#define END_KVM_H

#include <stdlib.h>

#include <vmmem/kvm.h>

static inline void
end_kvm(struct vmmem_kvm *kvm)
{
	if ((kvm != NULL && vmmem_kvm_stop(kvm) != 0) ||
	    vmmem_kvm_free(kvm) != NULL)
		abort();
}

#endif
