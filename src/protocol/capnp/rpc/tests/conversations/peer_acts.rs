//! The actions of a peer of its own accord: calls, answers, and the messages about the objects that it
//! holds.
//!
//! Knows `rpc.capnp`, and what a vat of level 1 may send when.

use capnp_rpc::rpc_capnp::exception;

use super::super::only;
use super::content::POINTERS;
use super::oracle::{Gives, Meaning};
use super::peer::{Context, Peer, Question, State};
use super::vat::INTERFACE;
use super::world::{Call, CallId, Check, Mode, ObjectId, Outcome, Ref, Refs};

impl Peer {
    // ----- calls -----

    fn question(&mut self, call: CallId, mode: Mode) -> u32 {
        let number = match mode {
            Mode::OnlyPipeline => {
                self.only_pipelined += 1;
                self.only_pipelined
            }
            _ => {
                let is_free = |number: &u32| !self.questions.contains_key(number);
                (0..).find(is_free).unwrap()
            }
        };
        let question = Question {
            call,
            is_returned: false,
            finish: None,
            pins: 0,
            pipelined: Vec::new(),
            results: Vec::new(),
        };
        self.questions.insert(number, question);
        self.question_numbers.insert(call, number);
        number
    }

    fn script(&self, context: &mut Context<'_>, target: Ref, params: Refs, mode: Mode) -> Call {
        Call {
            from: self.party(),
            target,
            params,
            mode,
            is_bootstrap: false,
            plan: context.world.plan(context.random),
        }
    }

    pub fn bootstrap(&mut self, context: &mut Context<'_>) {
        let mut script = self.script(context, Ref::Null, [Ref::Null; POINTERS], Mode::Caller);
        script.is_bootstrap = true;
        let call = context.world.call(script);
        let question = self.question(call, Mode::Caller);
        context.counts.add("bootstrap");
        self.send(Meaning::Bootstrap(call), |_, root| {
            root.init_bootstrap().set_question_id(question);
        });
    }

    /// Makes a call on `target`.
    pub fn call(&mut self, target: Ref, context: &mut Context<'_>) {
        let mode = match context.random.below(10) {
            0 => Mode::NoPipelining,
            1 => Mode::OnlyPipeline,
            _ => Mode::Caller,
        };
        let params = self.params(None, context);
        self.ask(target, params, mode, context);
    }

    fn ask(&mut self, target: Ref, params: Refs, mode: Mode, context: &mut Context<'_>) -> CallId {
        let script = self.script(context, target, params, mode);
        let call = context.world.call(script);
        if let Ref::Answer(on, index) = target {
            let number = self.question_numbers[&on];
            let question = self.questions.get_mut(&number).unwrap();
            question.pipelined.push((call, index));
        }
        context.counts.add(match (target, mode) {
            (_, Mode::Yourself) => "tail call",
            (_, Mode::NoPipelining) => "call with noPromisePipelining",
            (_, Mode::OnlyPipeline) => "call with onlyPromisePipeline",
            (Ref::Answer(..), _) => "pipelined call",
            _ => "call",
        });
        let question = self.question(call, mode);
        let world = &mut *context.world;
        self.send(Meaning::Call(call), |this, root| {
            let mut message = root.init_call();
            message.set_question_id(question);
            message.set_interface_id(INTERFACE);
            message.set_method_id(call);
            let mut on = message.reborrow().init_target();
            match target {
                Ref::Object(object) => on.set_imported_cap(this.import_numbers[&object]),
                Ref::Answer(other, index) => {
                    this.promised(world, other, index, on.init_promised_answer());
                }
                Ref::Null | Ref::Broken => {}
            }
            match mode {
                Mode::Caller => {}
                Mode::NoPipelining => message.set_no_promise_pipelining(true),
                Mode::OnlyPipeline => message.set_only_promise_pipeline(true),
                Mode::Yourself => message.reborrow().init_send_results_to().set_yourself(()),
            }
            this.fill(world, message.init_params(), call.into(), params);
        });
        call
    }

    /// Chooses a target for a call.
    pub fn target(&self, is_pipelined: bool, context: &mut Context<'_>) -> Option<Ref> {
        match is_pipelined {
            false => {
                let held = self.import_numbers.keys().copied();
                context.random.pick(held).map(Ref::Object)
            }
            true => self.open_place(context),
        }
    }

    fn open_place(&self, context: &mut Context<'_>) -> Option<Ref> {
        let open = self.pipelinable(context.world);
        let call = context.random.pick(open)?;
        Some(match context.world.script(call).is_bootstrap {
            true => Ref::Answer(call, 0),
            false => Ref::Answer(call, context.random.below(POINTERS)),
        })
    }

    /// Chooses capabilities for a message; they must not wait for `not`.
    fn params(&self, not: Option<CallId>, context: &mut Context<'_>) -> Refs {
        [(); POINTERS].map(|()| {
            let what = context.random.below(10);
            let (one, kind) = match what {
                0 | 1 => (Some(self.object(context)), "own capability as parameter"),
                2 | 3 => {
                    let held = self.import_numbers.keys().copied();
                    let one = context.random.pick(held).map(Ref::Object);
                    (one, "the vat's capability as parameter")
                }
                4 => (self.promise(context), "promise of the peer's as parameter"),
                5 => (self.open_place(context), "promised parameter"),
                _ => (None, ""),
            };
            let Some(one) = one else { return Ref::Null };
            if let (Some(call), world) = (not, &*context.world)
                && context.oracle.would_wait(world, None, [one], call)
            {
                return Ref::Null;
            }
            context.counts.add(match (kind, not) {
                ("promised parameter", Some(_)) => "receiverAnswer in results",
                (kind, _) => kind,
            });
            one
        })
    }

    /// Chooses an object of this peer.
    fn object(&self, context: &mut Context<'_>) -> Ref {
        let old = match context.random.one_in(2) {
            true => context.random.pick(self.numbers.keys().copied()),
            false => None,
        };
        let is_plain = |object: &ObjectId| !context.world.home(*object).is_promise;
        let object = old.filter(is_plain);
        Ref::Object(object.unwrap_or_else(|| context.world.object(self.party(), false)))
    }

    /// Chooses a promise of this peer that is not resolved.
    fn promise(&self, context: &mut Context<'_>) -> Option<Ref> {
        let is_open = |object: &ObjectId| {
            let promise = self.promises.get(object);
            promise.is_some_and(|promise| promise.becomes.is_none())
        };
        let open = self.numbers.keys().copied().filter(is_open);
        let old = match context.random.one_in(2) {
            true => context.random.pick(open),
            false => None,
        };
        let new = || context.world.object(self.party(), true);
        Some(Ref::Object(old.unwrap_or_else(new)))
    }

    // ----- answers -----

    /// Answers one of the vat's calls.
    pub fn answer(&mut self, context: &mut Context<'_>) -> Check<bool> {
        let ready = self.answers.iter();
        let ready = ready.filter(|(_, answer)| answer.state == State::Ready);
        let Some(question) = context.random.pick(ready.map(|(number, _)| *number)) else {
            return Ok(false);
        };
        let call = self.answers[&question].call;
        let what = context.random.below(8);
        if context.world.script(call).is_bootstrap {
            let root = self.object(context);
            let outcome = Outcome::Results(0, [root, Ref::Null, Ref::Null]);
            self.give(question, outcome, context)?;
            return Ok(true);
        }
        if what < 1 {
            let is_pipelined = context.random.one_in(2);
            let number = Some(self.number);
            if let Some(target) = self.target(is_pipelined, context)
                && !context
                    .oracle
                    .would_wait(context.world, number, [target], call)
            {
                self.tail(question, target, context)?;
                return Ok(true);
            }
        }
        let outcome = match what {
            7 => Outcome::Error(Some(call.into())),
            _ => Outcome::Results(call.into(), self.params(Some(call), context)),
        };
        self.give(question, outcome, context)?;
        Ok(true)
    }

    /// Releases the capabilities that came with a call, as its Return can tell; returns whether it
    /// does.
    fn release_params(&mut self, question: u32, context: &mut Context<'_>) -> bool {
        let answer = self.answers.get_mut(&question).unwrap();
        let params = std::mem::take(&mut answer.params);
        for number in &params {
            self.imports.get_mut(number).unwrap().pins -= 1;
        }
        let releases = context.random.one_in(2) && self.may_forget(&params);
        if releases {
            params.iter().for_each(|number| self.forget(*number, 1));
        }
        releases
    }

    /// Answers a call, and lets those that waited for it proceed.
    pub fn give(&mut self, question: u32, outcome: Outcome, context: &mut Context<'_>) -> Check {
        let call = self.answers[&question].call;
        let refs = [0, 1, 2].map(|index| outcome.at(index).unwrap_or(Ref::Null));
        refs.into_iter().for_each(|one| self.pin(one));
        let others = refs.into_iter().filter_map(Ref::answer);
        context.world.aliases.insert(call, others.collect());
        let releases = self.release_params(question, context);
        let needs_none = refs == [Ref::Null; POINTERS] && context.random.one_in(2);
        context.counts.add(match outcome {
            Outcome::Results(..) => "Return of results",
            Outcome::Error(_) => "Return of an exception",
        });
        let world = &mut *context.world;
        let meaning = Meaning::Return(call, Gives::Outcome(outcome));
        self.send(meaning, |this, root| {
            let mut message = root.init_return();
            message.set_answer_id(question);
            message.set_release_param_caps(releases);
            message.set_no_finish_needed(needs_none);
            match outcome {
                Outcome::Results(0, [root, ..]) => {
                    let mut results = message.init_results();
                    let table = results.reborrow().init_cap_table(1);
                    this.describe(world, root, table.get(0));
                    results.get_content().set_as_capability(only());
                }
                Outcome::Results(value, refs) => {
                    this.fill(world, message.init_results(), value, refs);
                }
                Outcome::Error(number) => {
                    let mut exception = message.init_exception();
                    exception.set_type(exception::Type::Failed);
                    exception.set_reason(number.map_or("lost".into(), |n| n.to_string()));
                }
            }
        });
        let answer = self.answers.get_mut(&question).unwrap();
        answer.state = State::Given(outcome);
        answer.is_finished = needs_none;
        for (waiting, index) in std::mem::take(&mut answer.waiting) {
            let target = outcome.at(index).unwrap_or(Ref::Broken);
            self.leave(waiting, target, context)?;
        }
        Ok(())
    }

    /// Answers one of the vat's calls with the results of a call on `target`.
    pub fn tail(&mut self, question: u32, target: Ref, context: &mut Context<'_>) -> Check {
        let call = self.answers[&question].call;
        let params = self.params(Some(call), context);
        let other = self.ask(target, params, Mode::Yourself, context);
        context.world.aliases.insert(call, vec![other]);
        self.pin_question(other, true);
        let releases = self.release_params(question, context);
        self.send(Meaning::Return(call, Gives::Take(other)), |this, root| {
            let mut message = root.init_return();
            message.set_answer_id(question);
            message.set_release_param_caps(releases);
            message.set_take_from_other_question(this.question_numbers[&other]);
        });
        let answer = self.answers.get_mut(&question).unwrap();
        answer.state = State::Tail(other);
        for (waiting, index) in std::mem::take(&mut answer.waiting) {
            self.leave(waiting, Ref::Answer(other, index), context)?;
        }
        Ok(())
    }

    // ----- what is held -----

    /// Finishes a question, before its Return only if it `may_be_early`; returns whether there was one.
    pub fn finish(&mut self, may_be_early: bool, context: &mut Context<'_>) -> bool {
        let open = self.questions.iter().filter(|(_, question)| {
            let is_sent = context.world.script(question.call).mode == Mode::OnlyPipeline;
            let is_late = question.is_returned || is_sent;
            question.finish.is_none() && question.pins == 0 && (is_late || may_be_early)
        });
        let Some(number) = context.random.pick(open.map(|(number, _)| *number)) else {
            return false;
        };
        let question = &self.questions[&number];
        let (call, is_returned) = (question.call, question.is_returned);
        let is_only_pipelined = context.world.script(call).mode == Mode::OnlyPipeline;
        let releases =
            context.random.one_in(2) && (!is_returned || self.may_forget(&question.results));
        let results = self.questions.get_mut(&number).unwrap();
        results.finish = Some(releases);
        let results = std::mem::take(&mut results.results);
        if is_returned && releases {
            results.iter().for_each(|number| self.forget(*number, 1));
        }
        if is_returned || is_only_pipelined {
            self.questions.remove(&number);
            self.question_numbers.remove(&call);
        }
        context.counts.add(match is_returned {
            true => "Finish after the Return",
            false => "early Finish",
        });
        self.send(Meaning::Other, |_, root| {
            let mut message = root.init_finish();
            message.set_question_id(number);
            message.set_release_result_caps(releases);
        });
        true
    }

    /// Releases some references to an object of the vat, or `all` that may be released; returns whether
    /// there were any.
    pub fn release(&mut self, all: bool, context: &mut Context<'_>) -> bool {
        let held = self.imports.keys().copied();
        let held = held.filter(|number| self.spare(*number) > 0);
        let Some(number) = context.random.pick(held) else {
            return false;
        };
        let most = self.spare(number);
        let count = match all {
            true => most,
            false => 1 + context.random.below(most),
        };
        self.forget(number, count);
        context.counts.add("Release");
        self.send(Meaning::Other, |_, root| {
            let mut message = root.init_release();
            message.set_id(number);
            message.set_reference_count(count.try_into().unwrap());
        });
        true
    }

    /// Resolves a promise, and forwards the calls on it; returns whether there was one.
    pub fn resolve(&mut self, context: &mut Context<'_>) -> Check<bool> {
        let open = self.promises.iter();
        let open = open.filter(|(_, promise)| promise.becomes.is_none());
        let Some(object) = context.random.pick(open.map(|(object, _)| *object)) else {
            return Ok(false);
        };
        // Two promises that become each other are never resolved.
        let held = self.import_numbers.keys().copied();
        let held = held.filter(|object| !context.world.home(*object).is_promise);
        let becomes = match context.random.below(5) {
            0 => Some(Ref::Broken),
            1 | 2 => None,
            _ => context.random.pick(held).map(Ref::Object),
        };
        let becomes = becomes.unwrap_or_else(|| self.object(context));
        self.pin(becomes);
        // The vat may have released it, and still wait for its calls on it.
        if let Some(number) = self.numbers.get(&object).copied() {
            self.send_resolve(number, becomes, context);
        }
        let promise = self.promises.entry(object).or_default();
        promise.becomes = Some(becomes);
        for question in std::mem::take(&mut promise.queue) {
            self.leave(question, becomes, context)?;
        }
        self.forget_promise(object);
        Ok(true)
    }

    fn send_resolve(&mut self, number: u32, becomes: Ref, context: &mut Context<'_>) {
        context.counts.add("Resolve");
        let world = &mut *context.world;
        self.send(Meaning::Other, |this, root| {
            let mut message = root.init_resolve();
            message.set_promise_id(number);
            match becomes {
                Ref::Broken => message.init_exception().set_reason("broken"),
                becomes => this.describe(world, becomes, message.init_cap()),
            }
        });
    }
}
