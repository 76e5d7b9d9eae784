//! Several generations of the same interfaces, one of which is spoken to a peer: the newest one's traits,
//! and the older ones behind them.
//!
//! Knows Cargo as the builder does, and the rules by their names; decides nothing about a single method.

use crate::builder::{Builder, folder_of, texts, write};
use crate::emit::{adapters, releases as emit_releases};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::model::adapt::{Adapters, How, Said, adapt};
use crate::model::{self, Interface, Method, Model};
use crate::request::{Index, Request};
use crate::wire;

/// The generations of the library's own interfaces, in folders of compiled schemas. Of no use elsewhere.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Generations {
    folder: String,
    names: Vec<String>,
    bootstrap: String,
    said: Vec<(String, Said)>,
    keeps: Vec<(String, String)>,
    results: Vec<(String, String)>,
    layers: Vec<String>,
    wraps: Vec<(String, String)>,
    values: Vec<(String, String)>,
    nullable: Vec<String>,
}

/// A generation.
pub(crate) struct Release {
    /// Its name, such as `core30`.
    pub(crate) name: String,
    /// Its number, such as 30.
    pub(crate) number: u32,
    /// The path of its compiled schema in the package.
    pub(crate) compiled: String,
    /// Its model and how it answers the newest interfaces, unless it is the newest.
    pub(crate) older: Option<(Model, Layout, Adapters)>,
}

impl Release {
    /// Returns its name as a variant of an enum.
    pub(crate) fn variant(&self) -> String {
        format!("Core{}", self.number)
    }
}

/// The bootstrap interface of the newest generation.
pub(crate) struct Bootstrap<'m> {
    pub(crate) interface: &'m Interface,
    /// Its methods, each with what it is in every generation.
    pub(crate) methods: Vec<(&'m Method, Vec<How>)>,
    /// The functions for the results of methods, by their places.
    pub(crate) results: &'m [(String, String)],
}

impl Generations {
    /// Takes the compiled schemas `<folder>/<name>/compiled.bin`, the oldest first. A name is a word and a
    /// number, such as `core30`.
    pub fn new<'a>(folder: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            folder: folder.to_owned(),
            names: names.into_iter().map(str::to_owned).collect(),
            bootstrap: "Init".to_owned(),
            said: Vec::new(),
            keeps: Vec::new(),
            results: Vec::new(),
            layers: Vec::new(),
            wraps: Vec::new(),
            values: Vec::new(),
            nullable: Vec::new(),
        }
    }

    fn said(&mut self, generation: &str) -> &mut Said {
        let at = match self.said.iter().position(|(name, _)| name == generation) {
            Some(at) => at,
            None => {
                self.said.push((generation.to_owned(), Said::default()));
                self.said.len() - 1
            }
        };
        &mut self.said[at].1
    }

    /// Says that the answers of a method of a generation are converted by
    /// `generation::by_hand::<generation>::<interface>_<method>`. `place` is such as `Mining.getTip`.
    #[must_use]
    pub fn by_hand(mut self, generation: &str, place: &str) -> Self {
        self.said(generation).by_hand.push(place.to_owned());
        self
    }

    /// Says that a generation, and all before it, lack a parameter or field, such as
    /// `Mining.createNewBlock.cooldown`, and that it is neither sent nor answered there.
    #[must_use]
    pub fn lacking(mut self, generation: &str, place: &str) -> Self {
        self.said(generation).lacking.push(place.to_owned());
        self
    }

    /// Says that the traits do without a method of a generation, and all before it, that newer ones have no
    /// longer, such as `BlockTemplate.getCoinbaseCommitment`.
    #[must_use]
    pub fn gone(mut self, generation: &str, place: &str) -> Self {
        self.said(generation).gone.push(place.to_owned());
        self
    }

    /// Keeps a method in the trait that newer generations than this one have no longer, such as
    /// `BlockTemplate.getTxSigops`: implementors of it still compile, and older peers are still called.
    #[must_use]
    pub fn keep(mut self, generation: &str, place: &str) -> Self {
        self.keeps.push((generation.to_owned(), place.to_owned()));
        self
    }

    /// Passes what a method of the bootstrap interface makes, whatever the generation, to a function.
    #[must_use]
    pub fn result(mut self, place: &str, function: &str) -> Self {
        self.results.push((place.to_owned(), function.to_owned()));
        self
    }

    /// Generates a trait for layers over this interface.
    #[must_use]
    pub fn layer(mut self, interface: &str) -> Self {
        self.layers.push(interface.to_owned());
        self
    }

    /// Has a type stand for a field in all generations, as [`Builder::value`] does.
    #[must_use]
    pub fn value(mut self, field: &str, path: &str) -> Self {
        self.values.push((field.to_owned(), path.to_owned()));
        self
    }

    /// Makes a struct optional in all generations, as [`Builder::nullable`] does.
    #[must_use]
    pub fn nullable(mut self, field: &str) -> Self {
        self.nullable.push(field.to_owned());
        self
    }

    /// Wraps the client of an interface of the newest generation, as [`Builder::wrap`] does.
    #[must_use]
    pub fn wrap(mut self, interface: &str, function: &str) -> Self {
        self.wraps.push((interface.to_owned(), function.to_owned()));
        self
    }

    /// Writes the newest generation to `$OUT_DIR/newest/`, the others to folders of their names, and
    /// `list.rs`, `adapters.rs`, `older_interfaces.rs` and `older_proxies.rs`.
    ///
    /// # Errors
    /// Fails as [`Builder::generate`] does, and where an older generation differs from the newest in a way
    /// that no rule maps and nothing was said about.
    pub fn generate(&self) -> Result<()> {
        let compiled = |name: &str| format!("{}/{name}/compiled.bin", self.folder);
        let out_dir = folder_of("OUT_DIR")?;
        let mut requests = Vec::new();
        for name in &self.names {
            let bytes = Builder::new(compiled(name)).read(&out_dir)?;
            requests.push(Request::read(&bytes, name)?);
        }
        let mut indices = Vec::new();
        for (name, request) in self.names.iter().zip(&requests) {
            indices.push(request.index(name)?);
        }
        let Some(newest_index) = indices.pop() else {
            return Err(Error::Usage("no generation is named".into()));
        };
        let mut newest_layout = Layout::library();
        newest_layout.wraps.clone_from(&self.wraps);
        let meanings = (&self.values, &self.nullable);
        newest_layout.mean(meanings);
        let mut newest = model::build(&newest_index, &newest_layout)?;
        let mut meant = newest.meant.clone();
        let mut models = Vec::new();
        for (name, mut index) in self.names.iter().zip(indices) {
            let mut layout = Layout::older(name);
            layout.mean(meanings);
            let differing = index.differing(&newest_index)?;
            index
                .requested
                .retain(|file| differing.contains(&file.module));
            let older = model::build(&index, &layout)?;
            meant.extend(older.meant.iter().cloned());
            for (_, place) in self
                .keeps
                .iter()
                .filter(|(generation, _)| generation == name)
            {
                newest.keep(&older, place)?;
            }
            self.write(&older, &index, &layout, name)?;
            models.push((older, layout));
        }
        newest_layout.check_meanings(&meant)?;
        let mut releases = Vec::new();
        for (name, (older, layout)) in self.names.iter().zip(models) {
            let adapters = adapt(&newest, &older, name, &self.said_of(name))?;
            self.check_heeded(name, &adapters)?;
            releases.push(self.release(name, Some((older, layout, adapters)))?);
        }
        self.write(&newest, &newest_index, &newest_layout, "newest")?;
        let newest_name = self.names.last().map(String::as_str).unwrap_or_default();
        releases.push(self.release(newest_name, None)?);

        let mut interfaces = newest.files.iter().flat_map(|file| &file.interfaces);
        let Some(interface) = interfaces.find(|i| i.named.schema == self.bootstrap) else {
            return Err(Error::Usage(format!("there is no {}", self.bootstrap)));
        };
        self.check_names(&newest, interface)?;
        let bootstrap = self.bootstrap_of(interface, &releases)?;
        let detection = detection(interface, &releases)?;
        let (older_interfaces, older_proxies) = emit_releases::modules(&releases, &interface.named);
        let newest = (&newest, &newest_layout);
        for (file, text) in [
            ("list.rs", emit_releases::list(&releases, &detection)),
            ("older_interfaces.rs", older_interfaces),
            ("older_proxies.rs", older_proxies),
            (
                "adapters.rs",
                adapters::adapters(&releases, newest, &self.layers, &bootstrap),
            ),
        ] {
            write(&out_dir.join(file), &text)?;
        }
        Ok(())
    }

    /// Checks that all that was said of a generation itself mattered, so that nothing is said in vain.
    fn check_heeded(&self, generation: &str, adapters: &Adapters) -> Result<()> {
        let said = self.said.iter().filter(|(name, _)| name == generation);
        for (_, said) in said {
            let mut all = said.by_hand.iter().chain(&said.lacking).chain(&said.gone);
            if let Some(place) = all.find(|place| !adapters.heeded.contains(*place)) {
                return Err(Error::Usage(format!(
                    "{generation}: {place} is said to be by hand, lacking or gone, and is not"
                )));
            }
        }
        Ok(())
    }

    /// Checks that what is named there is: generations, methods of the bootstrap interface, interfaces.
    fn check_names(&self, newest: &Model, bootstrap: &Interface) -> Result<()> {
        let none = |name: &str, what: &str| Err(Error::Usage(format!("there is no {what} {name}")));
        let keeps = self.keeps.iter().map(|(generation, _)| generation);
        for generation in self.said.iter().map(|(name, _)| name).chain(keeps) {
            let mut older = self.names.iter().rev().skip(1);
            if older.all(|name| name != generation) {
                return none(generation, "older generation");
            }
        }
        for (place, _) in &self.results {
            let mut methods = bootstrap.methods.iter();
            let is_there = methods.any(|m| *place == format!("{}.{}", self.bootstrap, m.schema));
            if !is_there {
                return none(place, "method");
            }
        }
        for layer in &self.layers {
            let mut interfaces = newest.files.iter().flat_map(|file| &file.interfaces);
            if interfaces.all(|interface| interface.named.schema != *layer) {
                return none(layer, "interface");
            }
        }
        Ok(())
    }

    /// Returns what was said of a generation. What a newer one lacks or has lost, it lacks as well or
    /// may still have.
    fn said_of(&self, name: &str) -> Said {
        let newer = self.names.iter().skip_while(|newer| *newer != name);
        let mut all = Said::default();
        for newer in newer {
            let Some((_, said)) = self.said.iter().find(|(name, _)| name == newer) else {
                continue;
            };
            if newer == name {
                all.by_hand.clone_from(&said.by_hand);
            }
            all.lacking.extend(said.lacking.iter().cloned());
            all.gone.extend(said.gone.iter().cloned());
        }
        all
    }

    /// Writes a generation's traits, proxies and wire modules.
    fn write(&self, model: &Model, index: &Index<'_>, layout: &Layout, name: &str) -> Result<()> {
        let folder = folder_of("OUT_DIR")?.join(name);
        std::fs::create_dir_all(&folder)
            .map_err(|e| Error::io(format!("make {}", folder.display()), e))?;
        let generated = texts(model, layout)?;
        let modules = wire::write(index, layout, &folder)?;
        write(&folder.join("interfaces.rs"), &generated.interfaces)?;
        write(&folder.join("proxies.rs"), &generated.proxies)?;
        write(&folder.join("wire.rs"), &wire::join(&modules, layout, name))
    }

    fn release(&self, name: &str, older: Option<(Model, Layout, Adapters)>) -> Result<Release> {
        let number = name
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .parse();
        let number = number.map_err(|_| {
            Error::Usage(format!(
                "{name:?}: a generation is a word and a number, such as core30"
            ))
        })?;
        Ok(Release {
            name: name.to_owned(),
            number,
            compiled: format!("{}/{name}/compiled.bin", self.folder),
            older,
        })
    }

    /// Returns what each method of the bootstrap interface is in every generation.
    fn bootstrap_of<'m>(
        &'m self,
        interface: &'m Interface,
        releases: &[Release],
    ) -> Result<Bootstrap<'m>> {
        let mut methods = Vec::new();
        for method in interface.methods.iter().filter(|method| method.is_plain()) {
            let hows: Vec<How> = releases
                .iter()
                .map(|release| how(interface, method, release))
                .collect();
            let varies = hows
                .iter()
                .any(|how| !matches!(how, How::Call(older) if older.is_same));
            if varies && !method.params.is_empty() {
                return Err(Error::schema(
                    format!("{}.{}", interface.named.schema, method.schema),
                    "it is not the same in all generations, and has parameters: there is no rule for that",
                ));
            }
            methods.push((method, hows));
        }
        Ok(Bootstrap {
            interface,
            methods,
            results: &self.results,
        })
    }
}

/// Returns what a method of the bootstrap interface is in a generation.
fn how(interface: &Interface, method: &Method, release: &Release) -> How {
    let Some((_, _, adapters)) = &release.older else {
        return How::newest(method);
    };
    let adapter = adapters
        .interfaces
        .iter()
        .find(|a| a.newest.id == interface.named.id);
    // What does not differ is generated once.
    let Some(adapter) = adapter else {
        return How::newest(method);
    };
    let found = adapter
        .methods
        .iter()
        .find(|adapted| adapted.method.schema == method.schema);
    found.map_or(How::Lacking, |adapted| adapted.how.clone())
}

/// Returns the ordinals of the bootstrap interface by which a peer tells its generation, the newest first:
/// each is of a method that the generation before does not have.
fn detection(interface: &Interface, releases: &[Release]) -> Result<Vec<u16>> {
    let methods = |release: &Release| -> Vec<Method> {
        let Some((model, _, _)) = &release.older else {
            return interface.methods.clone();
        };
        let mut interfaces = model.files.iter().flat_map(|file| &file.interfaces);
        let found = interfaces.find(|i| i.named.id == interface.named.id);
        found.unwrap_or(interface).methods.clone()
    };
    let mut told = Vec::new();
    for index in (1..releases.len()).rev() {
        let (older, newer) = (&releases[index - 1], &releases[index]);
        let before: Vec<u16> = methods(older).iter().map(|method| method.ordinal).collect();
        let newer_methods = methods(newer);
        let mut new = newer_methods
            .iter()
            .filter(|m| !before.contains(&m.ordinal));
        let Some(method) = new.next() else {
            return Err(Error::schema(
                format!("{}: {}", newer.name, interface.named.schema),
                format!(
                    "it has no method by which it could be told from that of {}",
                    older.name
                ),
            ));
        };
        told.push(method.ordinal);
    }
    Ok(told)
}
