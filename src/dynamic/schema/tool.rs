//! The `capnp` tool, which compiles sources.
//!
//! The one place of the library that runs the tool. Knows its options and how it finds imports;
//! nothing of what schemas declare. What it complains about is told by [`super::complaint`].

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::complaint::{self, Complaint};
use crate::error::{Error, Result};

/// A file that sources may import and that their users need not have.
struct Known {
    name: &'static str,
    id: &'static str,
    text: &'static str,
}

const KNOWN: [Known; 2] = [
    Known {
        name: "mp/proxy.capnp",
        id: "@0xcc316e3f71a040fb",
        text: include_str!("../../../schema/core32/mp/proxy.capnp"),
    },
    Known {
        name: "capnp/c++.capnp",
        id: "@0xbdf87d7bb8304e81",
        text: CXX,
    },
];

/// The file that schemas for C++ import: Cap'n Proto's own without its comments.
const CXX: &str = "\
@0xbdf87d7bb8304e81;
$namespace(\"capnp::annotations\");
annotation namespace(file): Text;
annotation name(field, enumerant, struct, enum, interface, method, param, group, union): Text;
annotation allowCancellation(interface, method, file) :Void;
";

/// The advice for working without the tool.
const WITHOUT_TOOL: &str = "Install the Cap'n Proto tool (Debian, Fedora: capnproto; Homebrew: \
    capnp), or give a compiled file, made where the tool is with: capnp compile -o- -I FOLDER \
    FILE.capnp > FILE.bin";

/// The tool's words about an import that leads above the folder that it takes for the root.
const BREAKS_OUT: &str = "break out of starting directory";

pub(super) fn is_there() -> bool {
    let version = Command::new("capnp").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Compiles sources into one request, whatever folders and links they lie in.
pub(super) fn compile(sources: &[PathBuf], imports: &[PathBuf]) -> Result<Vec<u8>> {
    let own = tempfile::Builder::new()
        .prefix("bitcoin-ipc-schema-")
        .tempdir()
        .map_err(|e| Error::io("make a temporary folder for schemas", e))?;
    for known in &KNOWN {
        let path = own.path().join(known.name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(&path, known.text))
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
    }
    for import in imports {
        if !fs::metadata(import).map_err(|e| io(import, e))?.is_dir() {
            return Err(io(import, io::ErrorKind::NotADirectory.into()));
        }
    }
    let named = sources.iter().map(|file| parent(file));
    let named = named.chain(imports.iter().map(PathBuf::as_path));
    let folders = named.map(|folder| Ok((absolute(folder)?, folder.to_owned())));
    let folders = folders.collect::<Result<Vec<_>>>()?;
    let mut run = Run {
        sources: sources
            .iter()
            .map(|file| absolute(file))
            .collect::<Result<_>>()?,
        imports: imports
            .iter()
            .map(|folder| absolute(folder))
            .collect::<Result<_>>()?,
        own: own.path().to_owned(),
        prefixes: true,
    };
    let mut kept: Option<Complaint> = None;
    loop {
        let text = match run.once()? {
            Ok(compiled) => return Ok(compiled),
            Err(text) => text,
        };
        let complaint = complaint::read(&text, &run.prefixes());
        match run.relax(&text, &complaint)? {
            Next::Stop => {
                let complaint = kept.unwrap_or(complaint);
                return Err(Error::Usage(complaint.tell(sources, &folders)));
            }
            Next::Again => {}
            Next::Behind => kept = Some(complaint),
        }
    }
}

/// The attempt that follows one that failed.
enum Next {
    Stop,
    /// One that fails for its own reasons.
    Again,
    /// One behind the links, which is no better known to the user.
    Behind,
}

/// A compilation, and how it is tried.
struct Run {
    /// Absolute, so that no name is taken for an option. Links in them are kept: relative imports
    /// are searched beside the link.
    sources: Vec<PathBuf>,
    imports: Vec<PathBuf>,
    /// The folder with the files that this library has.
    own: PathBuf,
    /// Whether names are made relative to folders, above which no import may lead then.
    prefixes: bool,
}

impl Run {
    /// Runs the tool. Returns what it says where it fails.
    fn once(&self) -> Result<std::result::Result<Vec<u8>, String>> {
        let mut command = Command::new("capnp");
        // The tool makes names relative to its folder, whose name it takes from this variable.
        command.env_remove("PWD").current_dir("/");
        command.args(["compile", "-o-"]);
        for prefix in self.prefixes() {
            let mut option = std::ffi::OsString::from("--src-prefix=");
            option.push(prefix);
            command.arg(option);
        }
        for import in &self.imports {
            command.arg("-I").arg(import);
        }
        command.arg("-I").arg(&self.own).args(&self.sources);
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Usage(format!(
                "compiling .capnp sources needs the `capnp` tool, which is not here. {WITHOUT_TOOL}"
            )),
            _ => Error::io("run `capnp`", error),
        })?;
        Ok(match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        })
    }

    /// Returns the folders that names are relative to: of each source the import folder that it is
    /// in, or else its own.
    fn prefixes(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        if !self.prefixes {
            return found;
        }
        for source in &self.sources {
            let mut imports = self.imports.iter();
            let import = imports.find(|import| source.starts_with(import));
            let prefix = import.map_or_else(|| parent(source), PathBuf::as_path);
            if !found.iter().any(|other| other == prefix) {
                found.push(prefix.to_owned());
            }
        }
        found
    }

    /// Changes how it is tried, after it failed.
    fn relax(&mut self, text: &str, complaint: &Complaint) -> Result<Next> {
        if self.prefixes && text.contains(BREAKS_OUT) {
            self.prefixes = false;
            return Ok(Next::Again);
        }
        if let Some(known) = KNOWN.iter().find(|known| complaint.is_duplicate(known.id)) {
            // The one that the user has stands for both.
            let mut files = complaint.files.iter();
            let theirs = files.find(|file| !file.starts_with(&self.own) && !is_tools(file));
            let ours = self.own.join(known.name);
            if let Some(theirs) = theirs
                && !ours.is_symlink()
            {
                let linked =
                    fs::remove_file(&ours).and_then(|()| std::os::unix::fs::symlink(theirs, &ours));
                linked.map_err(|e| Error::io(format!("link {}", theirs.display()), e))?;
                return Ok(Next::Again);
            }
        }
        if complaint.import.is_some() {
            // What a link leads to may have its imports beside it.
            let real = self
                .sources
                .iter()
                .map(|file| fs::canonicalize(file).map_err(|e| io(file, e)));
            let real = real.collect::<Result<Vec<_>>>()?;
            if real != self.sources {
                self.sources = real;
                return Ok(Next::Behind);
            }
        }
        Ok(Next::Stop)
    }
}

/// Returns the folder that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether a file comes with the tool.
fn is_tools(file: &Path) -> bool {
    ["/usr", "/opt", "/nix"]
        .iter()
        .any(|place| file.starts_with(place))
        && file
            .components()
            .any(|part| part == Component::Normal("include".as_ref()))
}

/// Returns an absolute path without `..`, with the links of a path that has none.
fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|e| io(path, e))?;
    if !absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        return Ok(absolute);
    }
    // The tool would drop the part before it, which may be a link to elsewhere.
    match (path.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            Ok(fs::canonicalize(folder)
                .map_err(|e| io(path, e))?
                .join(name))
        }
        _ => fs::canonicalize(path).map_err(|e| io(path, e)),
    }
}

fn io(path: &Path, error: io::Error) -> Error {
    Error::io(format!("read {}", path.display()), error)
}
