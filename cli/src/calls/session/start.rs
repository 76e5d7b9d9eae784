//! A call from its plan to its answer.
//!
//! Knows what has to be there before a call is sent, and what of it is sent; nothing of who waits
//! for the answer, which is [`running`](crate::calls::running)'s.

use bitcoin_ipc::Error;
use bitcoin_ipc::dynamic::core::{self, Submit, Wait};
use eyre::Result;

use super::{Answer, Call, Session, hosting, kept, nothing_to_keep};
use crate::calls::running::{Ender, Running};
use crate::schema::methods::{Method, Start};
use crate::ui::errors::{Failure, Kind};

impl Session {
    /// Makes a call and waits for its answer, until a signal comes or time runs out.
    pub(crate) fn call(&mut self, call: &mut Call) -> Result<Answer> {
        let output = self.context.output.clone();
        let _spinner = output.spin_and_tell(&call.name(), call.advice());
        match self.start(call) {
            Ok(running) => {
                let answer = running.finish(&self.context)??;
                self.check_wait(call, &answer)?;
                Ok(answer)
            }
            Err(error) => {
                // Whatever failed, it did so because of the signal.
                self.context.signals.check()?;
                Err(error)
            }
        }
    }

    /// Fails where a wait was ended in the node, so that nobody takes its answer for a tip.
    fn check_wait(&self, call: &Call, answer: &Answer) -> Result<(), Failure> {
        let last = call.plan.methods.last().map(Method::full_name);
        let of_core = self.schema.generation.is_some();
        match last.is_some_and(|last| of_core && core::was_ended(&last, &answer.value)) {
            false => Ok(()),
            true => Err(
                Failure::new(Kind::Lost, format!("{} was ended by the node", call.name()))
                    .hint("it shuts down, or another client interrupted it"),
            ),
        }
    }

    /// Fails where no answer to a call could be kept under a name, so that it need not be made.
    pub(crate) fn check_name(&self, call: &Call, name: &str) -> Result<(), Failure> {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(
                Failure::usage(format!("{name:?} cannot be an object's name"))
                    .hint("a name has letters, digits and _ in it"),
            );
        }
        let registry = match call.plan.generation {
            Some(generation) => self.schemas.of(generation)?.registry,
            None => self.schema.registry.clone(),
        };
        let last = call.plan.methods.last();
        if last.is_some_and(|last| kept::may_be_in(&registry, &last.info)) {
            return Ok(());
        }
        Err(nothing_to_keep(name).hint(format!(
            "{} returns no object: only objects are kept",
            call.name()
        )))
    }

    /// Starts a call.
    pub(crate) fn start(&mut self, call: &mut Call) -> Result<Running<Result<Answer, Error>>> {
        // What is hosted keeps the schema that it was hosted by.
        if !self.certain && (call.hosts() || !self.is_the_same_everywhere(&call.plan)) {
            self.learn()?;
        }
        if self.schema.generation != call.plan.generation {
            self.plan_again(call)?;
        }
        let handle = match &call.plan.start {
            Start::Root => self.root()?,
            Start::Held(handle) => handle.clone(),
            Start::Made(maker, interface) => self.object_of(maker, *interface)?,
        };
        let plan = &call.plan;
        // Some are more than one message.
        let mut methods = plan.methods.iter().rev().map(Method::full_name);
        let (last, maker) = (methods.next().unwrap_or_default(), methods.next());
        let maker = maker.unwrap_or_default();
        let (generation, steps) = (self.schema.generation, &plan.steps);
        // One that is said to be 32 has it where 32 does.
        let submit = match self.schemas.fixed {
            None => Submit::of(generation, &last, &self.objects, steps, maker.clone())?,
            Some(_) => None,
        };
        let wait = Wait::of(generation, &last, &self.objects, steps, maker)?;
        let ender = match &wait {
            Some(wait) => Some(Ender::of_wait(wait.stop())),
            // Of a chain too: its first method may be the one that takes long.
            None => plan
                .methods
                .first()
                .and_then(|first| Ender::of(&self.schema, &self.objects, &handle, first.name())),
        };
        let (steps, hosted) = self.printers.host(&self.objects, plan)?;
        let heard = self.context.signals.count();
        let (objects, printers) = (self.objects.clone(), self.printers.clone());
        let name = last;
        let last = plan.methods.last();
        let has_result = last.is_some_and(|method| method.has_result);
        let is_object = last.is_some_and(|method| method.returns.is_some());
        let method = last.map(|method| method.info.clone());
        let running = self.workers.start(call.name(), move || {
            let value = match (submit, wait) {
                (Some(submit), _) => submit.run(&handle),
                (_, Some(wait)) => wait.run(&handle),
                (None, None) => objects.chain(&handle, &steps),
            };
            let value = value.and_then(|value| core::newest_answer(generation, &name, value));
            let value = value.inspect_err(|_| {
                for handle in &hosted {
                    hosting::let_go(&printers, &objects, handle);
                }
            })?;
            Ok(Answer {
                value,
                method,
                has_result,
                is_object,
            })
        })?;
        let running = running.ended_by(ender, plan.steps.len() > 1);
        Ok(running.after_signals(heard).advising(call.advice()))
    }
}
