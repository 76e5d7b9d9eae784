//! The rules, each a function from a file to its violations.

use std::collections::BTreeSet;

use crate::source::Source;
use crate::tree::{Home, Target, Tree};

/// Whether a file has only tests, which may do what the library must not.
pub fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/") || name.starts_with("tests/")
}

fn is_in(source: &Source, folder: &str) -> bool {
    source.name.starts_with(&format!("src/{folder}/")) || source.name == format!("src/{folder}.rs")
}

/// Whether `path` is `module` or something in it.
fn is_below(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The forbidden dependencies: a folder, and the modules that nothing in it may name.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "process",
        &[
            "protocol",
            "interfaces",
            "roles",
            "ipc",
            "client",
            "transport",
        ],
    ),
    (
        "transport",
        &["protocol", "interfaces", "roles", "ipc", "client"],
    ),
    (
        "protocol",
        &["process", "transport", "roles", "ipc", "client", "dynamic"],
    ),
    (
        "dynamic",
        &["process", "transport", "roles", "ipc", "client"],
    ),
    (
        "roles",
        &["protocol", "process", "transport", "ipc", "client"],
    ),
    (
        "generation",
        &["protocol", "process", "transport", "roles", "ipc", "client"],
    ),
    (
        "call",
        &[
            "protocol",
            "process",
            "transport",
            "roles",
            "ipc",
            "client",
            "interfaces",
        ],
    ),
    ("ipc", &["client", "miner", "dynamic", "pair"]),
    (
        "client",
        &["protocol", "process", "roles", "dynamic", "miner"],
    ),
];

/// The items of such a module that a folder may name nevertheless: the channel, which is all that a
/// protocol knows of a transport.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    ("protocol", &["transport::Stream", "transport::Acceptor"]),
    ("dynamic", &["transport::Stream"]),
];

/// A layer names only the layers below it.
pub fn arrows(source: &Source, tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for target in source.targets(tree) {
        let Target::Own(path) = target else { continue };
        for (folder, forbidden) in ARROWS {
            let is_exception = |(of, items): &(&str, &[&str])| {
                of == folder && items.iter().any(|item| is_below(&path, item))
            };
            if EXCEPTIONS.iter().any(is_exception) {
                continue;
            }
            if is_in(source, folder) && forbidden.iter().any(|module| is_below(&path, module)) {
                wrong.push(format!("names {path}: {folder} must not"));
            }
        }
    }
    wrong
}

/// Interfaces, and the errors that they name, are for programs that know nothing else: the
/// standard library, each other and who a peer is are all that they name. `thiserror` only derives.
pub fn plain_interfaces(source: &Source, tree: &Tree) -> Vec<String> {
    if !is_in(source, "interfaces") && !is_in(source, "error") {
        return Vec::new();
    }
    let allowed = |target: &Target| match target {
        Target::Own(path) => ["interfaces", "error", "peer"]
            .iter()
            .any(|m| is_below(path, m)),
        Target::Foreign(path) => {
            is_below(path, "std") || path == "thiserror::Error" || !is_dependency(path)
        }
    };
    let targets = source.targets(tree).into_iter();
    targets
        .filter(|target| !allowed(target))
        .map(|target| format!("names {target:?}: interfaces know only std and errors"))
        .collect()
}

/// Whether a path begins with the name of a package that `Cargo.toml` asks for.
fn is_dependency(path: &str) -> bool {
    let head = path.split("::").next().unwrap_or(path);
    let manifest = include_str!("../../Cargo.toml");
    manifest
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .any(|(name, _)| name.replace('-', "_") == head)
}

/// The items of the protocol that the library's root re-exports.
const LIBRARY: &[&str] = &[
    "protocol::capnp::rt",
    "protocol::capnp::rt::Several",
    "protocol::capnp::rt::cast",
    "protocol::capnp::rt::cast_async",
];

/// The paths of the Cap'n Proto implementation that the façade and the root may name: its entry
/// points.
const ENTRY_POINTS: &[&str] = &[
    "protocol::capnp::Capnp",
    "protocol::capnp::Relay",
    "protocol::capnp::rt::Interface",
];

/// Cap'n Proto's types stay in the protocol's implementation, in schemas at run time, and in what
/// generates code.
pub fn capnp_at_home(source: &Source, tree: &Tree) -> Vec<String> {
    let at_home = source.name.starts_with("src/protocol/capnp/")
        || is_in(source, "dynamic")
        || source.name.starts_with("codegen/");
    if at_home || is_test(&source.name) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for target in source.targets(tree) {
        match target {
            Target::Foreign(path) => {
                if ["capnp", "capnp_rpc", "capnpc"]
                    .iter()
                    .any(|c| is_below(&path, c))
                {
                    wrong.push(format!("names {path}: a type of Cap'n Proto"));
                }
            }
            Target::Own(path) if is_below(&path, "protocol::capnp") => {
                let allowed = match source.name.as_str() {
                    "src/ipc.rs" => {
                        path == "protocol::capnp"
                            || ENTRY_POINTS.iter().any(|entry| is_below(&path, entry))
                    }
                    // Both ends of a connection, by the façade.
                    "src/pair.rs" => path == "protocol::capnp::rt::Interface",
                    // For generated code in other crates, and what programs need beside it.
                    "src/lib.rs" => LIBRARY.contains(&path.as_str()),
                    _ => false,
                };
                if !allowed {
                    wrong.push(format!(
                        "names {path}: only ipc.rs may, and only entry points"
                    ));
                }
            }
            Target::Own(_) => {}
        }
    }
    wrong
}

/// The library neither prints, reads the environment, nor ends the process.
pub fn quiet(source: &Source, tree: &Tree) -> Vec<String> {
    if source.root != Some("src") || is_test(&source.name) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for name in ["print", "println", "eprint", "eprintln", "dbg"] {
        if source.macros.contains(name) {
            wrong.push(format!("calls {name}!: the library does not print"));
        }
    }
    for target in source.targets(tree) {
        let Target::Foreign(path) = target else {
            continue;
        };
        let forbidden = [
            "std::env::args",
            "std::env::args_os",
            "std::env::home_dir",
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "std::process::exit",
            "std::process::abort",
            "std::io::stdout",
            "std::io::stderr",
        ];
        if forbidden.iter().any(|f| is_below(&path, f)) {
            wrong.push(format!("names {path}: that is the executable's"));
        }
    }
    wrong
}

/// The code that is a function of its input alone: the messages of a connection and their effect on
/// its state. Such code can be run in memory, in any order, and takes no hidden locks.
const PURE: &[&str] = &[
    "src/protocol/capnp/rpc/state",
    "src/protocol/capnp/rpc/wire",
];

/// The modules that such code must not name: locks, clocks, threads, sockets, and the event loop.
const IMPURE: &[&str] = &[
    "mio",
    "rustix",
    "std::*",
    "std::net",
    "std::os",
    "std::sync",
    "std::thread",
    "std::thread_local",
    "std::time",
];

/// The items of these modules that it may name.
const SHARED: &[&str] = &["std::sync::Arc", "std::sync::Weak", "std::sync::atomic"];

/// The modules that it must not name.
const DRIVERS: &[&str] = &["protocol::capnp::event_loop", "protocol::capnp::sync"];

/// The state of a connection knows no lock, clock, thread or socket, and not the event loop.
pub fn pure(source: &Source, tree: &Tree) -> Vec<String> {
    let is_pure = PURE.iter().any(|folder| {
        let rest = source.name.strip_prefix(folder);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    });
    if !is_pure || is_test(&source.name) {
        return Vec::new();
    }
    let mut wrong = BTreeSet::new();
    if source.macros.contains("thread_local") {
        wrong.insert("thread_local!".to_owned());
    }
    for target in source.targets(tree) {
        if let Target::Own(path) = target
            && DRIVERS.iter().any(|driver| is_below(&path, driver))
        {
            wrong.insert(path);
        }
    }
    for home in source.homes(tree) {
        // Items of the standard library that another module re-exports count too.
        let Home::Foreign(path) = home else { continue };
        let path = match path.strip_prefix("core::") {
            Some(rest) => format!("std::{rest}"),
            None => path,
        };
        let is_impure = IMPURE.iter().any(|module| is_below(&path, module));
        let is_shared = SHARED.iter().any(|item| is_below(&path, item));
        // The module alone (`use std::sync;`) is not yet anything in it.
        if is_impure && !is_shared && path != "std::sync" {
            wrong.insert(path);
        }
    }
    let wrong = wrong.into_iter();
    wrong
        .map(|path| format!("names {path}: the state of a connection must not"))
        .collect()
}

/// The modules of sockets, of which a protocol knows none: it has streams and acceptors.
const SOCKETS: &[&str] = &["std::net", "std::os::unix::net", "rustix::net", "mio::net"];

/// A protocol, and calls by name over it, run over channels of every kind.
pub fn any_channel(source: &Source, tree: &Tree) -> Vec<String> {
    let is_above = is_in(source, "protocol") || is_in(source, "dynamic");
    if !is_above || is_test(&source.name) {
        return Vec::new();
    }
    let homes = source.homes(tree).into_iter();
    let foreign = homes.filter_map(|home| match home {
        Home::Foreign(path) => Some(path),
        Home::Item { .. } | Home::Module(_) => None,
    });
    foreign
        .filter(|path| SOCKETS.iter().any(|module| is_below(path, module)))
        .map(|path| format!("names {path}: a protocol knows only Stream and Acceptor"))
        .collect()
}

/// The one file with `unsafe`, and how often: it takes over an inherited descriptor.
const UNSAFE: (&str, usize) = ("src/process/fd.rs", 1);

/// `unsafe` is allowed only there.
pub fn safe(source: &Source, _: &Tree) -> Vec<String> {
    let found = source.words.get("unsafe").copied().unwrap_or_default();
    let allowed = if source.name == UNSAFE.0 { UNSAFE.1 } else { 0 };
    match found > allowed {
        true => vec![format!(
            "says `unsafe` {found} times; {allowed} are allowed"
        )],
        false => Vec::new(),
    }
}

/// Each module opens with its documentation.
pub fn introduced(source: &Source, _: &Tree) -> Vec<String> {
    match source.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec!["does not open with `//!`".to_owned()],
    }
}

/// First words of documentation that leave out its subject.
const WITHOUT_SUBJECT: [&str; 5] = ["What ", "Who ", "Whose ", "The same", "Has who "];

/// Documentation begins with a noun or a verb, as a reader needs who has never seen the code.
pub fn with_subject(source: &Source, _: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = "";
    for (line, number) in source.text.lines().map(str::trim_start).zip(1..) {
        let marks = ["/// ", "//! "];
        let first = marks.iter().find_map(|mark| {
            // Only the first line of a paragraph.
            let continues = before.starts_with(mark);
            line.strip_prefix(mark).filter(|_| !continues)
        });
        if first.is_some_and(|text| WITHOUT_SUBJECT.iter().any(|word| text.starts_with(word))) {
            found.push(format!("line {number} begins without its subject: {line}"));
        }
        before = line;
    }
    found
}

/// The maximum number of lines in a file.
const LINES: usize = 500;

/// No file is longer than a reader keeps in mind.
pub fn short(source: &Source, _: &Tree) -> Vec<String> {
    let lines = source.text.lines().count();
    match lines > LINES {
        true => vec![format!("has {lines} lines; {LINES} are allowed: split it")],
        false => Vec::new(),
    }
}
