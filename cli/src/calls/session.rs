//! Calls by name on one connection, and the objects that they return.
//!
//! Knows methods, values and handles; nothing of where lines come from or how they are printed.

mod connection;
mod hosting;
mod kept;
mod plan;
mod start;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bitcoin_ipc::Generation;
use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::json::{Meaning, Options as Manner};
use bitcoin_ipc::interfaces::Disconnection;
use eyre::Result;
use serde_json::{Value as Json, json};

use self::hosting::Printers;
use self::plan::Plan;
pub(crate) use self::plan::{Answer, Call};
use crate::context::Context;
use crate::ui::errors::{Failure, Kind};

use crate::calls::running::Workers;
use crate::calls::values::Words;
use crate::peer::target::{self, Link, OwnChild};
use crate::schema::choice::{NEWEST, Schema, Schemas};
use crate::schema::complete::split_held;
use crate::schema::methods::{Method, Start, in_a_session};
use crate::ui::output::Shown;

/// The time that releasing the held objects may take.
const END: Duration = Duration::from_secs(1);

/// A connection and the objects made on it. Objects are released before the connection ends.
pub(crate) struct Session {
    context: Context,
    schemas: Schemas,
    /// The schema in use, and whether the peer is known to speak it.
    schema: Schema,
    certain: bool,
    objects: Objects,
    /// The handle of the bootstrap interface.
    root: Option<String>,
    /// The objects of calls that name only an interface, by interface.
    made: HashMap<u64, String>,
    printers: Printers,
    link: Option<Link>,
    /// Whether the next connection may be to a node child of our own: as the last one was.
    own_child: OwnChild,
    /// The end of the connection, which rings.
    end: Option<Disconnection>,
    /// The threads that make the calls.
    workers: Workers,
}

/// Returns the generations before the newest, the oldest first.
fn older() -> impl DoubleEndedIterator<Item = Generation> {
    let older = |generation: &Generation| *generation < NEWEST;
    Generation::ALL.iter().copied().filter(older)
}

impl Session {
    /// Creates a session without a connection yet, which can already read calls.
    pub(crate) fn new(context: &Context) -> Result<Self, Failure> {
        let schemas = Schemas::load(&context.options)?;
        let schema = schemas.assumed()?;
        let objects = Objects::new(schema.registry.clone(), manner(context));
        Ok(Self {
            context: context.clone(),
            certain: schemas.fixed.is_some() || schema.generation.is_none(),
            schemas,
            schema,
            objects,
            root: None,
            made: HashMap::new(),
            printers: Printers::new(context.output.clone(), context.signals.events()),
            link: None,
            own_child: OwnChild::Never,
            end: None,
            workers: Workers::new(context.signals.events()),
        })
    }

    /// Connects to the peer.
    pub(crate) fn open(&mut self, own_child: OwnChild) -> Result<()> {
        self.schema.check_root()?;
        let name = &self.schema.root.name;
        let (link, handle) = match self.schema.generation {
            None => target::open_other(&self.context, &self.objects, name)?,
            Some(_) => {
                let link = target::open(&self.context, own_child)?;
                let remote = link.init.as_ref().and_then(|init| init.remote());
                let remote = remote.ok_or_else(|| eyre::eyre!("the peer is this process"))?;
                let handle = self.objects.adopt(remote, name)?;
                (link, handle)
            }
        };
        self.objects.set_aside(&handle, name)?;
        self.root = Some(name.clone());
        if link.own_role {
            self.own_child = own_child;
        }
        self.link = Some(link);
        self.watch();
        Ok(())
    }

    pub(crate) fn link(&self) -> Result<&Link, Failure> {
        let link = self.link.as_ref();
        link.ok_or_else(|| Failure::new(Kind::NoConnection, "there is no connection"))
    }

    /// Returns the objects that are hosted here and print their calls.
    pub(crate) fn printers(&self) -> &Printers {
        &self.printers
    }

    /// Releases the handles of the objects that print their calls, so that these are dropped when
    /// the peer releases them.
    pub(crate) fn leave_printers(&self) {
        self.printers.leave(&self.objects);
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Releases the objects and ends the connection.
    pub(crate) fn end(self) {
        let Self {
            objects,
            root,
            link,
            workers,
            ..
        } = self;
        let end = root.and_then(|root| objects.disconnection(&root));
        // By name, since a call that was given up keeps references to the rest.
        let release = move || {
            for (handle, _) in objects.handles() {
                objects.release(&handle);
            }
        };
        // On a thread that has made calls, so that the peer needs no other thread for it.
        if let Ok(releasing) = workers.start("the end", release) {
            let _ = releasing.wait(END);
        }
        if let Some(link) = link {
            link.end(end);
        }
    }

    /// Finds out which generation the peer speaks, unless that is known, and uses its schema from
    /// now on.
    pub(crate) fn learn(&mut self) -> Result<Schema> {
        if !self.certain {
            let init = self.link()?.init.clone();
            let generation = match init {
                Some(init) => {
                    let probe = move || Generation::of(&*init);
                    let probing = self.workers.start("asking which generation it is", probe)?;
                    probing.finish(&self.context)??
                }
                None => NEWEST,
            };
            self.speak(generation)?;
        }
        Ok(self.schema.clone())
    }

    /// Uses the schema of a generation, unless the user has said which one.
    pub(crate) fn speak(&mut self, generation: Generation) -> Result<(), Failure> {
        if self.certain {
            return Ok(());
        }
        self.certain = true;
        if self.schema.generation != Some(generation) {
            self.schema = self.schemas.of(generation)?;
            self.objects = self.objects.with_registry(self.schema.registry.clone());
        }
        Ok(())
    }

    /// Reads a call, also before there is a connection, so that a mistake costs none. It may start
    /// from an object that is held: `e.echo hi`.
    pub(crate) fn parse(
        &self,
        path: &str,
        words: &[String],
        stdin_free: bool,
    ) -> Result<Call, Failure> {
        self.read(path, Words::new(words, stdin_free))
    }

    /// Reads a call as [`Session::parse`] does, with words that may come from several sources.
    pub(crate) fn read(&self, path: &str, mut words: Words) -> Result<Call, Failure> {
        let plan = match self.plan(&self.schema, path, &mut words) {
            Err(failure) if !self.certain => self.older(path, &mut words).ok_or(failure)?,
            plan => plan?,
        };
        Ok(Call {
            path: path.to_owned(),
            words,
            plan,
        })
    }

    /// Reads a call again that another session has read.
    pub(crate) fn again(&self, call: &Call) -> Result<Call, Failure> {
        self.read(&call.path, call.words.clone())
    }

    /// Fails where no words could make a call of this path.
    pub(crate) fn find(&self, path: &str) -> Result<(), Failure> {
        let found = self.schema.resolve(path, None).map(drop);
        let mut older = older().rev();
        let mut has = |generation| {
            let schema = self.schemas.of(generation);
            schema.is_ok_and(|schema| schema.resolve(path, None).is_ok())
        };
        match found {
            Err(_) if !self.certain && older.any(&mut has) => Ok(()),
            found => found,
        }
    }

    /// Plans a call of a method that only an older generation has.
    fn older(&self, path: &str, words: &mut Words) -> Option<Plan> {
        // Where the newest has the method, the words are wrong.
        if self.schema.resolve(path, None).is_ok() {
            return None;
        }
        older().rev().find_map(|generation| {
            let schema = self.schemas.of(generation).ok()?;
            self.plan(&schema, path, words).ok()
        })
    }

    fn plan(&self, schema: &Schema, path: &str, words: &mut Words) -> Result<Plan, Failure> {
        let held = |name: &str| {
            let hidden = self.is_hidden(name);
            self.objects.interface_of(name).filter(|_| !hidden)
        };
        let split = split_held(path, |name| held(name).is_some());
        let start = split.and_then(|(name, rest)| Some((name, held(name)?, rest)));
        let (start, methods) = match start {
            Some((name, interface, rest)) => schema.resolve(rest, Some((name, interface)))?,
            None => schema.resolve(path, None)?,
        };
        let (named, registries) = plan::named(&self.schemas, schema, &methods)?;
        let mut steps = Vec::new();
        let mut prints = BTreeMap::new();
        for (index, (method, registry)) in methods.iter().zip(registries).enumerate() {
            let objects = match Arc::ptr_eq(&registry, self.objects.registry()) {
                true => self.objects.clone(),
                false => self.objects.with_registry(registry),
            };
            let bound = words.bind(&named, index, &objects);
            let bound = bound.map_err(|failure| match index + 1 == methods.len() {
                true => failure,
                // Their parameters are given by name, and no object is hosted for them.
                false => failure.hint(in_a_session(method, path)),
            })?;
            let is_optional = |name: &str| {
                let known = method.params.iter().find(|param| param.name == name);
                known.is_some_and(|param| param.optional)
            };
            let mut params = bound.params;
            params.retain(|name, _| method.params.iter().any(|param| param.name == *name));
            let params = Json::Object(params);
            let generation = schema.generation;
            let params = core::with_newest_defaults(generation, &method.info, is_optional, params);
            prints = bound.prints;
            steps.push(Step::new(method.name(), params));
        }
        Ok(Plan {
            generation: schema.generation,
            start,
            methods,
            steps,
            prints,
        })
    }

    /// Returns the methods and parameters that a call would send, without sending it.
    pub(crate) fn dry_run(&self, call: &Call) -> Result<Shown, Failure> {
        let Plan { methods, steps, .. } = &call.plan;
        let mut shown = Vec::new();
        for (method, step) in methods.iter().zip(steps) {
            let objects = match call.plan.generation == self.schema.generation {
                true => self.objects.clone(),
                false => {
                    let generation = call.plan.generation.unwrap_or(NEWEST);
                    let schema = self.schemas.of(generation)?;
                    self.objects.with_registry(schema.registry)
                }
            };
            let params = objects.check(&method.info, &step.params)?;
            let (name, ordinal) = (method.full_name(), method.info.ordinal);
            shown.push(json!({ "method": name, "ordinal": ordinal, "params": params }));
        }
        let only = shown.len() == 1;
        Ok(Shown::Structured(match shown.pop() {
            Some(shown) if only => shown,
            last => shown.into_iter().chain(last).collect(),
        }))
    }

    /// Plans a call anew by the peer's schema.
    fn plan_again(&self, call: &mut Call) -> Result<(), Failure> {
        let plan = self.plan(&self.schema, &call.path, &mut call.words);
        call.plan = plan.map_err(|failure| {
            let lacking = call.plan.methods.iter().find(|method| {
                let interface = &method.info.interface;
                self.schema.find(interface.id, method.name()).is_err()
            });
            match (lacking, self.schema.generation) {
                (Some(method), Some(generation)) => Failure::new(
                    Kind::Unimplemented,
                    format!("this node ({generation}) has no {}", method.name()),
                )
                .hint(format!(
                    "`bitcoin-ipc --core {} list {}` shows what it has",
                    generation.number(),
                    method.info.interface.name
                )),
                _ => failure,
            }
        })?;
        Ok(())
    }

    /// Whether every generation has these methods at the same ordinals, so that it does not matter
    /// which one the peer speaks.
    fn is_the_same_everywhere(&self, plan: &Plan) -> bool {
        let maker = match &plan.start {
            Start::Made(_, interface) => self.schema.maker(*interface).ok().flatten(),
            _ => None,
        };
        // The maker first: it is the one that differs.
        let mut methods = maker.iter().chain(&plan.methods);
        methods.all(|method| {
            older().all(|generation| {
                let other = self.schemas.of(generation);
                let here = &self.schema.registry;
                other.is_ok_and(|other| core::is_same(here, &other.registry, &method.info))
            })
        })
    }

    fn root(&self) -> Result<String, Failure> {
        self.link()?;
        Ok(self.root.clone().unwrap_or_default())
    }

    fn is_hidden(&self, handle: &str) -> bool {
        self.root.as_deref() == Some(handle) || self.made.values().any(|made| made == handle)
    }

    /// Returns the object for calls on this interface, which the bootstrap interface makes once.
    fn object_of(&mut self, maker: &str, interface: u64) -> Result<String> {
        if let Some(handle) = self.made.get(&interface) {
            return Ok(handle.clone());
        }
        let root = self.root()?;
        let (objects, method) = (self.objects.clone(), maker.to_owned());
        let make = move || objects.call(&root, &method, Json::Null);
        let making = format!("{}.{maker}", self.schema.root.name);
        let made = self.workers.start(making, make)?.finish(&self.context)??;
        let Json::String(handle) = made else {
            let failure = none(&format!("{}.{maker}", self.schema.root.name));
            let stand_in = self.link()?.own_role;
            return Err(match stand_in {
                true => failure.hint(
                    "it is one of our own, started here in place of a node: start Bitcoin Core \
                     with -ipcbind=unix, or name its socket with --address",
                ),
                false => failure,
            }
            .into());
        };
        let name = self.schema.name_of(interface);
        // Not where the user holds an object of this name, or the peer gave one again.
        if self.objects.interface_of(&name).is_some() || self.is_hidden(&handle) {
            return Ok(handle);
        }
        self.objects.set_aside(&handle, &name)?;
        self.made.insert(interface, name.clone());
        Ok(name)
    }

    /// Returns a result as it is printed. Objects are held under their handles, or under `name` and
    /// names that begin with it.
    pub(crate) fn show(
        &mut self,
        mut answer: Answer,
        name: Option<&str>,
    ) -> Result<Shown, Failure> {
        if let (Some(name), Some(method)) = (name, &answer.method) {
            let kept = kept::keep(&self.objects, method, &mut answer.value, name)?;
            if kept.is_empty() && (answer.value.is_null() || !answer.has_result) {
                return Err(nothing_to_keep(name).hint("the call was made, and has no object"));
            }
            let of_these = |made: &String| kept.iter().any(|(a, b)| made == a || made == b);
            self.made.retain(|_, made| !of_these(made));
            for (handle, name) in &kept {
                self.printers.rename(handle, name);
            }
        }
        Ok(match answer.value {
            _ if !answer.has_result => Shown::Nothing,
            value if answer.is_object && !value.is_null() => Shown::Structured(value),
            value => Shown::of(value),
        })
    }

    /// Returns the objects that are held: name and interface.
    pub(crate) fn held(&self) -> Vec<(String, String)> {
        let mut held = self.objects.handles();
        held.retain(|(name, _)| !self.is_hidden(name));
        held
    }

    /// Releases all objects that calls returned.
    pub(crate) fn release_all(&mut self) {
        let names = self.held().into_iter().map(|(name, _)| name).collect();
        self.let_go(names);
    }

    /// Releases objects on a thread that makes calls, so that the peer destroys them before the
    /// next call. Returns whether all of them existed.
    fn let_go(&self, names: Vec<String>) -> bool {
        let (objects, printers) = (self.objects.clone(), self.printers.clone());
        let release = move || {
            let let_go = |name: &String| hosting::let_go(&printers, &objects, name);
            names.iter().map(let_go).filter(|there| !there).count() == 0
        };
        let releasing = self.workers.start("letting go", release);
        releasing.is_ok_and(|releasing| releasing.wait(END).is_ok_and(|there| there == Some(true)))
    }

    /// Releases an object, or those that are kept under names that begin with this one.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), Failure> {
        let names = self.held().into_iter().map(|(held, _)| held);
        let names: Vec<_> = names.filter(|held| kept::is_of(held, name)).collect();
        if !names.is_empty() && self.let_go(names) {
            return Ok(());
        }
        Err(Failure::usage(format!("no object is held as {name:?}"))
            .hint(".caps lists those that are"))
    }

    /// Asks whether the peer has a method of its bootstrap interface, without running it.
    pub(crate) fn offers(&self, maker: &Method) -> Result<bool> {
        let root = self.root()?;
        let context = &self.context;
        Ok(context.calling(|| self.objects.implements(&root, maker.name()))?)
    }
}

/// Returns the options for showing and taking values.
pub(crate) fn manner(context: &Context) -> Manner {
    match context.options.wire_order {
        false => core::options(),
        true => core::options().meaning(|owner, field, ty| match core::meaning(owner, field, ty) {
            Meaning::Hash => Meaning::WireHash,
            meaning => meaning,
        }),
    }
}

fn nothing_to_keep(name: &str) -> Failure {
    Failure::usage(format!("there is no object to keep as {name:?}"))
}

/// Returns the failure of a null capability where an object is needed.
fn none(method: &str) -> Failure {
    Failure::new(
        Kind::Unimplemented,
        format!("the peer does not offer it: {method} is null"),
    )
    .hint("`bitcoin-ipc connect` shows what the peer offers")
}
