//! The subjects: what is measured, each with both of its sides.
//!
//! A subject is started only when it is asked for, and is then a function that makes calls for
//! some time. Each looks at every answer it gets: one that is wrong is an error.

pub mod connections;
pub mod echo;
pub mod foreign;
pub mod objects;
pub mod processes;
pub mod raw;
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use eyre::{Result, eyre};

use crate::measure::Sample;
use crate::placement::Placement;
pub use raw::PING_PONG as RAW;
pub use shared::Shared;

/// Makes calls for this long.
pub type Run = Box<dyn FnMut(Duration) -> Result<Sample>>;

/// Starts a subject.
pub type Start<T> = Box<dyn FnOnce(&Shared) -> Result<T>>;

/// A subject that has been asked for.
pub enum Started<R> {
    /// It makes calls.
    Ready(R),
    /// It needs what is not here, for this reason.
    Missing(&'static str),
}

/// How a subject is measured.
pub enum Kind {
    /// Calls, in slices.
    Calls(Start<Started<Run>>),
    /// Bytes, once.
    Memory(Start<f64>),
}

/// A subject that may be started.
pub struct Plan {
    /// The name in tables.
    pub name: String,
    /// The subject that it is to be seen beside.
    pub beside: Option<String>,
    /// Where its two sides run.
    pub placement: Placement,
    /// How it is measured.
    pub kind: Kind,
}

impl Plan {
    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            beside: None,
            placement: Placement::Free,
            kind,
        }
    }

    /// Calls, once `start` has what they need.
    pub fn calls<R: FnMut(Duration) -> Result<Sample> + 'static>(
        name: impl Into<String>,
        start: impl FnOnce(&Shared) -> Result<R> + 'static,
    ) -> Self {
        Self::maybe(name, |shared| Ok(Started::Ready(start(shared)?)))
    }

    /// Calls, unless `start` finds that the subject needs what is not here.
    pub fn maybe<R: FnMut(Duration) -> Result<Sample> + 'static>(
        name: impl Into<String>,
        start: impl FnOnce(&Shared) -> Result<Started<R>> + 'static,
    ) -> Self {
        let start: Start<Started<Run>> = Box::new(|shared| {
            Ok(match start(shared)? {
                Started::Ready(run) => Started::Ready(Box::new(run)),
                Started::Missing(reason) => Started::Missing(reason),
            })
        });
        Self::new(name, Kind::Calls(start))
    }

    /// A subject that needs what is not here, for this reason.
    pub fn missing(name: impl Into<String>, reason: &'static str) -> Self {
        let start: Start<Started<Run>> = Box::new(move |_| Ok(Started::Missing(reason)));
        Self::new(name, Kind::Calls(start))
    }

    /// A number of bytes.
    pub fn memory(
        name: impl Into<String>,
        measure: impl FnOnce(&Shared) -> Result<f64> + 'static,
    ) -> Self {
        Self::new(name, Kind::Memory(Box::new(measure)))
    }

    /// To be seen beside this subject, in the same placement.
    pub fn beside(mut self, name: &str) -> Self {
        self.beside = Some(self.placement.name(name));
        self
    }

    /// Has both sides placed so. The names of this subject, and of the one beside it, are then
    /// those of the placement.
    pub fn placed(mut self, placement: Placement) -> Self {
        self.name = placement.name(&self.name);
        self.beside = self.beside.map(|name| placement.name(&name));
        self.placement = placement;
        self
    }
}

/// Every subject, with those of these programs. Those of a placement are in a row, since they are
/// compared with each other: so little time is between their slices.
pub fn all(programs: &[PathBuf]) -> Result<Vec<Plan>> {
    let mut plans = raw::plans();
    plans.extend(foreign::plans());
    plans.extend(echo::plans(&echo::Server::Ours));
    plans.extend(echo::placed());
    plans.extend(echo::dynamic());
    plans.extend(objects::plans());
    plans.extend(processes::plans());
    plans.extend(connections::plans());
    for path in programs {
        let path = path.canonicalize();
        let path = path.map_err(|error| eyre!("no program to measure: {error}"))?;
        plans.extend(echo::plans(&echo::Server::Program(path)));
    }
    plans.extend(echo::core()?);
    plans.sort_by_key(|plan| plan.placement as usize);
    Ok(plans)
}

/// Sizes of data, with their names.
pub const SIZES: [(&str, usize); 3] = [("1 KiB", 1 << 10), ("1 MiB", 1 << 20), ("8 MiB", 8 << 20)];
/// The one of these sizes that is measured in every placement.
pub const PLACED_SIZE: usize = 1 << 20;
/// The byte that data consists of.
pub const FILL: u8 = 0x5a;
