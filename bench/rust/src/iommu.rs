// SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
// Memory behind an IOMMU, of the one version that has it: IommuMemory over an
// Iotlb in an RwLock, as its documentation and its tests have it.

use super::IommuPeer;
use std::sync::RwLock;
use vm::iommu::{Error, Iommu, Iotlb, IotlbIterator};
use vm::{IommuMemory, Permissions};

#[derive(Debug)]
struct Locked(RwLock<Iotlb>);

impl Iommu for Locked {
    type IotlbGuard<'a> = std::sync::RwLockReadGuard<'a, Iotlb>;

    fn translate(
        &self,
        iova: GuestAddress,
        length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<Self::IotlbGuard<'_>>, Error> {
        Iotlb::lookup(self.0.read().unwrap(), iova, length, access).map_err(|_| {
            Error::CannotResolve {
                iova_range: vm::iommu::IovaRange { base: iova, length },
                reason: String::new(),
            }
        })
    }
}

type Translated = IommuMemory<Plain, Locked>;

unsafe extern "C" fn iommu_new(
    ranges: *const Range,
    count: usize,
    enabled: bool,
) -> *mut c_void {
    let ranges = std::slice::from_raw_parts(ranges, count);
    let regions = ranges.iter().map(|r| region(r, ())).collect();
    let iommu = Locked(RwLock::new(Iotlb::new()));
    keep(Translated::new(
        Plain::from_regions(regions).unwrap(),
        iommu,
        enabled,
        (),
    ))
}

unsafe extern "C" fn iommu_map(map: *const c_void, iova: u64, gpa: u64, len: u64) {
    let map = &*(map as *const Translated);
    map.iommu()
        .0
        .write()
        .unwrap()
        .set_mapping(
            GuestAddress(iova),
            GuestAddress(gpa),
            len as usize,
            Permissions::ReadWrite,
        )
        .unwrap();
}

unsafe extern "C" fn iommu_unmap(map: *const c_void, iova: u64, len: u64) {
    let map = &*(map as *const Translated);
    map.iommu()
        .0
        .write()
        .unwrap()
        .invalidate_mapping(GuestAddress(iova), len as usize);
}

unsafe extern "C" fn iommu_read_u64(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Translated = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u64 = map.read_obj(GuestAddress(work.gpa(i))).unwrap();
        sum = sum.wrapping_add(value);
    }
    sum
}

// The same page goes away and comes back, at each address in turn.
unsafe extern "C" fn iommu_change(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    for i in 0..count {
        iommu_unmap(work.map, work.gpa(i), work.len);
        iommu_map(work.map, work.gpa(i), work.other(i), work.len);
    }
    0
}

#[export_name = "bench_iommu_peer"]
pub static IOMMU_PEER: IommuPeer = IommuPeer {
    new: iommu_new,
    free: free::<Translated>,
    map: iommu_map,
    unmap: iommu_unmap,
    read_u64: iommu_read_u64,
    change: iommu_change,
};
