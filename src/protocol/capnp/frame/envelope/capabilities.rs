//! Capabilities in messages: how many there may be, and which objects of ours the peer holds.
//!
//! Knows capability descriptors, Resolve and Release.

use capnp_rpc::rpc_capnp::{cap_descriptor, payload, resolve};

use super::{Envelope, Outgoing, Result, release_of, violation};

impl Envelope {
    /// A message's capabilities, if they are not too many.
    pub(super) fn cap_table<'a>(
        &self,
        payload: payload::Reader<'a>,
    ) -> Result<capnp::struct_list::Reader<'a, cap_descriptor::Owned>> {
        let caps = payload.get_cap_table()?;
        let count = usize::try_from(caps.len()).unwrap_or(usize::MAX);
        if count > self.limits.capabilities {
            return violation(format!(
                "a message with {count} capabilities (limit {})",
                self.limits.capabilities
            ));
        }
        Ok(caps)
    }

    /// A promise of the peer's becomes something. We go on with the promise, which the peer has
    /// to forward for as long as we hold it. capnp-rpc would take the short way, but a promise
    /// can lead back to itself, or form a chain that overflows the stack of whoever calls it, and
    /// a call with capabilities on one that became an error or an object of ours panics.
    pub(super) fn resolve(&mut self, resolve: resolve::Reader<'_>) -> Result<bool> {
        if let resolve::Cap(cap) = resolve.which()? {
            self.give_back(cap?)?;
        }
        Ok(false)
    }

    /// Gives back a capability that capnp-rpc does not get to see.
    pub(super) fn give_back(&mut self, descriptor: cap_descriptor::Reader<'_>) -> Result<()> {
        if let cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id) =
            descriptor.which()?
        {
            self.release(id, Outgoing::new(release_of(id)));
        }
        Ok(())
    }

    pub(super) fn note_exports(&mut self, payload: payload::Reader<'_>) -> capnp::Result<Vec<u32>> {
        let mut exports = Vec::new();
        if payload.has_cap_table() {
            for descriptor in payload.get_cap_table()? {
                exports.extend(self.note_export(descriptor)?);
            }
        }
        Ok(exports)
    }

    pub(super) fn note_export(
        &mut self,
        descriptor: cap_descriptor::Reader<'_>,
    ) -> capnp::Result<Option<u32>> {
        let which = descriptor.which()?;
        if let cap_descriptor::SenderPromise(id) = which {
            self.promised.insert(id);
        }
        match which {
            cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id) => {
                *self.exports.entry(id).or_default() += 1;
                Ok(Some(id))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn release_export(&mut self, id: u32, count: u64) {
        if let Some(held) = self.exports.get_mut(&id) {
            *held = held.saturating_sub(count);
            if *held == 0 {
                self.exports.remove(&id);
                self.promised.remove(&id);
            }
        }
    }
}
