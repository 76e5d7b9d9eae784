//! The block templates of a node, followed across connections.
//!
//! Knows `Mining`'s and `BlockTemplate`'s ways to tell that a template is out of date.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Client;
use super::following::{Follower, Step, mining};
use super::pump::Pumped;
use super::supervisor::Supervisor;
use super::tips::Wait;
use crate::call::CancelToken;
use crate::error::{Error, Result};
use crate::generation::{Generation, SLICE};
use crate::interfaces::BlockHash;
use crate::interfaces::mining::{BlockCreateOptions, BlockTemplate, BlockWaitOptions, Mining};

/// The size of a block header, in bytes.
const HEADER: usize = 80;

/// The templates that are wanted.
#[derive(Debug, Clone, Default)]
pub struct TemplateOptions {
    create: BlockCreateOptions,
    fees: Option<i64>,
}

impl TemplateOptions {
    /// Templates as the node makes them by default, one for each tip.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the node makes them.
    #[must_use]
    pub fn create(mut self, options: BlockCreateOptions) -> Self {
        self.create = options;
        self
    }

    /// Asks for a new template also when it has so many satoshis more in fees. Core 30 does not tell.
    #[must_use]
    pub fn fee_increase(mut self, satoshis: i64) -> Self {
        self.fees = Some(satoshis);
        self
    }

    fn wait(&self) -> BlockWaitOptions {
        let default = BlockWaitOptions::default();
        BlockWaitOptions {
            timeout: SLICE,
            fee_threshold: self.fees.unwrap_or(default.fee_threshold),
        }
    }
}

/// A block template and its header.
#[derive(Clone)]
#[non_exhaustive]
pub struct Work {
    /// The template. The node keeps it until this is dropped.
    pub template: Arc<dyn BlockTemplate>,
    /// The header of its block, in the order of the wire. Its merkle root is not that of the block yet:
    /// that depends on the coinbase.
    pub header: [u8; HEADER],
}

impl Work {
    /// Reads the header of a template.
    ///
    /// # Errors
    /// Returns the errors of the call, and [`Error::Conversion`] where the header has not 80 bytes.
    pub fn of(template: Arc<dyn BlockTemplate>) -> Result<Self> {
        let header = template.get_block_header()?;
        let header = header.try_into().map_err(|header: Vec<u8>| {
            let reason = format!("{} bytes instead of {HEADER}", header.len());
            Error::conversion("the header of a template", reason)
        })?;
        Ok(Self { template, header })
    }

    /// Returns the hash of the block before it.
    #[must_use]
    pub fn previous(&self) -> BlockHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.header[4..36]);
        BlockHash(hash)
    }
}

/// The block templates of a node, beginning with one for the tip that it has, then one when the tip has
/// changed, and more where the options ask for them; on test networks from Core 31 on also each second
/// while the tip is more than 20 minutes old, where a block may be easier by then. It goes on across
/// connections, and ends when its connection is told to [stop](super::Reconnecting::stop). An error that
/// a new connection does not mend is an item; then it goes on after a pause.
///
/// A node that is still catching up makes templates as well.
#[must_use = "it only follows when it is read"]
pub struct Templates {
    follower: Follower<Using>,
    options: TemplateOptions,
}

/// The objects of a connection that the templates come from.
struct Using {
    generation: Generation,
    mining: Arc<dyn Mining>,
    /// The last template.
    last: Option<Work>,
}

impl Using {
    fn of(client: &Client) -> Result<Self> {
        Ok(Self {
            generation: client.generation()?,
            mining: mining(client)?,
            last: None,
        })
    }

    /// Waits for the next template, for [`SLICE`] at most.
    fn next(&mut self, options: &TemplateOptions, stop: &CancelToken) -> Result<Step<Work>> {
        let begun = Instant::now();
        let template = match (&self.last, self.generation) {
            (None, _) => self.create(options)?,
            // A node of 30 ends if the client is gone when `waitNext` finds a template.
            (Some(last), Generation::Core30) => {
                match Wait::for_tip(&*self.mining, last.previous(), SLICE)? {
                    Wait::Changed(_) => self.create(options)?,
                    Wait::TimedOut => return Ok(Step::Same),
                    Wait::Interrupted => return Ok(Step::Interrupted),
                }
            }
            (Some(last), _) => {
                let waiting = last.template.clone();
                // The answer does not matter.
                let _interrupts = stop.listen(move || drop(waiting.interrupt_wait_async()));
                last.template.wait_next(&options.wait())?
            }
        };
        let Some(template) = template else {
            if begun.elapsed() > SLICE / 2 {
                return Ok(Step::Same);
            }
            // It does not say why there is none. `waitTipChanged` does.
            let previous = self.last.as_ref().map_or(BlockHash::ZERO, Work::previous);
            return Ok(
                match Wait::for_tip(&*self.mining, previous, Duration::ZERO)? {
                    Wait::Interrupted => Step::Interrupted,
                    Wait::Changed(_) | Wait::TimedOut => Step::Same,
                },
            );
        };
        let work = Work::of(template)?;
        self.last = Some(work.clone());
        Ok(Step::Found(work))
    }

    fn create(&self, options: &TemplateOptions) -> Result<Option<Arc<dyn BlockTemplate>>> {
        // Without a cooldown: that would wait in the node without a limit.
        self.mining.create_new_block(&options.create, false)
    }
}

impl Templates {
    pub(super) fn new(node: Supervisor, options: TemplateOptions) -> Self {
        Self {
            follower: Follower::new(node),
            options,
        }
    }

    /// Returns the templates as a stream, which a thread of its own reads.
    ///
    /// # Errors
    /// Returns [`Error::Io`] when the operating system gives no thread.
    pub fn into_stream(self) -> Result<Pumped<Result<Work>>> {
        let stop = self.follower.token().clone();
        Pumped::start(self, stop)
    }
}

impl Iterator for Templates {
    type Item = Result<Work>;

    fn next(&mut self) -> Option<Result<Work>> {
        let Self { follower, options } = self;
        follower.next(Using::of, |using, stop| using.next(options, stop))
    }
}

crate::opaque::opaque!(Templates, "Templates");
crate::opaque::opaque!(Work, "Work");
