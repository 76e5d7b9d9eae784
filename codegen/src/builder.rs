//! The builder that a `build.rs` uses: where the schema is, where the code goes.
//!
//! Alone in knowing Cargo: the manifest's folder, `OUT_DIR` and what it prints for Cargo.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::model::Model;
use crate::request::Request;
use crate::{compile, emit, model, wire};

/// Generates code from one schema. See the [crate's documentation](crate).
#[derive(Debug, Clone)]
pub struct Builder {
    source: Source,
    runtime: String,
    module: Option<String>,
    wraps: Vec<(String, String)>,
    values: Vec<(String, String)>,
    nullable: Vec<String>,
}

#[derive(Debug, Clone)]
enum Source {
    /// A compiled request.
    Compiled(PathBuf),
    /// Sources and the folder they are named and imported from.
    Sources(Vec<PathBuf>, PathBuf),
}

/// The texts made of a request, by the name of their file.
pub(crate) struct Generated {
    pub(crate) interfaces: String,
    pub(crate) proxies: String,
}

impl Builder {
    /// Takes a schema as `capnp compile -o-` compiled it. The path is relative to the package.
    pub fn new(compiled: impl Into<PathBuf>) -> Self {
        Self::with(Source::Compiled(compiled.into()))
    }

    /// Takes a schema in `.capnp` files, which the build compiles: each machine that builds then
    /// needs the `capnp` tool. The files' paths are relative to `folder`, which is also where their
    /// absolute imports (`import "/x.capnp"`) are found, and which is relative to the package.
    /// `/mp/proxy.capnp` is always found.
    pub fn sources<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        let files = files.into_iter().map(Into::into).collect();
        Self::with(Source::Sources(files, folder.into()))
    }

    fn with(source: Source) -> Self {
        Self {
            source,
            runtime: "::bitcoin_ipc".to_owned(),
            module: None,
            wraps: Vec::new(),
            values: Vec::new(),
            nullable: Vec::new(),
        }
    }

    /// Sets the path of the runtime library, where it is not `::bitcoin_ipc`. `crate` is for the
    /// library itself.
    #[must_use]
    pub fn runtime(mut self, path: impl Into<String>) -> Self {
        self.runtime = path.into();
        self
    }

    /// Sets the whole path of the module that includes the generated code, where it is not
    /// `crate::` and the name given to [`generate`](Self::generate).
    #[must_use]
    pub fn module(mut self, path: impl Into<String>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Wraps the client of an interface: callers get the object that `function` makes of it, such
    /// as one that works around methods that some peers lack. `interface` is a name in the schema,
    /// such as `Init`; `function` is the path of a
    /// `fn(client: InitClient, object: rt::Object) -> Arc<dyn Init>`. The object must return the
    /// client's `remote()` as its own.
    #[must_use]
    pub fn wrap(mut self, interface: impl Into<String>, function: impl Into<String>) -> Self {
        self.wraps.push((interface.into(), function.into()));
        self
    }

    /// Has a type of yours stand for `Data`, a `Float64`, or each element of a list of them. `field` is a name
    /// in the schema, such as `BlockRef.hash` for a struct's, `Mining.waitTipChanged.currentTip` for a
    /// method's; `path` that of a type that is `Copy + Default` and implements `DataValue` or
    /// `NumberValue` of `bitcoin_ipc::interfaces`.
    #[must_use]
    pub fn value(mut self, field: impl Into<String>, path: impl Into<String>) -> Self {
        self.values.push((field.into(), path.into()));
        self
    }

    /// Makes a struct an `Option` that is `None` where its pointer is null, as C++ has a `std::optional`
    /// without a `hasX`. `field` is a name as for [`value`](Self::value).
    #[must_use]
    pub fn nullable(mut self, field: impl Into<String>) -> Self {
        self.nullable.push(field.into());
        self
    }

    /// Writes the code into `$OUT_DIR/<name>/`: `interfaces.rs`, `proxies.rs`, `wire.rs`, the wire
    /// modules, and `mod.rs`, which joins them.
    ///
    /// # Errors
    ///
    /// Fails when the schema cannot be read or has something that the generated code cannot
    /// express. The error names the file, interface, method and field.
    pub fn generate(&self, name: &str) -> Result<()> {
        let usable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !usable {
            return Err(Error::Usage(format!(
                "{name:?}: give a name that can be a module's, such as `closure`"
            )));
        }
        let layout = self.layout(name)?;
        let out_dir = folder_of("OUT_DIR")?;
        let bytes = self.read(&out_dir)?;
        let folder = out_dir.join(name);
        fs::create_dir_all(&folder)
            .map_err(|e| Error::io(format!("make {}", folder.display()), e))?;

        let label = self.label();
        let request = Request::read(&bytes, &label)?;
        let index = request.index(&label)?;
        let generated = generate(&index, &layout)?;
        let wire_modules = wire::write(&index, &layout, &folder)?;
        write(&folder.join("interfaces.rs"), &generated.interfaces)?;
        write(&folder.join("proxies.rs"), &generated.proxies)?;
        write(
            &folder.join("wire.rs"),
            &wire::join(&wire_modules, &layout, name),
        )?;
        if !layout.is_library() {
            write(&folder.join("mod.rs"), &user_module(name))?;
        }
        Ok(())
    }

    fn layout(&self, name: &str) -> Result<Layout> {
        let default = format!("crate::{name}");
        let mut layout = match self.runtime != "crate" {
            true => Layout::user(&self.runtime, self.module.as_deref().unwrap_or(&default))?,
            false => Layout::library(),
        };
        layout.wraps.clone_from(&self.wraps);
        layout.values.clone_from(&self.values);
        layout.nullable.clone_from(&self.nullable);
        Ok(layout)
    }

    /// Returns the schema's name for errors about the whole.
    fn label(&self) -> String {
        match &self.source {
            Source::Compiled(path) => path.display().to_string(),
            Source::Sources(_, folder) => folder.display().to_string(),
        }
    }

    /// Returns the compiled request.
    pub(crate) fn read(&self, out_dir: &Path) -> Result<Vec<u8>> {
        let package = folder_of("CARGO_MANIFEST_DIR")?;
        match &self.source {
            Source::Compiled(path) => {
                let path = package.join(path);
                rerun_if_changed(&path);
                fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))
            }
            Source::Sources(files, folder) => {
                let folder = package.join(folder);
                rerun_if_changed(&folder);
                compile::compile(files, &folder, out_dir)
            }
        }
    }
}

/// Generates the traits and proxies of an indexed request.
pub(crate) fn generate(index: &crate::request::Index<'_>, layout: &Layout) -> Result<Generated> {
    let model = model::build(index, layout)?;
    layout.check_meanings(&model.meant)?;
    texts(&model, layout)
}

/// Generates the traits and proxies of a model.
pub(crate) fn texts(model: &Model, layout: &Layout) -> Result<Generated> {
    for (name, function) in &layout.wraps {
        let mut interfaces = model.files.iter().flat_map(|file| &file.interfaces);
        if !interfaces.any(|interface| interface.named.schema == *name) {
            return Err(Error::Usage(format!(
                "{function} is to wrap {name}, which is no interface of the schema"
            )));
        }
    }
    Ok(Generated {
        interfaces: emit::interfaces(model, layout),
        proxies: emit::proxies(model, layout),
    })
}

/// Returns the text of the file that a user's module includes.
fn user_module(name: &str) -> String {
    let mut text =
        String::from("// Generated by bitcoin-ipc-codegen. Change the schema instead.\n");
    for (module, docs) in [
        (
            "interfaces",
            "The interfaces as traits, and the values they carry.",
        ),
        (
            "proxies",
            "The interfaces in other processes, and how values cross.",
        ),
        ("wire", "The messages as they cross."),
    ] {
        // Of these, users' code names the interfaces alone.
        let hidden = match module {
            "interfaces" => "",
            _ => "#[doc(hidden)]\n",
        };
        text += &format!(
            "\n/// {docs}\n{hidden}#[allow(dead_code, clippy::let_unit_value, clippy::unit_arg)]\npub mod {module} {{\n    include!(concat!(env!(\"OUT_DIR\"), \
             \"/{name}/{module}.rs\"));\n}}\n"
        );
    }
    text + "\n#[allow(unused_imports)]\npub use self::interfaces::*;\n"
}

pub(crate) fn folder_of(variable: &str) -> Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| {
        Error::Usage(format!(
            "{variable} is not set: the builder is for a build.rs"
        ))
    })
}

fn rerun_if_changed(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}

/// Writes a file only where its text has changed: crates that include it are then not rebuilt.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|e| Error::io(format!("write {}", path.display()), e))
}
