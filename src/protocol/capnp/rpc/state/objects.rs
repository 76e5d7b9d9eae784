//! The exports and imports of a connection, by number.
//!
//! Knows reference counts; nothing of calls.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Weak};

use capnp_rpc::rpc_capnp::cap_descriptor;
use slab::Slab;

use super::super::cap::{Cap, Import, Owner};

/// An object that the peer holds.
struct Export {
    cap: Cap,
    /// The reference count: how often it was given, less the releases.
    references: u64,
}

/// Returns a place in the table as an export's number.
fn numbered(place: usize) -> u32 {
    // There are far fewer, since each takes memory.
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The objects that the peer holds.
#[derive(Default)]
pub struct Exports {
    table: Slab<Export>,
    /// Numbers by [`Cap::address`].
    numbers: BTreeMap<usize, usize>,
}

impl Exports {
    /// Returns the number of exports.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns the object of this number.
    pub fn get(&self, id: u32) -> Option<&Cap> {
        let export = self.table.get(usize::try_from(id).ok()?)?;
        Some(&export.cap)
    }

    /// Adds a reference to an object that is sent to the peer; returns the export's number.
    fn give(&mut self, cap: &Cap) -> u32 {
        let number = *self.numbers.entry(cap.address()).or_insert_with(|| {
            self.table.insert(Export {
                cap: cap.clone(),
                references: 0,
            })
        });
        if let Some(export) = self.table.get_mut(number) {
            export.references += 1;
        }
        numbered(number)
    }

    /// Adds a broken promise that is sent to the peer; returns the export's number. It gets a number of
    /// its own each time, since a promise is resolved once.
    fn promise(&mut self, cap: &Cap) -> u32 {
        numbered(self.table.insert(Export {
            cap: cap.clone(),
            references: 1,
        }))
    }

    /// Releases `count` references of the peer; returns the object if those were the last.
    #[must_use = "its destructor may want the state"]
    pub fn release(&mut self, id: u32, count: u64) -> Option<Cap> {
        let number = usize::try_from(id).ok()?;
        let export = self.table.get_mut(number)?;
        export.references = export.references.saturating_sub(count);
        if export.references > 0 {
            return None;
        }
        let export = self.table.remove(number);
        if let Entry::Occupied(entry) = self.numbers.entry(export.cap.address())
            && *entry.get() == number
        {
            entry.remove();
        }
        Some(export.cap)
    }

    /// Writes the descriptor of a capability for the peer of connection `owner`. Returns the export's
    /// number if that gives the peer a reference. A broken promise is sent as a promise, which
    /// [`Tables::break_promises`](super::tables::Tables::break_promises) then breaks.
    pub fn describe(
        &mut self,
        owner: usize,
        cap: Option<&Cap>,
        mut descriptor: cap_descriptor::Builder<'_>,
    ) -> Option<u32> {
        match cap {
            None => {
                descriptor.set_none(());
                None
            }
            Some(Cap::Import(import)) if import.owner().id() == owner => {
                descriptor.set_receiver_hosted(import.id());
                None
            }
            Some(cap) if cap.failure().is_some() => {
                let id = self.promise(cap);
                descriptor.set_sender_promise(id);
                Some(id)
            }
            Some(cap) => {
                let id = self.give(cap);
                descriptor.set_sender_hosted(id);
                Some(id)
            }
        }
    }

    /// Removes and returns all objects.
    pub fn drain(&mut self) -> impl Iterator<Item = Cap> {
        self.numbers.clear();
        self.table.drain().map(|export| export.cap)
    }
}

/// The peer's objects that are held here, by number.
#[derive(Default)]
pub struct Imports(BTreeMap<u32, Weak<Import>>);

impl Imports {
    /// Returns the import of an object that the peer has sent, and how many references to release now,
    /// if any.
    pub fn import(&mut self, owner: &Arc<dyn Owner>, id: u32) -> (Arc<Import>, Option<u64>) {
        if let Some(import) = self.0.get(&id).and_then(Weak::upgrade) {
            let release = import.count_reference();
            return (import, release);
        }
        let import = Import::new(owner, id);
        self.0.insert(id, Arc::downgrade(&import));
        (import, None)
    }

    /// Removes an import that was dropped, unless the peer has sent the object again meanwhile.
    pub fn forget(&mut self, id: u32) {
        let is_gone = |held: &Weak<Import>| held.strong_count() == 0;
        if self.0.get(&id).is_some_and(is_gone) {
            self.0.remove(&id);
        }
    }
}
