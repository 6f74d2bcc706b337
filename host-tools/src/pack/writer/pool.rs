//! Who works when: workers take fragment blocks first, because those free memory, then the next piece of reading.
//!
//! Results are handed over in the order of the work, so nothing that is written depends on who was faster. Memory
//! is bounded by what is under way: pieces that are read but not yet taken, and fragment blocks.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::worker::{Done, FragmentBlock, Job, Member, Worker};
use crate::command_error::{CommandError, Result};

/// Pieces that are read ahead, and fragment blocks that wait, for each worker. A piece takes 512 KiB or one block
/// (see [`super::order`]), and twice that while it is compressed: with 1 MiB blocks 8 pieces and 8 fragment blocks
/// are 24 MiB for each worker. One would do if all took equally long; 8 keep the others busy while one worker is on
/// a block that takes eight times as long as usual.
pub(super) const AHEAD: usize = 8;

/// Work and results, shared by the workers and the one that writes.
pub(super) struct Pool<'a> {
    job: &'a Job<'a>,
    state: Mutex<State>,
    /// Signals that there is work, or the end.
    work: Condvar,
    /// Signals that there is a result.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Pieces of reading that were begun.
    begun: usize,
    /// Pieces whose result was taken.
    taken: usize,
    /// Results from piece `taken` on.
    reads: VecDeque<Option<Result<Done>>>,
    /// Fragment blocks that nobody has begun, with their number.
    waiting: VecDeque<(usize, Vec<Member>)>,
    /// Fragment blocks whose result was taken.
    fragments_taken: usize,
    /// Results from that one on; those that are not there yet are `None`.
    fragments: VecDeque<Option<Result<FragmentBlock>>>,
    /// Memory to use again.
    buffers: Vec<Vec<u8>>,
    /// Workers that wait for [`Pool::work`].
    idle: usize,
    /// The one that writes waits for [`Pool::done`].
    is_awaited: bool,
    ended: bool,
    worker_died: bool,
}

enum Work {
    Read(usize),
    Fragment(usize, Vec<Member>),
}

impl<'a> Pool<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self { job, state: Mutex::default(), work: Condvar::new(), done: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> usize {
        self.job.options.workers() * AHEAD
    }

    /// Works until the end.
    pub(super) fn work(&self) {
        let _guard = DeathNotice(self);
        let mut worker = None;
        while let Some((work, buffer)) = self.next_work() {
            let worker = match &mut worker {
                Some(worker) => Ok(worker),
                None => Worker::new(self.job).map(|new| worker.insert(new)),
            };
            match work {
                Work::Read(index) => {
                    let done = worker.and_then(|worker| worker.read(self.job.order.reads[index], buffer));
                    let mut state = self.lock();
                    let slot = index - state.taken;
                    state.reads[slot] = Some(done);
                    self.tell_writer(state, slot);
                }
                Work::Fragment(index, members) => {
                    let done = worker.and_then(|worker| worker.fragment(&members, buffer));
                    for member in members {
                        if let Some(bytes) = Arc::into_inner(member.bytes) {
                            self.recycle(bytes);
                        }
                    }
                    let mut state = self.lock();
                    let slot = index - state.fragments_taken;
                    state.fragments[slot] = Some(done);
                    self.tell_writer(state, slot);
                }
            }
        }
    }

    // Why the two below ask whether anybody waits: a condition variable of the standard library calls the kernel for
    // each signal, heard or not.

    /// Tells that there is a result; the writer can use the first only.
    fn tell_writer(&self, mut state: MutexGuard<'_, State>, slot: usize) {
        if slot == 0 && std::mem::take(&mut state.is_awaited) {
            drop(state);
            self.done.notify_one();
        }
    }

    /// Tells that there is work for one more.
    fn tell_workers(&self, state: MutexGuard<'_, State>) {
        if state.idle > 0 {
            drop(state);
            self.work.notify_one();
        }
    }

    fn next_work(&self) -> Option<(Work, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            let buffer = |state: &mut State| state.buffers.pop().unwrap_or_default();
            if let Some((index, members)) = state.waiting.pop_front() {
                return Some((Work::Fragment(index, members), buffer(&mut state)));
            }
            if state.begun < self.job.order.reads.len().min(state.taken + self.ahead()) {
                let index = state.begun;
                state.begun += 1;
                state.reads.push_back(None);
                return Some((Work::Read(index), buffer(&mut state)));
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Waits until `ready` gives something.
    fn wait<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = ready(&mut state) {
                self.tell_workers(state);
                return Ok(found);
            }
            if state.worker_died {
                return Err(CommandError::failed("a worker ended unexpectedly"));
            }
            state.is_awaited = true;
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the result of the next piece of reading.
    pub(super) fn next_read(&self) -> Result<Done> {
        self.wait(|state| {
            let done = state.reads.front_mut()?.take()?;
            state.reads.pop_front();
            state.taken += 1;
            Some(done)
        })?
    }

    /// Hands a fragment block to the workers.
    pub(super) fn submit(&self, members: Vec<Member>) {
        let mut state = self.lock();
        let index = state.fragments_taken + state.fragments.len();
        state.fragments.push_back(None);
        state.waiting.push_back((index, members));
        self.tell_workers(state);
    }

    /// Returns the next fragment block if it is ready, or, when more than `most` are under way, once it is.
    pub(super) fn next_fragment(&self, most: usize) -> Result<Option<FragmentBlock>> {
        let done = self.wait(|state| {
            if let Some(done) = state.fragments.front_mut().and_then(Option::take) {
                state.fragments.pop_front();
                state.fragments_taken += 1;
                return Some(Some(done));
            }
            (state.fragments.len() <= most).then_some(None)
        })?;
        done.transpose()
    }

    /// Returns how many fragment blocks may be under way.
    pub(super) fn most_fragments(&self) -> usize {
        self.ahead()
    }

    /// Gives memory back.
    pub(super) fn recycle(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        if state.buffers.len() < self.ahead() {
            state.buffers.push(buffer);
        }
    }

    /// Lets the workers end when the value is dropped, also by a panic: who waits for them would wait for ever.
    pub(super) const fn end_on_drop(&self) -> End<'_, 'a> {
        End(self)
    }
}

/// See [`Pool::end_on_drop`].
pub(super) struct End<'p, 'a>(&'p Pool<'a>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.work.notify_all();
    }
}

/// Tells the others when a worker panics; they would wait for its result.
struct DeathNotice<'p, 'a>(&'p Pool<'a>);

impl Drop for DeathNotice<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().worker_died = true;
            self.0.done.notify_all();
        }
    }
}
