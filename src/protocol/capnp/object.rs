//! A handle to an object of the peer, and the `destroy` that follows its drop.
//!
//! Knows the connection and its threads; nothing of values, nor of other methods. Handles may be shared
//! and dropped by any thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::Batch;
use super::connection::{Connection, Hold};
use super::event_loop::is_on_loop;
use super::info::{Info, Method, Role, StaticOrShared};
use super::rpc::Import;
use super::sync::{Mutex, lock};
use super::threads::thread_context::Route;
use crate::error::{Error, Result};

/// A handle to an object in another process. Clones refer to the same object; when the last one is
/// dropped the peer is told to destroy the object, without waiting for its answer. A client's
/// connection ends with the last handle to any of its objects.
#[derive(Clone)]
pub struct Object {
    handle: Arc<Handle>,
    info: StaticOrShared<Info>,
}

/// The handle that the clones share. The object goes before its hold on the connection.
struct Handle {
    object: Arc<Inner>,
    _holds: Option<Hold>,
}

/// A reference to an object without a handle: calls keep one until they are answered. It does not keep
/// the connection.
pub struct Kept(#[expect(dead_code, reason = "what matters is when it is dropped")] Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    import: Arc<Import>,
    id: u64,
    /// The `destroy` of an interface that the object is known or taken to have.
    destroy: Mutex<Option<StaticOrShared<Method>>>,
    /// Set once the peer has been given its own object back: it may go on using it, so it is
    /// freed with its last reference and not destroyed.
    given_back: AtomicBool,
    /// Whether the peer has a method, by its interface and ordinal, where that is known.
    methods: Mutex<BTreeMap<(u64, u16), bool>>,
}

/// An ordinal that no interface has a method at. The peer's answer to a call there tells whether the
/// object has the interface, and by this the answer is recorded.
pub const NO_ORDINAL: u16 = u16::MAX;

/// Returns the `destroy` of an interface, if it has one.
fn destroy_of(info: &Info) -> Option<StaticOrShared<Method>> {
    let mut methods = info.methods.iter();
    methods.find(|method| method.role == Role::Destroy).cloned()
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.connection.object_gone(self.id);
        if self.connection.closed().is_some() {
            return;
        }
        let destroy = self.destroy.get_mut().take();
        let is_broken = self.import.owner().failure().is_some();
        let methods = self.methods.get_mut();
        let is_there = |method: &StaticOrShared<Method>| {
            let interface = methods.get(&(method.interface_id, NO_ORDINAL));
            interface.is_none_or(|has| *has)
        };
        let destroy = destroy.filter(|destroy| !is_broken && is_there(destroy));
        if let Some(method) = destroy.filter(|_| !self.given_back.load(Ordering::Relaxed)) {
            destroy_object(&self.connection, &self.import, method);
        }
    }
}

/// Tells the peer to destroy an object. The destructor runs on the peer's thread that stands for this
/// one, in the order of this thread's calls, as in C++.
///
/// No call can reach the object any more: its last handle is gone, and pending calls keep one. A Core
/// node crashes when an object is called after its `destroy`.
fn destroy_object(
    connection: &Arc<Connection>,
    import: &Arc<Import>,
    method: StaticOrShared<Method>,
) {
    let batch = match Batch::destroy(connection, import, &method) {
        Ok(batch) => batch,
        Err(error) => return warn(&method, &error),
    };
    // A thread that drives the loop does so for other threads, and the object may be one of theirs.
    let (route, depth) = match is_on_loop() {
        false => connection.route(),
        true => (Route::Thread(None), 0),
    };
    let request = match &route {
        Route::Callback(thread) => Some(thread.destroys()),
        Route::Thread(_) => None,
    };
    connection.destroy_begins();
    let ending = connection.clone();
    let done = move |answer: Result<()>| {
        if let Err(error) = answer
            && !error.is_disconnected()
        {
            warn(&method, &error);
        }
        ending.destroy_ends();
        drop(request);
    };
    let sending = connection.clone();
    match route {
        _ if !batch.names_thread() => batch.send(&sending, None, |answers| done(answers.nothing())),
        Route::Callback(thread) | Route::Thread(Some(thread)) => {
            thread.clone().take_slot(depth, move |slot| {
                batch.send(&sending, Some(&thread), |answers| {
                    done(answers.nothing());
                    drop(slot);
                });
            });
        }
        // A thread that never made a call, such as an async runtime's, gets no peer thread for this
        // alone. Without one the object is freed with its last reference, only later.
        Route::Thread(None) => match connection.borrow_peer_thread() {
            Ok(borrowed) => {
                let thread = borrowed.thread.clone();
                batch.send(&sending, Some(&thread), |answers| {
                    done(answers.nothing());
                    drop(borrowed);
                });
            }
            Err(_) => done(Ok(())),
        },
    }
}

fn warn(method: &Method, error: &Error) {
    tracing::warn!(target: "ipc", "{}.destroy failed: {error}", method.interface);
}

impl Object {
    /// Makes a handle to an object of the peer.
    pub fn new(
        connection: &Arc<Connection>,
        import: Arc<Import>,
        info: StaticOrShared<Info>,
    ) -> Self {
        let object = Arc::new(Inner {
            connection: connection.clone(),
            import,
            id: connection.next_object(),
            destroy: Mutex::new(destroy_of(&info)),
            given_back: AtomicBool::new(false),
            methods: Mutex::default(),
        });
        let handle = Handle {
            object,
            _holds: connection.hold(),
        };
        Self {
            handle: Arc::new(handle),
            info,
        }
    }

    /// Returns the object as one of another interface that it is known to have. Both handles are of one
    /// object: the peer destroys it when the last handle is dropped, of whichever interface.
    #[must_use]
    pub fn with_interface(&self, info: StaticOrShared<Info>) -> Self {
        // The object may lack the interface that it was taken to be of. One without `destroy`, such as
        // an `Init`, is not the caller's to destroy.
        if let (Some(destroy), Some(known)) =
            (&mut *lock(&self.object().destroy), destroy_of(&info))
        {
            *destroy = known;
        }
        Self {
            handle: self.handle.clone(),
            info,
        }
    }

    fn object(&self) -> &Arc<Inner> {
        &self.handle.object
    }

    /// Records that the peer gets its own object back: it is then freed with its last reference.
    pub fn give_back(&self) {
        self.object().given_back.store(true, Ordering::Relaxed);
    }

    /// The object's connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.object().connection
    }

    /// The peer's object itself.
    pub fn import(&self) -> &Arc<Import> {
        &self.object().import
    }

    /// Returns what a call keeps until it is answered, even when its caller no longer waits: an object is
    /// not destroyed while one of its methods runs. The connection ends when its handles are gone,
    /// whatever runs.
    pub fn kept(&self) -> Kept {
        Kept(self.object().clone())
    }

    /// Fails when the object is a promise that the peer broke.
    ///
    /// # Errors
    /// Returns the reason that the peer gave.
    pub fn check_usable(&self) -> Result<()> {
        match self.object().import.owner().failure() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Returns whether the peer has a method of the object, where that is known.
    pub fn known(&self, method: &Method) -> Option<bool> {
        let methods = lock(&self.object().methods);
        methods.get(&(method.interface_id, method.ordinal)).copied()
    }

    /// Records whether the peer has a method of the object.
    pub fn learn(&self, method: &Method, has: bool) {
        lock(&self.object().methods).insert((method.interface_id, method.ordinal), has);
    }

    /// The facts of a schema about the interface by which this handle calls it.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Runs `f` when the object is dropped, or now if the connection has ended.
    pub fn on_cleanup(&self, f: Box<dyn FnOnce() + Send>) {
        let object = self.object();
        object.connection.on_cleanup(object.id, f);
    }
}
