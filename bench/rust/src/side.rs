// SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
// One version of the crate, `vm`, whose trait with find_region() is
// `GuestMemoryBackend`.

use super::{free, keep, Descriptor, Peer, Range, Run, Work, NEXT, OP_COUNT, PIECES, RING};
use std::ffi::c_void;
use std::hint::black_box;
use std::io::Seek;
use std::num::NonZeroUsize;
use std::os::fd::FromRawFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use vm::bitmap::{AtomicBitmap, Bitmap};
use vm::mmap::MmapRegionBuilder;
use vm::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryRegion, VolatileSlice};

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

type Plain = vm::GuestMemoryMmap<()>;
type Logged = vm::GuestMemoryMmap<AtomicBitmap>;
type Atomic = vm::GuestMemoryAtomic<Plain>;
type Region<B> = vm::GuestRegionMmap<B>;

unsafe fn region<B: Bitmap>(range: &Range, bitmap: B) -> Region<B> {
    let mapping = MmapRegionBuilder::new_with_bitmap(range.len as usize, bitmap)
        .with_raw_mmap_pointer(range.host)
        .with_mmap_prot(libc_prot())
        .build()
        .unwrap();
    Region::new(mapping, GuestAddress(range.gpa)).unwrap()
}

/// PROT_READ | PROT_WRITE
fn libc_prot() -> i32 {
    3
}

unsafe extern "C" fn map_new(ranges: *const Range, count: usize) -> *mut c_void {
    let ranges = std::slice::from_raw_parts(ranges, count);
    let regions = ranges.iter().map(|r| region(r, ())).collect();
    keep(Plain::from_regions(regions).unwrap())
}

unsafe extern "C" fn logged_map_new(ranges: *const Range, count: usize) -> *mut c_void {
    let ranges = std::slice::from_raw_parts(ranges, count);
    let regions = ranges
        .iter()
        .map(|r| region(r, AtomicBitmap::new(r.len as usize, PAGE)))
        .collect();
    keep(Logged::from_regions(regions).unwrap())
}

unsafe extern "C" fn map_start_of(map: *const c_void, gpa: u64) -> u64 {
    match (*(map as *const Plain)).find_region(GuestAddress(gpa)) {
        Some(region) => region.start_addr().0,
        None => u64::MAX,
    }
}

unsafe extern "C" fn region_new(range: *const Range) -> *mut c_void {
    keep(Arc::new(region(&*range, ())))
}

unsafe extern "C" fn slice_new(host: *mut u8, len: u64) -> *mut c_void {
    keep(VolatileSlice::new(host, len as usize))
}

unsafe extern "C" fn bitmap_new(len: u64, page_size: u64) -> *mut c_void {
    let page_size = NonZeroUsize::new(page_size as usize).unwrap();
    keep(AtomicBitmap::new(len as usize, page_size))
}

unsafe extern "C" fn atomic_new(map: *const c_void) -> *mut c_void {
    keep(Atomic::new((*(map as *const Plain)).clone()))
}

unsafe extern "C" fn atomic_replace(atomic: *mut c_void, map: *const c_void) {
    let map = (*(map as *const Plain)).clone();
    (*(atomic as *const Atomic)).lock().unwrap().replace(map);
}

#[inline(always)]
fn address(region: Option<&Region<()>>) -> u64 {
    region.map_or(0, |region| region as *const _ as u64)
}

unsafe extern "C" fn find(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        sum = sum.wrapping_add(address(map.find_region(GuestAddress(work.gpa(i)))));
    }
    sum >> 63
}

unsafe extern "C" fn find_chain(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut found = 0u64;
    for i in 0..count {
        found = address(map.find_region(GuestAddress(work.gpa(i) ^ (found >> 63))));
    }
    found >> 63
}

unsafe extern "C" fn read_u64(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u64 = map.read_obj(GuestAddress(work.gpa(i))).unwrap();
        sum = sum.wrapping_add(value);
    }
    sum
}

#[inline(always)]
unsafe fn write_u64_to<M: Bytes<GuestAddress>>(work: &Work, count: usize) -> u64
where
    M::E: std::fmt::Debug,
{
    let map: &M = work.map();
    for i in 0..count {
        map.write_obj(i as u64, GuestAddress(work.gpa(i))).unwrap();
    }
    0
}

unsafe extern "C" fn write_u64(work: *const Work, count: usize) -> u64 {
    write_u64_to::<Plain>(&*work, count)
}

unsafe extern "C" fn write_u64_logged(work: *const Work, count: usize) -> u64 {
    write_u64_to::<Logged>(&*work, count)
}

unsafe extern "C" fn load_u32(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u32 = map
            .load(GuestAddress(work.gpa(i)), Ordering::Acquire)
            .unwrap();
        sum = sum.wrapping_add(value as u64);
    }
    sum
}

unsafe extern "C" fn store_u32(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    for i in 0..count {
        map.store(i as u32, GuestAddress(work.gpa(i)), Ordering::Release)
            .unwrap();
    }
    0
}

unsafe extern "C" fn read(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let buf = work.bytes();
    for i in 0..count {
        map.read_slice(buf, GuestAddress(work.gpa(i))).unwrap();
        black_box(&mut *buf);
    }
    0
}

unsafe extern "C" fn write(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let buf = work.bytes();
    for i in 0..count {
        map.write_slice(buf, GuestAddress(work.gpa(i))).unwrap();
        black_box(&mut *buf);
    }
    0
}

// The crate has no copy within the guest: a slice is copied to another.
unsafe extern "C" fn copy(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    for i in 0..count {
        let target = map
            .get_slice(GuestAddress(work.gpa(i)), work.len as usize)
            .unwrap();
        let source = map
            .get_slice(GuestAddress(work.other(i)), work.len as usize)
            .unwrap();
        source.copy_to_volatile_slice(target);
    }
    0
}

unsafe extern "C" fn slice_load_u64(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let slice: &VolatileSlice = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u64 = slice.load(work.gpa(i) as usize, Ordering::Relaxed).unwrap();
        sum = sum.wrapping_add(value);
    }
    sum
}

unsafe extern "C" fn slice_read_u64(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let slice: &VolatileSlice = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u64 = slice.read_obj(work.gpa(i) as usize).unwrap();
        sum = sum.wrapping_add(value);
    }
    sum
}

unsafe extern "C" fn slice_write_u64(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let slice: &VolatileSlice = work.map();
    for i in 0..count {
        slice.write_obj(i as u64, work.gpa(i) as usize).unwrap();
    }
    0
}

unsafe extern "C" fn mark(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let bitmap: &AtomicBitmap = work.map();
    for i in 0..count {
        bitmap.mark_dirty(work.gpa(i) as usize, work.len as usize);
    }
    0
}

unsafe extern "C" fn harvest(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let bitmap: &AtomicBitmap = work.map();
    for _ in 0..count {
        black_box(bitmap.get_and_reset());
    }
    0
}

unsafe extern "C" fn mark_harvest(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let bitmap: &AtomicBitmap = work.map();
    let mut pages = 0;
    for _ in 0..count {
        for i in 0..work.len as usize {
            bitmap.mark_dirty(*work.gpas.add(i) as usize, 1);
        }
        // Ours has told how many there are, too.
        let words = bitmap.get_and_reset();
        pages = words.iter().map(|word| word.count_ones() as u64).sum();
        black_box(words);
    }
    pages
}

unsafe extern "C" fn insert(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    for i in 0..count {
        let region: &Arc<Region<()>> = work.item(i);
        black_box(map.insert_region(region.clone()).unwrap());
    }
    0
}

unsafe extern "C" fn remove(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    for i in 0..count {
        black_box(
            map.remove_region(GuestAddress(work.gpa(i)), work.other(i))
                .unwrap(),
        );
    }
    0
}

unsafe extern "C" fn take(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let atomic: &Atomic = work.map();
    for _ in 0..count {
        black_box(&*atomic.memory());
    }
    0
}

unsafe extern "C" fn take_read(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let atomic: &Atomic = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let value: u64 = atomic
            .memory()
            .read_obj(GuestAddress(work.gpa(i)))
            .unwrap();
        sum = sum.wrapping_add(value);
    }
    sum
}

unsafe extern "C" fn chain(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut sum = 0;
    for i in 0..count {
        let mut gpa = work.gpa(i);
        loop {
            let one: Descriptor = map.read_obj(GuestAddress(gpa)).unwrap();
            let slice = map
                .get_slice(GuestAddress(one[0]), one[1] as u32 as usize)
                .unwrap();
            sum += slice.len() as u64;
            black_box(slice);
            gpa = *work.others + (one[1] >> 48) * 16;
            if (one[1] >> 32) & NEXT == 0 {
                break;
            }
        }
    }
    sum
}

unsafe extern "C" fn ring(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let slice: &VolatileSlice = work.map();
    let mut sum = 0u64;
    for _ in 0..count {
        for j in 0..RING {
            let one: Descriptor = slice.read_obj(16 * j).unwrap();
            sum = sum.wrapping_add(one[0] + (one[1] as u32) as u64);
        }
    }
    sum
}

unsafe extern "C" fn read_file(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    // Not this side's to close.
    let mut file = std::mem::ManuallyDrop::new(std::fs::File::from_raw_fd(work.items as i32));
    for i in 0..count {
        if i % PIECES == 0 {
            file.rewind().unwrap();
        }
        map.read_exact_volatile_from(GuestAddress(work.gpa(i)), &mut *file, work.len as usize)
            .unwrap();
    }
    0
}

unsafe extern "C" fn iovec(work: *const Work, count: usize) -> u64 {
    let work = &*work;
    let map: &Plain = work.map();
    let mut sum = 0u64;
    for i in 0..count {
        let mut iov = [(std::ptr::null::<u8>(), 0usize); 8];
        let mut used = 0;
        iovecs(map, work.gpa(i), work.len as usize, &mut |host, len| {
            iov[used] = (host, len);
            used += 1;
        });
        black_box(&iov);
        sum += (used + iov[used - 1].1) as u64;
    }
    sum
}

// In the order of enum bench_op.  There is nothing that fills.
const RUNS: [Option<Run>; OP_COUNT] = [
    Some(find),
    Some(find_chain),
    Some(read_u64),
    Some(write_u64),
    Some(write_u64_logged),
    Some(load_u32),
    Some(store_u32),
    Some(read),
    Some(write),
    Some(copy),
    None,
    Some(slice_load_u64),
    Some(slice_read_u64),
    Some(slice_write_u64),
    Some(mark),
    Some(harvest),
    Some(mark_harvest),
    Some(insert),
    Some(remove),
    Some(take),
    Some(take_read),
    None,
    Some(chain),
    Some(ring),
    Some(iovec),
    Some(read_file),
];

const fn peer() -> Peer {
    Peer {
        map_new,
        map_free: free::<Plain>,
        logged_map_new,
        logged_map_free: free::<Logged>,
        map_start_of,
        region_new,
        region_free: free::<Arc<Region<()>>>,
        slice_new,
        slice_free: free::<VolatileSlice<'static>>,
        bitmap_new,
        bitmap_free: free::<AtomicBitmap>,
        atomic_new,
        atomic_free: free::<Atomic>,
        atomic_replace,
        runs: RUNS,
    }
}
