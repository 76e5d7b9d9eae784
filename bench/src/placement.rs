//! The processors that the two sides of a subject run on. Knows processors and the calling
//! thread; nothing of what runs there.
//!
//! A thread that is started later inherits its processor, and so does a child process. A client is
//! therefore placed by placing the calling thread before the client is made, and a server by
//! placing its process before it has a second thread.

use eyre::{Result, WrapErr};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the client and the server of a subject run. What a call takes depends on this more than
/// on anything else: an idle processor has to be woken, and one that is shared has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Where the scheduler puts them.
    Free,
    /// Both on the same processor.
    Together,
    /// The client on one processor, the server on another.
    Apart,
}

impl Placement {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Free, Self::Together, Self::Apart];

    /// The name in tables and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Together => "together",
            Self::Apart => "apart",
        }
    }

    /// The name of the subject `what` in this placement.
    pub fn name(self, what: &str) -> String {
        match self {
            Self::Free => what.to_owned(),
            Self::Together | Self::Apart => format!("{what}, {}", self.word()),
        }
    }
}

/// The processors that the benchmark uses: the first two that it may run on.
#[derive(Clone, Copy)]
pub struct Processors {
    allowed: CpuSet,
    first: usize,
    second: Option<usize>,
}

impl Processors {
    /// Finds them. The calling thread must not be placed yet.
    pub fn find() -> Result<Self> {
        let allowed = sched_getaffinity(None).wrap_err("get the allowed processors")?;
        let mut processors = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number));
        Ok(Self {
            allowed,
            first: processors.next().unwrap_or_default(),
            second: processors.next(),
        })
    }

    /// Why nothing can be placed so here; none where it can.
    pub fn missing(&self, placement: Placement) -> Option<&'static str> {
        let missing = placement == Placement::Apart && self.second.is_none();
        missing.then_some("needs a second processor")
    }

    /// The processor of the client; none where the scheduler decides.
    pub fn client(&self, placement: Placement) -> Option<usize> {
        match placement {
            Placement::Free => None,
            Placement::Together | Placement::Apart => Some(self.first),
        }
    }

    /// The processor of the server; none where the scheduler decides.
    pub fn server(&self, placement: Placement) -> Option<usize> {
        match placement {
            Placement::Free => None,
            Placement::Together => Some(self.first),
            Placement::Apart => self.second,
        }
    }

    /// Runs `work` on the client's processor, with every thread that it starts.
    pub fn with_client<T>(
        &self,
        placement: Placement,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let Some(processor) = self.client(placement) else {
            return work();
        };
        stay_on(processor)?;
        let done = work();
        sched_setaffinity(None, &self.allowed).wrap_err("leave a processor")?;
        done
    }
}

/// Keeps the calling thread, and what it starts from now on, on one processor.
pub fn stay_on(processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only).wrap_err_with(|| format!("stay on processor {processor}"))
}
