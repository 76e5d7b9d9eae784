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
pub use raw::PING_PONG as RAW;
pub use shared::Shared;

/// Makes calls for this long.
pub type Run = Box<dyn FnMut(Duration) -> Result<Sample>>;

/// What is done when a subject is asked for.
type Start<T> = Box<dyn FnOnce(&Shared) -> Result<T>>;

/// How a subject is measured.
pub enum Kind {
    /// Calls, in slices. None where the subject needs what this machine does not have.
    Calls(Start<Option<Run>>),
    /// Bytes, once.
    Memory(Start<f64>),
}

/// A subject that may be started.
pub struct Plan {
    /// What it is called in tables.
    pub name: String,
    /// The subject that it is to be seen beside.
    pub beside: Option<String>,
    /// How it is measured.
    pub kind: Kind,
}

impl Plan {
    /// Calls, once `start` has what they need.
    pub fn calls<R: FnMut(Duration) -> Result<Sample> + 'static>(
        name: impl Into<String>,
        start: impl FnOnce(&Shared) -> Result<R> + 'static,
    ) -> Self {
        Self::maybe(name, |shared| Ok(Some(start(shared)?)))
    }

    /// The same for a subject that may find itself to be impossible here.
    pub fn maybe<R: FnMut(Duration) -> Result<Sample> + 'static>(
        name: impl Into<String>,
        start: impl FnOnce(&Shared) -> Result<Option<R>> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            beside: None,
            kind: Kind::Calls(Box::new(|shared| {
                Ok(start(shared)?.map(|run| Box::new(run) as Run))
            })),
        }
    }

    /// A number of bytes.
    pub fn memory(
        name: impl Into<String>,
        measure: impl FnOnce(&Shared) -> Result<f64> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            beside: None,
            kind: Kind::Memory(Box::new(measure)),
        }
    }

    /// To be seen beside this subject.
    pub fn beside(mut self, name: impl Into<String>) -> Self {
        self.beside = Some(name.into());
        self
    }
}

/// Every subject, those of these programs at the end.
pub fn all(programs: &[PathBuf]) -> Result<Vec<Plan>> {
    let mut plans = raw::plans();
    plans.extend(foreign::plans());
    plans.extend(echo::plans(&echo::Server::Ours));
    plans.extend(echo::dynamic());
    plans.extend(objects::plans());
    plans.extend(processes::plans());
    plans.extend(connections::plans());
    for path in programs {
        let path = path.canonicalize();
        let path = path.map_err(|error| eyre!("no program to measure: {error}"))?;
        plans.extend(echo::plans(&echo::Server::Program(path)));
    }
    Ok(plans)
}

/// Sizes of data, with their names.
pub const SIZES: [(&str, usize); 3] = [("1 KiB", 1 << 10), ("1 MiB", 1 << 20), ("8 MiB", 8 << 20)];
/// What data consists of.
pub const FILL: u8 = 0x5a;
