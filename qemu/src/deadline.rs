//! A point in time that waits share: however often one reads in between, the whole never takes longer.

use std::time::{Duration, Instant};

use rustix::event::Timespec;

use crate::error::Error;

/// A deadline.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// Returns the deadline that passes after `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { start: Instant::now(), limit }
    }

    /// Returns the deadline that passes after this many seconds.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self::after(Duration::from_secs(seconds))
    }

    /// Returns how much time is left; zero when it passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    /// Returns the error that says that this did not come in time.
    #[must_use]
    pub fn timeout(&self, waiting_for: impl Into<String>) -> Error {
        Error::Timeout { waiting_for: waiting_for.into(), after: self.limit }
    }

    /// Returns the time left as poll(2) wants it.
    pub(crate) fn timespec(&self) -> Timespec {
        let left = self.left();
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    }
}
