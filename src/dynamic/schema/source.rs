//! Schemas from files: compiled requests, and `.capnp` sources through the `capnp` tool.
//!
//! Knows paths and how to tell what lies there; nothing of what schemas declare. The tool itself is
//! run by [`super::tool`].

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::load::MAX_REQUEST;
use super::tool;
use crate::error::{Error, Result};

/// The extension of sources.
const SOURCE: &str = "capnp";

/// The extension of compiled requests.
const COMPILED: &str = "bin";

/// The number of bytes in which a compiled request has a zero, and a source has none: the length of
/// the header of a message.
const HEADER: usize = 8;

/// The compiled requests of a path, read once. Cheap to add to several registries.
#[derive(Debug)]
pub struct Sources {
    /// The requests, each with its name for errors.
    pub(super) requests: Vec<(Vec<u8>, String)>,
}

impl Sources {
    /// Reads the schemas at a path: a compiled request, a source, or a folder of these. Sources are
    /// compiled with the `capnp` tool. Imports that begin with a slash are searched in `imports`, in
    /// the folder of the path, in the tool's own folders, and among the files that this library has:
    /// `/mp/proxy.capnp` and `/capnp/c++.capnp`. A file is a compiled request when it looks like one,
    /// whatever it is called, and otherwise a source; what is no regular file is read once.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Usage`] when the `capnp` tool is needed and
    /// missing, or refuses the sources: with the file and line, and why.
    pub fn read(path: &Path, imports: &[PathBuf]) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| io(path, e))?;
        let requests = if metadata.is_dir() {
            folder(path, imports)?
        } else if metadata.is_file() {
            file(path, imports)?
        } else {
            stream(path, imports)?
        };
        Ok(Self { requests })
    }
}

/// Compiles `.capnp` sources into one request. Absolute imports are searched in `imports`, in the
/// tool's own folders, and among the files that this library has: `/mp/proxy.capnp` and
/// `/capnp/c++.capnp`.
///
/// # Errors
/// [`Error::Usage`] when the tool is missing, with what to do about it, or refuses the sources, with
/// the file and line; [`Error::Io`] when a file cannot be read or written.
pub fn compile(sources: &[PathBuf], imports: &[PathBuf]) -> Result<Vec<u8>> {
    tool::compile(sources, imports)
}

fn file(path: &Path, imports: &[PathBuf]) -> Result<Vec<(Vec<u8>, String)>> {
    let name = path.display().to_string();
    if is_compiled(path)? {
        return Ok(vec![(read(path)?, name)]);
    }
    let imports = with_folder(imports, tool::parent(path));
    Ok(vec![(tool::compile(&[path.to_owned()], &imports)?, name)])
}

/// Reads a pipe, such as a shell's `<(…)`.
fn stream(path: &Path, imports: &[PathBuf]) -> Result<Vec<(Vec<u8>, String)>> {
    let (bytes, name) = (read(path)?, path.display().to_string());
    if looks_compiled(&bytes) {
        return Ok(vec![(bytes, name)]);
    }
    let place = tempfile::Builder::new()
        .prefix("bitcoin-ipc-schema-")
        .tempdir();
    let place = place.map_err(|e| Error::io("make a temporary folder for a schema", e))?;
    let source = place.path().join("input.capnp");
    fs::write(&source, bytes).map_err(|e| Error::io(format!("write {}", source.display()), e))?;
    Ok(vec![(tool::compile(&[source], imports)?, name)])
}

fn folder(path: &Path, imports: &[PathBuf]) -> Result<Vec<(Vec<u8>, String)>> {
    let (mut sources, mut compiled, mut folders) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(path).map_err(|e| io(path, e))? {
        let file = entry.map_err(|e| io(path, e))?.path();
        // Among these are the broken links that editors make.
        let is_hidden = file
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_folder = file.is_dir();
        match () {
            () if is_hidden => {}
            () if is_folder => folders.push(file),
            () if is(&file, COMPILED) => compiled.push(file),
            () if is(&file, SOURCE) && is_compiled(&file)? => compiled.push(file),
            () if is(&file, SOURCE) => sources.push(file),
            () => {}
        }
    }
    sources.sort();
    compiled.sort();
    let read = |file: &PathBuf| Ok((read(file)?, file.display().to_string()));
    if sources.is_empty() && compiled.is_empty() {
        return Err(nothing_in(path, folders));
    }
    if sources.is_empty() || (!compiled.is_empty() && !tool::is_there()) {
        return compiled.iter().map(read).collect();
    }
    let imports = with_folder(imports, path);
    let together = match tool::compile(&sources, &imports) {
        Ok(bytes) => return Ok(vec![(bytes, path.display().to_string())]),
        Err(error @ Error::Io { .. }) => return Err(error),
        Err(error) => error,
    };
    if sources.len() == 1 {
        return Err(together);
    }
    // What does not go together, such as two copies of a file, may go by itself.
    let alone = sources.iter().map(|source| {
        let bytes = tool::compile(std::slice::from_ref(source), &imports)?;
        Ok((bytes, source.display().to_string()))
    });
    alone.collect()
}

/// Returns the failure of a folder without schemas, with one of its folders that has some.
fn nothing_in(path: &Path, mut folders: Vec<PathBuf>) -> Error {
    let has_schemas = |folder: &PathBuf| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| is(&file, SOURCE))
    };
    folders.sort();
    let near = folders.into_iter().find(has_schemas);
    let near = near.map(|folder| format!("; {} has some", folder.display()));
    Error::Usage(format!(
        "{}: the folder has no schema: no *.{SOURCE} and no compiled *.{COMPILED}{}",
        path.display(),
        near.unwrap_or_default()
    ))
}

/// Returns the folders of imports with that of the sources behind them.
fn with_folder(imports: &[PathBuf], folder: &Path) -> Vec<PathBuf> {
    let own = folder.to_owned();
    imports.iter().cloned().chain([own]).collect()
}

/// Tells whether a file is a compiled request rather than a source.
fn is_compiled(path: &Path) -> Result<bool> {
    if is(path, COMPILED) {
        return Ok(true);
    }
    let mut start = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(HEADER as u64).read_to_end(&mut start))
        .map_err(|e| io(path, e))?;
    Ok(looks_compiled(&start))
}

fn looks_compiled(bytes: &[u8]) -> bool {
    bytes.iter().take(HEADER).any(|byte| *byte == 0)
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_REQUEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| io(path, e))?;
    Ok(bytes)
}

fn io(path: &Path, error: io::Error) -> Error {
    Error::io(format!("read {}", path.display()), error)
}
