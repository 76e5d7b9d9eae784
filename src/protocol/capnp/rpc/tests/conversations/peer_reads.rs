//! The reaction of a peer to the messages of the vat: it compares each with the oracle, and passes the
//! calls to its own objects.
//!
//! Knows `rpc.capnp`.

use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, disembargo, message, message_target, payload, promised_answer, resolve,
    return_,
};

use super::super::super::wire::cap_table;
use super::super::super::wire::received::Received;
use super::content::{self, POINTERS};
use super::peer::{Answer, Context, Embargo, Import, Peer, State};
use super::world::{CallId, Check, Mode, ObjectId, Outcome, Ref, Refs};

fn text(error: impl std::fmt::Display) -> String {
    format!("a message of the vat's: {error}")
}

fn is<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Check {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} is {found:?}, and not {expected:?}")),
    }
}

impl Peer {
    /// Reads a message.
    pub fn read(&mut self, mut bytes: &[u8], context: &mut Context<'_>) -> Check {
        let frame = self.reader.next(&mut bytes).map_err(text)?;
        let frame = frame.ok_or("a message that is not complete")?;
        let received = Received::new(frame, 64);
        let owed = self.unresolved.len();
        match received.root().map_err(text)?.which().map_err(text)? {
            message::Bootstrap(bootstrap) => {
                let question = bootstrap.map_err(text)?.get_question_id();
                self.bootstrapped(question, context)
            }
            message::Call(call) => self.called(call.map_err(text)?, context),
            message::Return(answer) => self.returned(answer.map_err(text)?, context),
            message::Finish(finish) => {
                let finish = finish.map_err(text)?;
                is("releaseResultCaps", finish.get_release_result_caps(), false)?;
                self.finished(finish.get_question_id())
            }
            message::Release(release) => {
                let release = release.map_err(text)?;
                context.counts.add("Release of the vat's");
                self.released(release.get_id(), release.get_reference_count())
            }
            message::Disembargo(embargo) => self.lifted(embargo.map_err(text)?, context),
            message::Resolve(resolve) => {
                let resolve = resolve.map_err(text)?;
                context.counts.add("Resolve of the vat's");
                self.unresolved.remove(&resolve.get_promise_id());
                match resolve.which().map_err(text)? {
                    resolve::Exception(_) => Ok(()),
                    resolve::Cap(_) => Err("a promise of the vat's that is kept".into()),
                }
            }
            message::Abort(abort) => {
                let reason = abort.map_err(text)?.get_reason().map_err(text)?;
                Err(format!("the vat aborts: {reason:?}"))
            }
            _ => Err("an unexpected message of the vat's".into()),
        }?;
        let forgotten = owed > 0 && self.unresolved.len() >= owed;
        is("whether a promise is not broken at once", forgotten, false)
    }

    // ----- calls of the vat -----

    fn take(&mut self, question: u32, call: CallId, params: Vec<u32>) -> Check {
        let answer = Answer {
            call,
            state: State::Waiting,
            waiting: Vec::new(),
            params,
            is_finished: false,
        };
        if let Some(before) = self.answers.insert(question, answer) {
            is(
                "the number of a question of the vat's",
                before.is_finished,
                true,
            )?;
            self.answer_numbers.remove(&before.call);
        }
        self.answer_numbers.insert(call, question);
        Ok(())
    }

    fn bootstrapped(&mut self, question: u32, context: &mut Context<'_>) -> Check {
        let target = Ref::Null;
        let next = context.oracle.next(self.number, target);
        let call = next.ok_or("a Bootstrap that nobody asked for")?;
        context.oracle.receive(self.number, call, target)?;
        self.bootstraps += 1;
        self.take(question, call, Vec::new())?;
        self.answers.get_mut(&question).unwrap().state = State::Ready;
        Ok(())
    }

    fn called(&mut self, message: call::Reader<'_>, context: &mut Context<'_>) -> Check {
        let call = message.get_method_id();
        let question = message.get_question_id();
        let target = match message.get_target().map_err(text)?.which().map_err(text)? {
            message_target::ImportedCap(id) => Ref::Object(self.exported(id)?),
            message_target::PromisedAnswer(answer) => self.place(answer.map_err(text)?, context)?,
        };
        let expected = context.oracle.receive(self.number, call, target)?;
        let payload = message.get_params().map_err(text)?;
        let params = self.content(payload, call.into(), expected, true, context)?;
        for number in &params {
            self.imports.get_mut(number).unwrap().pins += 1;
        }
        self.arrived.insert(call);
        self.take(question, call, params)?;
        self.enter(question, target, context)
    }

    /// Returns the object of this number, which the vat must hold.
    fn exported(&self, id: u32) -> Check<ObjectId> {
        match self.exports.get(id as usize) {
            Some(export) if export.references > 0 => Ok(export.object),
            _ => Err(format!("the vat names object {id}, which it does not hold")),
        }
    }

    /// Reads a place in the answer to a call of the vat.
    fn place(&self, answer: promised_answer::Reader<'_>, context: &Context<'_>) -> Check<Ref> {
        let question = answer.get_question_id();
        let on = self.answers.get(&question).ok_or("pipelined on nothing")?;
        let way = answer.get_transform().map_err(text)?;
        let mut index = None;
        for step in way {
            let step = step.which().map_err(text)?;
            if let promised_answer::op::GetPointerField(pointer) = step {
                is("a second step", index, None)?;
                index = Some(usize::from(pointer));
            }
        }
        let is_root = context.world.script(on.call).is_bootstrap;
        is("the way to a bootstrap's object", is_root, index.is_none())?;
        Ok(Ref::Answer(on.call, index.unwrap_or(0)))
    }

    /// Takes a call to its target, or makes it wait for that.
    pub fn enter(&mut self, question: u32, target: Ref, context: &mut Context<'_>) -> Check {
        match target {
            Ref::Object(object) if context.world.home(object).party == self.party() => {
                match self.promises.get_mut(&object) {
                    Some(promise) => match promise.becomes {
                        Some(becomes) => self.enter(question, becomes, context)?,
                        None => promise.queue.push(question),
                    },
                    None => self.answers.get_mut(&question).unwrap().state = State::Ready,
                }
            }
            Ref::Answer(call, index) if self.answer_numbers.contains_key(&call) => {
                let on = self.answers.get_mut(&self.answer_numbers[&call]).unwrap();
                match on.state {
                    State::Waiting | State::Ready => on.waiting.push((question, index)),
                    State::Given(outcome) => {
                        let target = outcome.at(index).unwrap_or(Ref::Broken);
                        self.leave(question, target, context)?;
                    }
                    State::Tail(other) => {
                        self.leave(question, Ref::Answer(other, index), context)?;
                    }
                }
            }
            target => self.leave(question, target, context)?,
        }
        Ok(())
    }

    /// Handles a call on an object that is not this peer's: it is sent back, and its caller takes the
    /// answer from there.
    pub fn leave(&mut self, question: u32, target: Ref, context: &mut Context<'_>) -> Check {
        let call = self.answers[&question].call;
        match target {
            Ref::Null | Ref::Broken => self.give(question, Outcome::Error(None), context),
            Ref::Object(object) if context.world.home(object).party == self.party() => {
                self.enter(question, target, context)
            }
            _ => {
                let (number, world) = (Some(self.number), &*context.world);
                match context.oracle.would_wait(world, number, [target], call) {
                    true => self.give(question, Outcome::Error(None), context),
                    false => self.tail(question, target, context),
                }
            }
        }
    }

    fn finished(&mut self, question: u32) -> Check {
        let answer = self.answers.get_mut(&question);
        let answer = answer.filter(|answer| !answer.is_finished);
        let answer = answer.ok_or("a Finish of what is no question")?;
        answer.is_finished = true;
        match answer.state {
            State::Waiting | State::Ready => Err("a Finish before the Return".into()),
            State::Given(outcome) => {
                (0..POINTERS).for_each(|at| self.unpin(outcome.at(at).unwrap_or(Ref::Null)));
                Ok(())
            }
            State::Tail(call) => {
                self.pin_question(call, false);
                Ok(())
            }
        }
    }

    // ----- answers of the vat -----

    fn returned(&mut self, answer: return_::Reader<'_>, context: &mut Context<'_>) -> Check {
        let number = answer.get_answer_id();
        let question = self.questions.get_mut(&number);
        let question = question.filter(|question| !question.is_returned);
        let question = question.ok_or("a Return of what is no question")?;
        question.is_returned = true;
        let (call, finish) = (question.call, question.finish);
        let known = context.oracle.get(call);
        let before = (known.outcome, known.sent_before);
        let (Some(outcome), sent_before) = before else {
            return Err(format!("the Return of call {call} came early"));
        };
        let calls = self.arrived.len() + self.bootstraps;
        is("the number of calls before a Return", calls, sent_before)?;
        is("releaseParamCaps", answer.get_release_param_caps(), false)?;
        let is_elsewhere = context.world.script(call).mode == Mode::Yourself;
        let mut refs = [Ref::Null; POINTERS];
        match (answer.which().map_err(text)?, outcome) {
            (return_::ResultsSentElsewhere(()), _) if is_elsewhere => {}
            (return_::Exception(exception), Outcome::Error(number)) if !is_elsewhere => {
                if let Some(number) = number {
                    let reason = exception.map_err(text)?.get_reason().map_err(text)?;
                    let reason = reason.to_str().map_err(text)?;
                    is("an exception", reason, &number.to_string())?;
                }
            }
            (return_::Results(results), Outcome::Results(value, expected)) if !is_elsewhere => {
                let is_kept = finish != Some(true);
                let results = results.map_err(text)?;
                let held = self.content(results, value, expected, is_kept, context)?;
                let question = self.questions.get_mut(&number).unwrap();
                if is_kept {
                    question.results = held;
                    refs = expected;
                }
            }
            (_, outcome) => return Err(format!("call {call} was not answered {outcome:?}")),
        }
        let may_name = context.world.script(call).mode != Mode::NoPipelining;
        if finish.is_none() && may_name {
            self.embargo(call, refs, context);
        }
        // Implementations that do not know of this send it all the same.
        let is_over = answer.get_no_finish_needed() && context.random.one_in(2);
        if finish.is_some() || (is_over && self.questions[&number].pins == 0) {
            self.questions.remove(&number);
            self.question_numbers.remove(&call);
        }
        Ok(())
    }

    /// Sends a Disembargo for each capability in an answer that is an object of this peer: calls
    /// pipelined on it come back to this peer, and the vat's answer tells that all have.
    fn embargo(&mut self, call: CallId, refs: Refs, context: &mut Context<'_>) {
        let question = &self.questions[&self.question_numbers[&call]];
        let pipelined = question.pipelined.clone();
        for (index, one) in refs.into_iter().enumerate() {
            let Ref::Object(object) = one else { continue };
            let on = pipelined.iter().filter(|(_, at)| *at == index);
            let calls: Vec<CallId> = on.map(|(call, _)| *call).collect();
            let is_own = context.world.home(object).party == self.party();
            if !is_own || (calls.is_empty() && context.random.one_in(2)) {
                continue;
            }
            self.embargo += 1;
            let number = self.embargo;
            self.embargoes.insert(number, Embargo { object, calls });
            context.counts.add("Disembargo");
            let world = &*context.world;
            self.send(super::oracle::Meaning::Other, |this, root| {
                let mut message = root.init_disembargo();
                let target = message.reborrow().init_target().init_promised_answer();
                this.promised(world, call, index, target);
                message.init_context().set_sender_loopback(number);
            });
        }
    }

    fn lifted(&mut self, message: disembargo::Reader<'_>, _: &Context<'_>) -> Check {
        let disembargo::context::ReceiverLoopback(number) =
            message.get_context().which().map_err(text)?
        else {
            return Err("a Disembargo of the vat's own".into());
        };
        let embargo = self.embargoes.remove(&number).ok_or("no such embargo")?;
        let message_target::ImportedCap(id) =
            message.get_target().map_err(text)?.which().map_err(text)?
        else {
            return Err("a Disembargo of an answer".into());
        };
        is(
            "the object of an embargo",
            self.exported(id)?,
            embargo.object,
        )?;
        match embargo
            .calls
            .iter()
            .find(|call| !self.arrived.contains(call))
        {
            Some(call) => Err(format!("an embargo is lifted before call {call} is back")),
            None => Ok(()),
        }
    }

    fn released(&mut self, id: u32, count: u32) -> Check {
        let export = self.exports.get_mut(id as usize);
        let export = export.ok_or("a Release of no object")?;
        let left = export.references.checked_sub(count.into());
        export.references = left.ok_or(format!("object {id} was released too often"))?;
        if export.references == 0 {
            let object = export.object;
            self.numbers.remove(&object);
            self.forget_promise(object);
        }
        Ok(())
    }

    // ----- contents -----

    /// Reads a content, which must have these capabilities; returns the numbers of those that the vat
    /// exports, which are held from then on if `is_kept` is set.
    fn content(
        &mut self,
        payload: payload::Reader<'_>,
        value: u32,
        expected: Refs,
        is_kept: bool,
        context: &Context<'_>,
    ) -> Check<Vec<u32>> {
        let table = payload.get_cap_table().map_err(text)?;
        let mut held = Vec::new();
        let indices: Vec<Option<u32>> = (0..table.len()).map(Some).collect();
        // The answer to a Bootstrap is a capability, and nothing else.
        let found = match value == 0 {
            true => [Some(0), None, None],
            false => {
                let content = payload.get_content();
                let read = cap_table::read(content, &indices, |content| {
                    content::read(content, &indices)
                });
                let (found, caps) = read.map_err(text)?;
                is("a content's value", found, value)?;
                caps
            }
        };
        for (index, expected) in found.into_iter().zip(expected) {
            let Some(index) = index else {
                is("a capability", Ref::Null, expected)?;
                continue;
            };
            if is_kept {
                held.extend(self.described(table.get(index), expected, context)?);
            }
        }
        Ok(held)
    }

    /// Checks that a descriptor of the vat is the expected capability; returns its number, if the vat
    /// exports it.
    fn described(
        &mut self,
        descriptor: cap_descriptor::Reader<'_>,
        expected: Ref,
        context: &Context<'_>,
    ) -> Check<Option<u32>> {
        let found = match descriptor.which().map_err(text)? {
            cap_descriptor::None(()) => Ref::Null,
            cap_descriptor::ReceiverHosted(id) => Ref::Object(self.exported(id)?),
            cap_descriptor::ReceiverAnswer(answer) => self.place(answer.map_err(text)?, context)?,
            cap_descriptor::SenderPromise(number) if expected == Ref::Broken => {
                let import = Import {
                    object: expected,
                    references: 1,
                    pins: 0,
                };
                let before = self.imports.insert(number, import);
                is(
                    "whether a promise has an old number",
                    before.is_some(),
                    false,
                )?;
                self.unresolved.insert(number);
                return Ok(Some(number));
            }
            cap_descriptor::SenderHosted(number) if expected != Ref::Broken => {
                if let Ref::Object(object) = expected {
                    let is_own = context.world.home(object).party == self.party();
                    is(
                        "whether an object of the peer's is given to it",
                        is_own,
                        false,
                    )?;
                    let known = *self.import_numbers.entry(object).or_insert(number);
                    is("the number of an object", known, number)?;
                }
                let import = self.imports.entry(number).or_insert(Import {
                    object: expected,
                    references: 0,
                    pins: 0,
                });
                is("an object", import.object, expected)?;
                import.references += 1;
                return Ok(Some(number));
            }
            _ => return Err("an unexpected descriptor".into()),
        };
        is("a capability", found, expected)?;
        Ok(None)
    }
}
