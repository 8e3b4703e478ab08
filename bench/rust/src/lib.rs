// SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
//! vm-memory, twice, behind the C interface that bench/bench.h describes.
//!
//! What is compiled twice, from the same text, is side.rs.  The loops are in
//! here, and all is one unit of code: the crate pays for no call.

use std::ffi::c_void;

pub const OP_COUNT: usize = 26;

/// struct bench_work
#[repr(C)]
pub struct Work {
    map: *const c_void,
    gpas: *const u64,
    others: *const u64,
    items: *const *const c_void,
    mask: usize,
    len: u64,
    buf: *mut u8,
}

/// struct bench_range
#[repr(C)]
pub struct Range {
    gpa: u64,
    len: u64,
    host: *mut u8,
}

/// bench_run
pub type Run = unsafe extern "C" fn(*const Work, usize) -> u64;

/// struct bench_peer
#[repr(C)]
pub struct Peer {
    map_new: unsafe extern "C" fn(*const Range, usize) -> *mut c_void,
    map_free: unsafe extern "C" fn(*mut c_void),
    logged_map_new: unsafe extern "C" fn(*const Range, usize) -> *mut c_void,
    logged_map_free: unsafe extern "C" fn(*mut c_void),
    map_start_of: unsafe extern "C" fn(*const c_void, u64) -> u64,
    region_new: unsafe extern "C" fn(*const Range) -> *mut c_void,
    region_free: unsafe extern "C" fn(*mut c_void),
    slice_new: unsafe extern "C" fn(*mut u8, u64) -> *mut c_void,
    slice_free: unsafe extern "C" fn(*mut c_void),
    bitmap_new: unsafe extern "C" fn(u64, u64) -> *mut c_void,
    bitmap_free: unsafe extern "C" fn(*mut c_void),
    atomic_new: unsafe extern "C" fn(*const c_void) -> *mut c_void,
    atomic_free: unsafe extern "C" fn(*mut c_void),
    atomic_replace: unsafe extern "C" fn(*mut c_void, *const c_void),
    runs: [Option<Run>; OP_COUNT],
}

/// struct iommu_peer
#[repr(C)]
pub struct IommuPeer {
    new: unsafe extern "C" fn(*const Range, usize, bool) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    map: unsafe extern "C" fn(*const c_void, u64, u64, u64),
    unmap: unsafe extern "C" fn(*const c_void, u64, u64),
    read_u64: Run,
    change: Run,
}

impl Work {
    unsafe fn map<T>(&self) -> &T {
        &*(self.map as *const T)
    }

    #[inline(always)]
    unsafe fn gpa(&self, i: usize) -> u64 {
        *self.gpas.add(i & self.mask)
    }

    #[inline(always)]
    unsafe fn other(&self, i: usize) -> u64 {
        *self.others.add(i & self.mask)
    }

    unsafe fn item<T>(&self, i: usize) -> &T {
        &*(*self.items.add(i & self.mask) as *const T)
    }

    #[allow(clippy::mut_from_ref)]
    unsafe fn bytes(&self) -> &mut [u8] {
        std::slice::from_raw_parts_mut(self.buf, self.len as usize)
    }
}

fn keep<T>(object: T) -> *mut c_void {
    Box::into_raw(Box::new(object)) as *mut c_void
}

unsafe extern "C" fn free<T>(object: *mut c_void) {
    drop(Box::from_raw(object as *mut T));
}

/// A descriptor as virtio has it: address; length, flags and next.
type Descriptor = [u64; 2];

const NEXT: u64 = 1;
const RING: usize = 256;
/// DEVICE_PIECES
const PIECES: usize = 1024;

mod v0_18 {
    use vm_memory_0_18 as vm;
    use vm_memory_0_18::GuestMemoryBackend;
    include!("side.rs");
    include!("iommu.rs");

    #[inline(always)]
    fn iovecs(map: &Plain, gpa: u64, len: usize, add: &mut impl FnMut(*const u8, usize)) {
        for slice in map.get_slices(GuestAddress(gpa), len) {
            let slice = slice.unwrap();
            add(slice.ptr_guard().as_ptr(), slice.len());
        }
    }

    #[export_name = "bench_peer_0_18"]
    pub static PEER: Peer = peer();
}

mod v0_16 {
    use vm_memory_0_16 as vm;
    use vm_memory_0_16::GuestMemory as GuestMemoryBackend;
    include!("side.rs");

    #[inline(always)]
    fn iovecs(map: &Plain, gpa: u64, len: usize, add: &mut impl FnMut(*const u8, usize)) {
        map.try_access(len, GuestAddress(gpa), |_, len, offset, region| {
            add(region.get_host_address(offset).unwrap(), len);
            Ok(len)
        })
        .unwrap();
    }

    #[export_name = "bench_peer_0_16"]
    pub static PEER: Peer = peer();
}
