//! Our calls: their answers, and what is held back until those have come.
//!
//! Knows Return, and our Finish and Release.

use std::collections::hash_map::Entry;

use capnp_rpc::rpc_capnp::{call, cap_descriptor, message_target, return_};

use super::{Due, Envelope, Outgoing, Result, violation};

/// A question of ours without a Return.
#[derive(Default)]
pub(super) struct Question {
    /// Its Finish, when capnp-rpc has given it up.
    pub(super) finish: Option<Outgoing>,
    /// The objects of ours that went with it.
    pub(super) exports: Vec<u32>,
    /// The peer's objects that it is about: its target, and those given back as parameters.
    pub(super) imports: Vec<u32>,
}

impl Envelope {
    /// Takes note of the peer's Return, and lets go what waited for it.
    pub(super) fn returned(&mut self, answer: return_::Reader<'_>) -> Result<bool> {
        let question = answer.get_answer_id();
        let Some(Question {
            finish,
            exports,
            imports,
        }) = self.questions.remove(&question)
        else {
            return violation(format!(
                "a Return for question {question}, which is not open"
            ));
        };
        let held = finish.is_some();
        if answer.get_release_param_caps() {
            self.due.extend(exports.into_iter().map(Due::Release));
        }
        match answer.which()? {
            return_::Results(results) => {
                let caps = self.cap_table(results?)?;
                // capnp-rpc does not look at the results of a question that it has finished.
                if !held {
                    self.results(caps)?;
                }
            }
            return_::Exception(_) => {}
            return_::Canceled(()) if held => {}
            return_::Canceled(()) => {
                return violation(format!("question {question} was cancelled by the peer"));
            }
            return_::ResultsSentElsewhere(())
            | return_::TakeFromOtherQuestion(_)
            | return_::AcceptFromThirdParty(_) => {
                return violation(format!("the results of question {question} went elsewhere"));
            }
        }
        if let Some(finish) = finish {
            self.held_cost -= finish.cost;
            if !answer.get_no_finish_needed() {
                self.out.push(finish);
            }
        }
        self.let_go(&imports);
        Ok(true)
    }

    /// The capabilities among the results of a question of ours. A promise of ours may not be
    /// among them: if the question was asked on behalf of a call of the peer's, the promise could
    /// be that call's result, which then leads back to itself, and capnp-rpc looks for its end
    /// for ever.
    fn results(&self, caps: capnp::struct_list::Reader<'_, cap_descriptor::Owned>) -> Result<()> {
        for descriptor in caps {
            match descriptor.which()? {
                cap_descriptor::ReceiverAnswer(_) => {
                    return violation("results that hold a promise of ours");
                }
                cap_descriptor::ReceiverHosted(id) if self.promised.contains(&id) => {
                    return violation("results that hold a promise of ours");
                }
                cap_descriptor::ThirdPartyHosted(_) => {
                    return violation("a capability hosted by a third party");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes note of a call of ours and the peer's objects that it is about.
    pub(super) fn asked(&mut self, call: call::Reader<'_>) -> capnp::Result<()> {
        let payload = call.get_params()?;
        let mut imports = Vec::new();
        if let message_target::ImportedCap(id) = call.get_target()?.which()? {
            imports.push(id);
        }
        if payload.has_cap_table() {
            for descriptor in payload.get_cap_table()? {
                if let cap_descriptor::ReceiverHosted(id) = descriptor.which()? {
                    imports.push(id);
                }
            }
        }
        for id in &imports {
            *self.named.entry(*id).or_default() += 1;
        }
        let question = Question {
            finish: None,
            exports: self.note_exports(payload)?,
            imports,
        };
        self.questions.insert(call.get_question_id(), question);
        Ok(())
    }

    /// Holds the Finish of a question that is open, and sends any other.
    pub(super) fn finished(&mut self, question: u32, finish: Outgoing) {
        match self.questions.get_mut(&question) {
            Some(open) => {
                self.held_cost += finish.cost;
                open.finish = Some(finish);
            }
            None => self.out.push(finish),
        }
    }

    /// Holds the Release of an object while an open question is about it: to let go of a thread
    /// in the middle of a call is an error in Core.
    pub(super) fn release(&mut self, id: u32, release: Outgoing) {
        if self.named.contains_key(&id) {
            self.held_cost += release.cost;
            self.releases.push((id, release));
        } else {
            self.out.push(release);
        }
    }

    /// Sends the Releases that waited for a question about these objects.
    fn let_go(&mut self, imports: &[u32]) {
        let mut free = false;
        for id in imports {
            if let Entry::Occupied(mut entry) = self.named.entry(*id) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                    free = true;
                }
            }
        }
        if !free || self.releases.is_empty() {
            return;
        }
        let (sent, kept) = std::mem::take(&mut self.releases)
            .into_iter()
            .partition(|(id, _)| !self.named.contains_key(id));
        self.releases = kept;
        let sent: Vec<(u32, Outgoing)> = sent;
        for (_, release) in sent {
            self.held_cost -= release.cost;
            self.out.push(release);
        }
    }
}
