//! Schemas from files: compiled requests, and `.capnp` sources through the `capnp` tool.
//!
//! The one place of the library that runs the tool. Knows paths; nothing of what schemas declare.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::load::MAX_REQUEST;
use crate::error::{Error, Result};

/// Files that sources may import and that their users need not have.
const IMPORTS: [(&str, &str); 2] = [
    (
        "mp/proxy.capnp",
        include_str!("../../../schema/core32/mp/proxy.capnp"),
    ),
    ("capnp/c++.capnp", CXX),
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

/// Returns the compiled requests at a path, each with its name for errors.
pub(super) fn requests(path: &Path) -> Result<Vec<(Vec<u8>, String)>> {
    let read = |path: &Path| Ok((read(path)?, path.display().to_string()));
    let metadata = fs::metadata(path).map_err(|e| io(path, e))?;
    if !metadata.is_dir() {
        if !is(path, "capnp") {
            return Ok(vec![read(path)?]);
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let compiled = compile(&[path.to_owned()], &[folder.to_owned()])?;
        return Ok(vec![(compiled, path.display().to_string())]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| io(path, e))? {
        files.push(entry.map_err(|e| io(path, e))?.path());
    }
    files.sort();
    let (sources, rest): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| is(file, "capnp"));
    let compiled: Vec<PathBuf> = rest.into_iter().filter(|file| is(file, "bin")).collect();
    if sources.is_empty() && compiled.is_empty() {
        return Err(Error::Usage(format!(
            "{}: the folder has no schema: no *.capnp and no compiled *.bin",
            path.display()
        )));
    }
    if sources.is_empty() || (!compiled.is_empty() && !has_tool()) {
        return compiled.iter().map(|file| read(file)).collect();
    }
    let bytes = compile(&sources, &[path.to_owned()])?;
    Ok(vec![(bytes, path.display().to_string())])
}

/// Compiles `.capnp` sources into one request. Absolute imports are searched in `imports`, in the
/// tool's own folders, and among the files that this library has: `/mp/proxy.capnp` and
/// `/capnp/c++.capnp`.
///
/// # Errors
/// [`Error::Usage`] when the tool is missing, with what to do about it, or refuses the sources, in
/// its words; [`Error::Io`] when a file cannot be read or written.
pub fn compile(sources: &[PathBuf], imports: &[PathBuf]) -> Result<Vec<u8>> {
    let own = tempfile::Builder::new()
        .prefix("bitcoin-ipc-schema-")
        .tempdir()
        .map_err(|e| Error::io("make a temporary folder for schemas", e))?;
    for (name, text) in IMPORTS {
        let path = own.path().join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(&path, text))
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
    }
    let mut command = Command::new("capnp");
    // The tool makes names relative to this variable.
    command.env_remove("PWD").args(["compile", "-o-"]);
    for import in imports {
        let import = fs::canonicalize(import).map_err(|e| io(import, e))?;
        let mut prefix = std::ffi::OsString::from("--src-prefix=");
        prefix.push(&import);
        command.arg(prefix).arg("-I").arg(import);
    }
    command.arg("-I").arg(own.path());
    for source in sources {
        // Absolute, so that no name is taken for an option.
        command.arg(fs::canonicalize(source).map_err(|e| io(source, e))?);
    }
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Usage(format!(
            "compiling .capnp sources needs the `capnp` tool, which is not here. {WITHOUT_TOOL}"
        )),
        _ => Error::io("run `capnp`", error),
    })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Usage(format!("capnp compile: {}", text.trim())));
    }
    Ok(output.stdout)
}

fn has_tool() -> bool {
    let version = Command::new("capnp").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_REQUEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| io(path, e))?;
    Ok(bytes)
}

fn io(path: &Path, error: io::Error) -> Error {
    Error::io(format!("read {}", path.display()), error)
}
