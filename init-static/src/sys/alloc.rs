//! The allocator: power-of-two size classes with free lists, cut from chunks; large blocks come from the kernel.
//!
//! Small on purpose. PID 1 lives for a few hundred milliseconds and then becomes systemd, so chunks are never given
//! back; large blocks (module tables, file contents) are. Not handled: threads.

use core::alloc::Layout;
use core::ptr::NonNull;

/// Smallest class, bytes: a free block holds the pointer to the next one.
const MIN_CLASS_LOG2: u8 = 4;
/// Largest class, bytes as a power of two; beyond it every block is a mapping of its own.
const MAX_CLASS_LOG2: u8 = 15;
const CLASSES: usize = 12;

const _: () = assert!(1_usize << MAX_CLASS_LOG2 == (1 << MIN_CLASS_LOG2) << (CLASSES - 1));
/// Chunk size, bytes.
const CHUNK: usize = 128 * 1024;
const PAGE: usize = 4096;

/// Where pages come from.
pub(super) trait Pages {
    /// Returns `len` zeroed bytes at a page boundary.
    fn map(&self, len: usize) -> Option<NonNull<u8>>;
    /// Gives back what `map` returned.
    ///
    /// # Safety
    /// `at` and `len` are those of one `map`, and nothing uses the memory any more.
    unsafe fn unmap(&self, at: NonNull<u8>, len: usize);
}

struct FreeBlock {
    next: Option<NonNull<FreeBlock>>,
}

/// The allocator's state.
pub(super) struct Heap<P> {
    pages: P,
    free: [Option<NonNull<FreeBlock>>; CLASSES],
    next: usize,
    end: usize,
    chunk: Option<NonNull<u8>>,
}

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
enum Size {
    /// Class index and its block size.
    Class(usize, usize),
    /// A mapping of this many bytes.
    Mapping(usize),
}

fn size_of_request(layout: Layout) -> Option<Size> {
    // Why: a block of a class is aligned to its own size, so a larger alignment only asks for a larger class.
    let wanted = layout.size().max(layout.align()).max(1 << MIN_CLASS_LOG2).checked_next_power_of_two()?;
    if wanted <= 1 << MAX_CLASS_LOG2 {
        let class =
            usize::try_from(wanted.trailing_zeros()).ok()?.checked_sub(usize::from(MIN_CLASS_LOG2))?;
        return Some(Size::Class(class, wanted));
    }
    if layout.align() > PAGE {
        return None;
    }
    layout.size().checked_next_multiple_of(PAGE).map(Size::Mapping)
}

impl<P: Pages> Heap<P> {
    pub(super) const fn new(pages: P) -> Self {
        Self { pages, free: [None; CLASSES], next: 0, end: 0, chunk: None }
    }

    pub(super) fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match size_of_request(layout)? {
            Size::Mapping(len) => self.pages.map(len),
            Size::Class(class, size) => {
                if let Some(block) = self.free[class] {
                    // SAFETY: blocks on a free list were written by `free` below and are used by nobody else.
                    self.free[class] = unsafe { block.as_ref() }.next;
                    return Some(block.cast());
                }
                self.cut(size)
            }
        }
    }

    /// Cuts a block from the current chunk, aligned to its size.
    fn cut(&mut self, size: usize) -> Option<NonNull<u8>> {
        loop {
            if let Some(chunk) = self.chunk {
                let start = chunk.addr().get();
                // Why: addresses, not offsets, are aligned: a chunk is aligned to a page only.
                let at = start.checked_add(self.next)?.checked_next_multiple_of(size)? - start;
                if at.checked_add(size)? <= self.end {
                    self.next = at + size;
                    // SAFETY: `at + size` lies inside the chunk.
                    return Some(unsafe { chunk.add(at) });
                }
            }
            self.chunk = Some(self.pages.map(CHUNK)?);
            self.next = 0;
            self.end = CHUNK;
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `at` was returned by `allocate` for the same layout and is not used any more.
    pub(super) unsafe fn free(&mut self, at: NonNull<u8>, layout: Layout) {
        match size_of_request(layout) {
            // SAFETY: the caller's promise, and the length is computed as it was when it was mapped.
            Some(Size::Mapping(len)) => unsafe { self.pages.unmap(at, len) },
            Some(Size::Class(class, _)) => {
                let block: NonNull<FreeBlock> = at.cast();
                // SAFETY: the block has at least 16 bytes, is aligned to its size, and is ours again.
                unsafe { block.write(FreeBlock { next: self.free[class] }) };
                self.free[class] = Some(block);
            }
            None => {}
        }
    }
}

#[cfg(freestanding)]
mod global {
    use super::{Heap, Pages};
    use crate::sys::syscall::{check, number, syscall};
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;
    use core::ptr::NonNull;

    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE_ANONYMOUS: usize = 0x22;

    struct Kernel;

    impl Pages for Kernel {
        fn map(&self, len: usize) -> Option<NonNull<u8>> {
            // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
            let result = unsafe {
                syscall(number::MMAP, [0, len, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0])
            };
            NonNull::new(core::ptr::with_exposed_provenance_mut(check(result).ok()?))
        }

        unsafe fn unmap(&self, at: NonNull<u8>, len: usize) {
            // SAFETY: the caller's promise.
            unsafe { syscall(number::MUNMAP, [at.addr().get(), len, 0, 0, 0, 0]) };
        }
    }

    struct SingleThread(UnsafeCell<Heap<Kernel>>);

    // SAFETY: the program has one thread and installs no signal handler (see the door of this room).
    unsafe impl Sync for SingleThread {}

    // SAFETY: blocks are disjoint, aligned, and stay valid until `dealloc`; failure is a null pointer.
    unsafe impl GlobalAlloc for SingleThread {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: one thread, and `allocate` never calls back into the allocator.
            unsafe { &mut *self.0.get() }.allocate(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            if let Some(at) = NonNull::new(at) {
                // SAFETY: one thread; pointer and layout are the caller's promise.
                unsafe { (*self.0.get()).free(at, layout) };
            }
        }
    }

    #[global_allocator]
    static HEAP: SingleThread = SingleThread(UnsafeCell::new(Heap::new(Kernel)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Host<'a>(&'a Cell<usize>);

    impl Pages for Host<'_> {
        fn map(&self, len: usize) -> Option<NonNull<u8>> {
            self.0.set(self.0.get() + len);
            // SAFETY: the layout is not empty.
            NonNull::new(unsafe { std::alloc::alloc_zeroed(Layout::from_size_align(len, PAGE).unwrap()) })
        }
        unsafe fn unmap(&self, at: NonNull<u8>, len: usize) {
            self.0.set(self.0.get() - len);
            // SAFETY: as mapped above.
            unsafe { std::alloc::dealloc(at.as_ptr(), Layout::from_size_align(len, PAGE).unwrap()) };
        }
    }

    #[test]
    fn request_is_rounded_to_its_class() {
        for (size, align, expected) in [
            (1, 1, Some(Size::Class(0, 16))),
            (17, 1, Some(Size::Class(1, 32))),
            (8, 64, Some(Size::Class(2, 64))),
            (32 * 1024, 8, Some(Size::Class(11, 32 * 1024))),
            (32 * 1024 + 1, 8, Some(Size::Mapping(36 * 1024))),
            (64 * 1024, 8192, None),
        ] {
            let layout = Layout::from_size_align(size, align).unwrap();
            assert_eq!(size_of_request(layout), expected, "{size} {align}");
        }
    }

    #[test]
    fn freed_block_is_reused_and_live_blocks_are_disjoint() {
        let mapped = Cell::new(0);
        let mut heap = Heap::new(Host(&mapped));
        let layout = Layout::from_size_align(100, 8).unwrap();
        let a = heap.allocate(layout).unwrap();
        let b = heap.allocate(layout).unwrap();
        assert_eq!(a.addr().get() % 128, 0);
        assert!(a.addr().get().abs_diff(b.addr().get()) >= 128);
        // SAFETY: allocated above with this layout.
        unsafe { heap.free(a, layout) };
        assert_eq!(heap.allocate(layout), Some(a));
        assert_eq!(mapped.get(), CHUNK);
    }

    #[test]
    fn large_block_goes_back_to_the_kernel() {
        let mapped = Cell::new(0);
        let mut heap = Heap::new(Host(&mapped));
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        let a = heap.allocate(layout).unwrap();
        assert_eq!(mapped.get(), 1 << 20);
        // SAFETY: allocated above with this layout.
        unsafe { heap.free(a, layout) };
        assert_eq!(mapped.get(), 0);
    }
}
