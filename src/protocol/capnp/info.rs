//! The facts of a schema that the runtime needs: interfaces, and their methods.
//!
//! Knows names and numbers; nothing of connections, nor of how values are read and written.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use capnp::any_pointer;

/// The way that the runtime treats a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A method of the trait.
    Plain,
    /// `destroy`: frees the object; the client's drop.
    Destroy,
    /// The method that swaps thread maps (`Init.construct`).
    Construct,
}

/// A value of generated code, or one made from a schema at run time.
pub enum StaticOrShared<T: ?Sized + 'static> {
    /// A value of generated code.
    Static(&'static T),
    /// A value made from a schema at run time.
    Shared(Arc<T>),
}

impl<T: ?Sized> Clone for StaticOrShared<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(value) => Self::Static(value),
            Self::Shared(value) => Self::Shared(value.clone()),
        }
    }
}

impl<T: ?Sized> Deref for StaticOrShared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Static(value) => value,
            Self::Shared(value) => value,
        }
    }
}

impl<T: ?Sized> From<&'static T> for StaticOrShared<T> {
    fn from(value: &'static T) -> Self {
        Self::Static(value)
    }
}

impl<T: ?Sized> From<Arc<T>> for StaticOrShared<T> {
    fn from(value: Arc<T>) -> Self {
        Self::Shared(value)
    }
}

/// One method of an interface, as the schema has it.
pub struct Method {
    /// The interface that declares it, such as `Echo`.
    pub interface: Cow<'static, str>,
    /// Its name in the schema, such as `echo`.
    pub name: Cow<'static, str>,
    /// The declaring interface's id on the wire.
    pub interface_id: u64,
    /// Its ordinal on the wire.
    pub ordinal: u16,
    /// The way that the runtime treats it.
    pub role: Role,
    /// Set if it has a `context :Proxy.Context` parameter and so names the thread that it runs on.
    pub threaded: bool,
    /// Writes parameters, for logs.
    pub show_params: StaticOrShared<Show>,
    /// Writes results, for logs.
    pub show_results: StaticOrShared<Show>,
    /// Tells whether its last run took long.
    pub pace: Pace,
}

impl Method {
    /// Returns its name with its interface's, such as `Echo.echo`.
    pub fn full_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface, self.name)
    }
}

/// Tells whether a method of this process took long when it ran last.
#[derive(Debug, Default)]
pub struct Pace(AtomicU8);

/// The method has not run.
const UNKNOWN: u8 = 0;
/// It did not take long.
const QUICK: u8 = 1;
/// It took long, but only because it waited for answers.
const WAITED: u8 = 2;
/// It took long.
const SLOW: u8 = 3;

/// The duration above which a method counts as slow: other callers notice a thread that is away for
/// longer.
const LONG: Duration = Duration::from_micros(50);

impl Pace {
    /// Makes the pace of a method that has not run.
    pub const fn new() -> Self {
        Self(AtomicU8::new(UNKNOWN))
    }

    /// Returns whether the last run took long by itself, and not because it waited for answers: a
    /// waiting thread drives the event loop.
    pub fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SLOW
    }

    /// Returns whether the method has run, and its last run did not take long in all.
    pub fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) == QUICK
    }

    /// Records the duration of a run, and how much of it the run waited for answers.
    pub fn note(&self, took: Duration, waited: Duration) {
        let pace = match (took > LONG, took.saturating_sub(waited) > LONG) {
            (false, _) => QUICK,
            (true, false) => WAITED,
            (true, true) => SLOW,
        };
        // Read first, so that processors can share the cache line while the value stays as it is.
        if pace != self.0.load(Ordering::Relaxed) {
            self.0.store(pace, Ordering::Relaxed);
        }
    }
}

/// Writes the values of a message, for logs.
pub type Show = dyn Fn(any_pointer::Reader<'_>, &mut dyn fmt::Write) -> fmt::Result + Send + Sync;

/// One interface, as the schema has it.
pub struct Info {
    /// Its name, such as `Echo`.
    pub name: Cow<'static, str>,
    /// Its id on the wire.
    pub id: u64,
    /// Its own methods and those it inherits.
    pub methods: Cow<'static, [StaticOrShared<Method>]>,
}

impl Info {
    /// Returns whether an object of this interface answers calls by an interface's id.
    pub fn answers_as(&self, id: u64) -> bool {
        self.id == id || self.methods.iter().any(|method| method.interface_id == id)
    }
}
