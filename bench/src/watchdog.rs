//! Ends the benchmark when a subject hangs, and says which. Its children end with its sockets.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use eyre::Result;

/// No slice and no start of a subject may take longer. To build the executable is a start.
const LIMIT: Duration = Duration::from_secs(300);
/// How often is looked. Rarely, because that disturbs.
const PAUSE: Duration = Duration::from_secs(5);

/// The subject that runs, and since when.
type Doing = Mutex<(String, Instant)>;

/// Watches from a thread of its own until it is dropped.
pub struct Watchdog(Arc<Doing>);

impl Watchdog {
    /// Starts to watch.
    pub fn start() -> Result<Self> {
        let doing = Arc::new(Mutex::new((String::new(), Instant::now())));
        let weak = Arc::downgrade(&doing);
        thread::Builder::new().spawn(move || {
            while let Some(doing) = weak.upgrade() {
                let (name, since) = doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
                drop(doing);
                if since.elapsed() > LIMIT {
                    eprintln!("error: {name}: not done after {} s", LIMIT.as_secs());
                    process::exit(1);
                }
                thread::sleep(PAUSE);
            }
        })?;
        Ok(Self(doing))
    }

    /// The next thing is done from now on.
    pub fn begin(&self, name: &str) {
        let mut doing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *doing = (name.to_owned(), Instant::now());
    }
}
