//! What each message of the peer does.
//!
//! Knows all of them, and leaves calls and answers to `answers` and `questions`.
//!
//! A Resolve is not heeded: what a promise of the peer's becomes is the peer's to forward, for as long
//! as we hold it. The short way could lead back to itself.

use std::sync::Arc;

use capnp_rpc::rpc_capnp::{
    cap_descriptor, disembargo, exception, message, message_target, payload, resolve,
};

use super::super::sync::lock;
use super::cap::Cap;
use super::flush::SOON;
use super::frame::Received;
use super::link::Link;
use super::message::{self as messages, some_of};
use super::questions::tell;
use super::reason::{CloseReason, violation};
use super::tables::Tables;
use crate::error::Error;

impl Link {
    /// Does what a message says.
    pub(super) fn incoming(self: &Arc<Self>, received: Received) -> Result<(), CloseReason> {
        let root = received.root()?;
        let Ok(which) = root.which() else {
            return self.unknown(root);
        };
        match which {
            message::Call(_) => self.called(received),
            message::Return(_) => self.returned(received),
            message::Bootstrap(bootstrap) => {
                self.bootstrapped(bootstrap?.get_question_id(), &received)
            }
            message::Finish(finish) => {
                let finish = finish?;
                self.finished(finish.get_question_id(), finish.get_release_result_caps());
                Ok(())
            }
            message::Release(release) => {
                let release = release?;
                let (id, count) = (release.get_id(), release.get_reference_count());
                let host = lock(&self.tables).take_back(id, count.into());
                drop(host);
                Ok(())
            }
            message::Resolve(resolve) => {
                if let resolve::Cap(cap) = resolve?.which()? {
                    let mut tables = lock(&self.tables);
                    let cap = match cap?.which()? {
                        cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id) => {
                            Some(tables.import(self, id))
                        }
                        _ => None,
                    };
                    drop(tables);
                    // Given back.
                    drop(cap);
                }
                Ok(())
            }
            message::Disembargo(disembargo) => self.disembargo(disembargo?),
            message::Abort(abort) => Err(aborted(abort?)),
            message::Unimplemented(of) => self.not_implemented(of?),
            message::Provide(_)
            | message::Accept(_)
            | message::Join(_)
            | message::ObsoleteSave(_)
            | message::ObsoleteDelete(_) => self.unknown(root),
        }
    }

    /// Tells the peer that we do not know a message.
    fn unknown(&self, root: message::Reader<'_>) -> Result<(), CloseReason> {
        let message = messages::unimplemented(root)?;
        lock(&self.tables).push(message);
        self.written(SOON);
        Ok(())
    }

    /// The peer does not know a message of ours.
    fn not_implemented(&self, of: message::Reader<'_>) -> Result<(), CloseReason> {
        let question = match of.which()? {
            message::Call(call) => call?.get_question_id(),
            message::Bootstrap(bootstrap) => bootstrap?.get_question_id(),
            _ => return Ok(()),
        };
        let key = usize::try_from(question).unwrap_or(usize::MAX);
        let mut tables = lock(&self.tables);
        let Some(question) = tables.questions.try_remove(key) else {
            return Ok(());
        };
        let exports = question.exports.iter();
        let taken_back: Vec<_> = exports.filter_map(|id| tables.take_back(*id, 1)).collect();
        drop(tables);
        drop(taken_back);
        let text = "the peer does not implement calls";
        tell(question.done, Err(Error::Unimplemented(text.into())));
        Ok(())
    }

    /// The peer wants to know when all that it had sent on a promise of ours has come back to it,
    /// because it became an object of the peer's own. All of that was sent on when it came, and so is
    /// before this.
    fn disembargo(self: &Arc<Self>, disembargo: disembargo::Reader<'_>) -> Result<(), CloseReason> {
        let disembargo::context::SenderLoopback(embargo) = disembargo.get_context().which()? else {
            return violation("a disembargo that nobody asked for");
        };
        let mut tables = lock(&self.tables);
        let target = match disembargo.get_target()?.which()? {
            message_target::ImportedCap(id) => tables.export(id).cloned().map(Cap::Own),
            message_target::PromisedAnswer(answer) => self.promised(&tables, answer?)?,
        };
        let import = match &target {
            Some(Cap::Import(import)) => Some(import),
            Some(Cap::Own(host)) => host.stands_for(),
            None => None,
        };
        match import {
            Some(import) if Arc::ptr_eq(&import.link, self) => {
                tables.push(messages::disembargo(import.id, embargo));
                drop(tables);
                self.written(SOON);
                Ok(())
            }
            _ => violation("a disembargo of what is no object of the peer's"),
        }
    }

    /// A message's capabilities, if they are not too many.
    pub(super) fn cap_table<'a>(
        &self,
        payload: payload::Reader<'a>,
    ) -> Result<capnp::struct_list::Reader<'a, cap_descriptor::Owned>, CloseReason> {
        let caps = payload.get_cap_table()?;
        let count = usize::try_from(caps.len()).unwrap_or(usize::MAX);
        let limit = self.limits.capabilities;
        if count > limit {
            return violation(format!(
                "a message with {count} capabilities (limit {limit})"
            ));
        }
        Ok(caps)
    }

    /// What a capability stands for that is no promise of ours.
    pub(super) fn cap(
        self: &Arc<Self>,
        tables: &mut Tables,
        descriptor: cap_descriptor::Reader<'_>,
    ) -> Result<Option<Cap>, CloseReason> {
        match descriptor.which()? {
            cap_descriptor::None(()) | cap_descriptor::ReceiverAnswer(_) => Ok(None),
            cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id) => {
                Ok(Some(Cap::Import(tables.import(self, id))))
            }
            cap_descriptor::ReceiverHosted(id) => match tables.export(id) {
                Some(host) => Ok(Some(match host.stands_for() {
                    Some(import) => Cap::Import(import.clone()),
                    None => Cap::Own(host.clone()),
                })),
                None => violation(format!("a capability that is no object of ours: {id}")),
            },
            cap_descriptor::ThirdPartyHosted(_) => {
                violation("a capability hosted by a third party")
            }
        }
    }
}

/// What the peer says before it ends the connection.
fn aborted(abort: exception::Reader<'_>) -> CloseReason {
    match abort.get_type() {
        Ok(exception::Type::Disconnected) => CloseReason::PeerClosed,
        _ => CloseReason::Aborted(some_of(abort.get_reason())),
    }
}
