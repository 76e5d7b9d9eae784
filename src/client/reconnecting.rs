//! A connection that is made again whenever it ends, as programs see it.
//!
//! Knows what can be followed over it; nothing of how it is kept.

use std::sync::mpsc::Receiver;

use super::connection::{Client, ClientBuilder};
use super::supervisor::{Event, Supervisor};
use super::templates::{TemplateOptions, Templates};
use super::tips::Tips;
use crate::error::Result;

/// A connection to a node that is made when first needed, and again when it is needed after it has
/// ended, with growing pauses of at most ten seconds. Clones are of the same connection.
///
/// ```no_run
/// # fn main() -> bitcoin_ipc::Result<()> {
/// use bitcoin_ipc::client::{Client, Reconnecting};
///
/// let node = Reconnecting::new(Client::builder().data_dir("/var/lib/bitcoin"));
/// for tip in node.tips() {
///     println!("{}", tip?.hash);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Reconnecting(Supervisor);

impl Reconnecting {
    /// Keeps a connection to the node that `builder` names.
    #[must_use]
    pub fn new(builder: ClientBuilder) -> Self {
        Self(Supervisor::new(builder))
    }

    /// Returns the connection. Where there is none, blocks until there is.
    ///
    /// # Errors
    /// Returns [`Error::Cancelled`](crate::Error::Cancelled) after [`Reconnecting::stop`], and what
    /// trying again does not mend: errors that are not [retryable](crate::Error::is_retryable).
    pub fn client(&self) -> Result<Client> {
        self.0.client()
    }

    /// Ends whatever follows the node, and the connection. No other is made. Waits up to two seconds for
    /// the calls of tips and templates to come to their end in the node, and as long for objects to be
    /// destroyed there. The program's own calls that run then fail as disconnected.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Returns what happens to the connection from now on, until [`Reconnecting::stop`]. That it has ended
    /// is noticed by what follows the node, or by the next [`Reconnecting::client`]. Events that nobody
    /// reads are kept up to a number of 256.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.0.events()
    }

    /// Follows the node's tip, beginning with the one that it has.
    pub fn tips(&self) -> Tips {
        Tips::new(self.0.clone())
    }

    /// Follows the node's block templates, beginning with one for the tip that it has.
    pub fn templates(&self, options: TemplateOptions) -> Templates {
        Templates::new(self.0.clone(), options)
    }
}

crate::opaque::opaque!(Reconnecting, "Reconnecting");
