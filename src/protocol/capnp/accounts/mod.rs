//! Accounts of the memory, threads and connections that peers make this process hold, by process and by
//! user, across all connections.
//!
//! A peer that is no process of this machine has an account by the name that its channel tells, or
//! shares one with all of which nothing is told. These together are as one user's processes, so hosts of
//! a network cannot lock out the processes of this machine.
//!
//! Knows peers, counters and shares, and the event loop's timers for lines left out of the log;
//! nothing of what is counted. Each peer process has one [`Account`], which all its connections share.
//! A process may hold no more than it leaves free to others: the first may take half of a total, the
//! next half of the rest, and so a newcomer always finds something. A small amount is never refused
//! while any is left. A user's processes together may hold seven eighths, so that one user cannot lock
//! out another. The rule is that of dbus-broker, which charges everything to a user across connections.

mod log_rate;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use self::log_rate::LogRate;
use super::event_loop::EventLoop;
use super::sync::{Mutex, Rank, lock};
use crate::limits::Limits;
use crate::peer::Peer;

/// A kind of resource that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of memory: received messages that are held, and messages that are queued to be written or
    /// kept for pipelined calls.
    Bytes,
    /// Threads that run for peers.
    Threads,
    /// Connections that peers opened.
    Connections,
}

impl Resource {
    const COUNT: usize = 3;

    /// Returns the unit in which a user and the total are charged. A process uses it up by itself, so
    /// that most messages update one counter and not three.
    fn step(self) -> usize {
        match self {
            Self::Bytes => 16 * 1024,
            Self::Threads | Self::Connections => 1,
        }
    }

    /// Returns how much stays charged to the user for a process that holds `used`: up to a step more,
    /// so that the next message need not be charged.
    fn kept(self, used: usize) -> usize {
        let step = self.step();
        used.saturating_add(2 * (step - 1)) / step * step
    }

    /// Returns the amount that one process may always hold while the total is not used up.
    fn little(self) -> usize {
        match self {
            Self::Bytes => 1024 * 1024,
            Self::Threads | Self::Connections => 16,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes of messages",
            Self::Threads => "threads",
            Self::Connections => "connections",
        }
    }
}

/// Counters, one for each resource.
#[derive(Debug, Default)]
struct Usage([AtomicUsize; Resource::COUNT]);

impl Usage {
    fn of(&self, resource: Resource) -> &AtomicUsize {
        match resource {
            Resource::Bytes => &self.0[0],
            Resource::Threads => &self.0[1],
            Resource::Connections => &self.0[2],
        }
    }

    /// Adds `amount`; returns the sum.
    fn add(&self, resource: Resource, amount: usize) -> usize {
        self.of(resource).fetch_add(amount, Ordering::Relaxed) + amount
    }

    /// Takes `amount` away; returns what is left.
    fn subtract(&self, resource: Resource, amount: usize) -> usize {
        self.of(resource).fetch_sub(amount, Ordering::Relaxed) - amount
    }

    fn get(&self, resource: Resource) -> usize {
        self.of(resource).load(Ordering::Relaxed)
    }
}

/// The accounts of all peers of a process's IPC.
#[derive(Debug)]
pub struct Accounts {
    limits: Limits,
    total: Usage,
    /// By the user's id; `None` has the peers that are no processes of this machine.
    users: Mutex<HashMap<Option<u32>, Weak<User>>>,
}

/// A user's processes.
#[derive(Debug, Default)]
struct User {
    used: Usage,
    processes: Mutex<HashMap<Process, Weak<Account>>>,
}

/// Tells a user's processes apart.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Process {
    Id(Option<u32>),
    Named(Arc<str>),
    Unknown,
}

impl Accounts {
    /// Accounts whose totals are those of `limits`.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            limits: limits.clone(),
            total: Usage::default(),
            users: Mutex::default(),
        })
    }

    /// Returns the account of a peer. Equal peers share one, and so do all that are not known.
    pub fn of(self: &Arc<Self>, peer: Peer) -> Arc<Account> {
        let (user, process) = match &peer {
            Peer::Process(of) => (Some(of.uid), Process::Id(of.pid)),
            Peer::Named(name) => (None, Process::Named(name.clone())),
            Peer::Unknown => (None, Process::Unknown),
        };
        let user = entry(&self.users, user, Arc::default);
        entry(&user.processes, process, || {
            Arc::new(Account {
                accounts: self.clone(),
                user: user.clone(),
                used: Usage::default(),
                charged: Usage::default(),
                step: Mutex::default(),
                peer,
                log: Mutex::ranked(Rank::Log, LogRate::default()),
            })
        })
    }

    fn limit(&self, resource: Resource) -> usize {
        match resource {
            Resource::Bytes => self.limits.total_bytes,
            Resource::Threads => self.limits.total_threads,
            Resource::Connections => self.limits.connections,
        }
    }

    /// Returns how much of a resource all peers together hold.
    #[cfg(test)]
    pub fn used(&self, resource: Resource) -> usize {
        self.total.get(resource)
    }
}

/// Returns the live entry of this key, or inserts a new one.
fn entry<K: Eq + Hash, T>(
    entries: &Mutex<HashMap<K, Weak<T>>>,
    key: K,
    new: impl FnOnce() -> Arc<T>,
) -> Arc<T> {
    let mut entries = lock(entries);
    if let Some(found) = entries.get(&key).and_then(Weak::upgrade) {
        return found;
    }
    entries.retain(|_, entry| entry.strong_count() > 0);
    let made = new();
    entries.insert(key, Arc::downgrade(&made));
    made
}

/// The account of one peer process.
#[derive(Debug)]
pub struct Account {
    accounts: Arc<Accounts>,
    user: Arc<User>,
    used: Usage,
    /// The part that is charged to the user and the total: in whole steps, and so sometimes more than
    /// `used`.
    charged: Usage,
    /// Held while `charged` and the counters of the user and the total change together.
    step: Mutex<()>,
    peer: Peer,
    log: Mutex<LogRate>,
}

impl Account {
    /// Returns the peer that is charged.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Charges `amount` of a resource, for as long as the charge lives.
    ///
    /// # Errors
    /// Returns [`Exceeded`] when the process, its user, or all peers together would hold too much.
    pub fn charge(self: &Arc<Self>, resource: Resource, amount: usize) -> Result<Charge, Exceeded> {
        let mut charge = Charge::to(self, resource);
        charge.add(amount)?;
        Ok(charge)
    }

    /// Charges bytes of memory.
    ///
    /// # Errors
    /// Returns the errors of [`Account::charge`].
    pub fn bytes(self: &Arc<Self>, amount: usize) -> Result<Charge, Exceeded> {
        self.charge(Resource::Bytes, amount)
    }

    /// Adds `amount` to what the process holds, and charges it in steps; fails when that exceeds a
    /// share. It is counted all the same.
    fn add(&self, resource: Resource, amount: usize) -> Result<(), Exceeded> {
        let process = self.used.add(resource, amount);
        if process <= self.charged.get(resource) {
            return Ok(());
        }
        let step = lock(&self.step);
        let needed = process.next_multiple_of(resource.step());
        let more = needed.saturating_sub(self.charged.get(resource));
        self.charged.add(resource, more);
        let limit = self.accounts.limit(resource);
        let total = self.accounts.total.add(resource, more);
        let user = self.user.used.add(resource, more);
        drop(step);
        let is_fair = process <= limit.saturating_sub(total) && user <= limit - limit / 8;
        if total <= limit && (is_fair || process <= resource.little()) {
            return Ok(());
        }
        Err(Exceeded {
            peer: self.peer.clone(),
            resource,
            held: process,
            limit,
        })
    }

    fn subtract(&self, resource: Resource, amount: usize) {
        let left = self.used.subtract(resource, amount);
        if self.charged.get(resource) <= resource.kept(left) {
            return;
        }
        let _step = lock(&self.step);
        let kept = resource.kept(self.used.get(resource));
        let less = self.charged.get(resource).saturating_sub(kept);
        self.charged.subtract(resource, less);
        self.give_back(resource, less);
    }

    fn give_back(&self, resource: Resource, amount: usize) {
        self.user.used.subtract(resource, amount);
        self.accounts.total.subtract(resource, amount);
    }

    /// Returns how much of a resource the process makes this one hold.
    #[cfg(test)]
    pub fn used(&self, resource: Resource) -> usize {
        self.used.get(resource)
    }

    /// Logs a warning about this process. Lines beyond the [`LogRate`] are left out, and one line
    /// afterwards reports their number.
    pub fn warn(self: &Arc<Self>, event_loop: &Arc<EventLoop>, line: fmt::Arguments<'_>) {
        let mut log = lock(&self.log);
        let now = Instant::now();
        let is_written = log.add(now);
        let timer = log.busy_until(now).filter(|_| !log.is_timed);
        log.is_timed |= timer.is_some();
        drop(log);
        if is_written {
            tracing::warn!(target: "ipc", "{line}");
        }
        self.summarize_at(timer, event_loop);
    }

    fn summarize_at(self: &Arc<Self>, time: Option<Instant>, event_loop: &Arc<EventLoop>) {
        let Some(time) = time else { return };
        let (this, weak) = (self.clone(), Arc::downgrade(event_loop));
        event_loop.certainly_at(time, move || {
            if let Some(event_loop) = weak.upgrade() {
                this.summarize(&event_loop);
            }
        });
    }

    /// Runs when the last line is old enough: reports how many lines were left out, and schedules
    /// itself again while the log is busy.
    fn summarize(self: &Arc<Self>, event_loop: &Arc<EventLoop>) {
        let mut log = lock(&self.log);
        let now = Instant::now();
        let is_busy = log.busy_until(now).is_some();
        let left_out = if is_busy { None } else { log.summary(now) };
        let timer = log.busy_until(now);
        log.is_timed = timer.is_some();
        drop(log);
        if let Some(left_out) = left_out {
            tracing::warn!(target: "ipc", "IPC: {left_out} more lines about {self} were left out");
        }
        self.summarize_at(timer, event_loop);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for resource in [Resource::Bytes, Resource::Threads, Resource::Connections] {
            self.give_back(resource, self.charged.get(resource));
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)
    }
}

/// An amount of a resource that is charged to a process until this is dropped.
#[derive(Debug)]
pub struct Charge {
    account: Option<Arc<Account>>,
    resource: Resource,
    amount: usize,
}

impl Charge {
    /// Makes a charge to no account.
    #[cfg(test)]
    pub fn none() -> Self {
        Self {
            account: None,
            resource: Resource::Bytes,
            amount: 0,
        }
    }

    /// Makes a charge to an account, of nothing yet.
    pub fn to(account: &Arc<Account>, resource: Resource) -> Self {
        Self {
            account: Some(account.clone()),
            resource,
            amount: 0,
        }
    }

    /// Charges more of the resource. An amount beyond a share is charged all the same, until this is
    /// dropped: the caller decides what to do about it.
    ///
    /// # Errors
    /// Returns the errors of [`Account::charge`].
    pub fn add(&mut self, amount: usize) -> Result<(), Exceeded> {
        let Some(account) = &self.account else {
            return Ok(());
        };
        self.amount += amount;
        account.add(self.resource, amount)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.subtract(self.resource, self.amount);
        }
    }
}

/// The error of a process that would make this one hold more than its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    peer: Peer,
    resource: Resource,
    held: usize,
    limit: usize,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, what) = (&self.peer, self.resource.name());
        let (held, limit) = (self.held, self.limit);
        write!(
            f,
            "{peer} would hold {held} {what} here, beyond its share of {limit}"
        )
    }
}
