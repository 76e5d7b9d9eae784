//! Starts a child that holds nothing but its standard streams and one end of a stream.
//!
//! # Which descriptors the child gets
//! Bitcoin Core's parent closes, between fork and exec, every descriptor that the child must not
//! have. That would be code of our own in the most delicate place there is, so here each of them
//! is instead marked to be closed by exec, beforehand. Marking them in place would have two
//! faults: it changes descriptors that belong to the rest of the program, which may want to pass
//! them to a child of its own; and a descriptor that another thread opens after the marking
//! still leaks. So the fork is made by a short-lived thread that first gets a descriptor table
//! of its own (`unshare(CLONE_FILES)`, which needs no privilege): a snapshot, marked without
//! touching the program's own, which no other thread can add to.
//!
//! Where the system has no such call, or a sandbox forbids it (Docker's default profile does),
//! the marking is done in place, with these two faults.
//!
//! In a table of its own the child's end is simply not marked. Nothing is left to do between fork
//! and exec then, so that the standard library needs no fork, which copies the tables of all the
//! program's memory, but `posix_spawn`. Elsewhere the mark is taken off after the fork.
//!
//! The child's end has the same number in the child as in the parent. A fixed number would have
//! to be put in place between fork and exec, where it can collide with the pipe on which the
//! standard library reports a failed exec.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;

use command_fds::CommandFdExt;
use rustix::io::FdFlags;

use super::child::{Child, Prepared};
use super::format::check_format;
use super::program::{Program, Stderr, Stdin, is_path};
use crate::error::{Error, Result};

/// Starts `program` with the command line `<program> -ipcfd <N>`, and returns the parent's end of
/// the stream whose other end is the child's descriptor N.
///
/// Only the standard streams and N are open in the child. None of the caller's code runs between
/// fork and exec: a lock that another thread holds cannot stop the child from starting.
///
/// # Errors
/// [`Error::Spawn`] with the operating system's reason where the program cannot be started
/// ([`exec_failure_code`](super::exec_failure_code) tells a shell's exit code for it), and no
/// child is left behind. A file that the kernel cannot run is such an error
/// (`Exec format error`) also where the C library would have tried it as a shell script.
pub fn spawn(program: Program) -> Result<(UnixStream, Child)> {
    let path = program.path.clone();
    let (stream, child) = try_spawn(program).map_err(|error| Error::Spawn {
        program: path.display().to_string(),
        reason: if error.kind() == io::ErrorKind::NotFound && is_path(&path) && path.exists() {
            format!("cannot be started, its interpreter is missing: {error}")
        } else {
            format!("cannot be started: {error}")
        },
        source: Some(Arc::new(error)),
    })?;
    tracing::debug!(program = %path.display(), pid = child.pid(), "started a child");
    Ok((stream, child))
}

fn try_spawn(program: Program) -> io::Result<(UnixStream, Child)> {
    let Program {
        path,
        arg0,
        environment,
        stdin,
        stderr,
    } = program;
    check_format(&path)?;
    let (ours, theirs) = UnixStream::pair()?;
    let (stderr, lines) = match stderr {
        Stderr::Inherit => (Output::Inherit, None),
        Stderr::Null => (Output::Null, None),
        Stderr::Lines(on_line) => {
            let (reader, writer) = io::pipe()?;
            (Output::Pipe(writer.into()), Some((reader, on_line)))
        }
    };
    let launch = Launch {
        path: &path,
        arg0: arg0.as_deref(),
        environment: &environment,
        stdin,
        stderr,
        socket: theirs.into(),
    };
    let child = thread::scope(|scope| {
        let (prepared, go) = mpsc::sync_channel(1);
        let launch = &launch;
        let fork = move || {
            go.recv().map_err(io::Error::other)?;
            let table = mark_descriptors();
            launch.start(&table)
        };
        let forking = thread::Builder::new().name("fork".into());
        let forking = forking.spawn_scoped(scope, fork)?;
        // Every thread that the child needs exists before the child: nothing can fail after the
        // fork. The threads start while the one that forks does.
        let threads = Prepared::new(lines)?;
        // The result of the thread shows whether it still waits for this.
        let _ = prepared.send(());
        let child = forking
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the forking thread panicked")))?;
        Ok::<_, io::Error>(threads.take(child))
    })?;
    Ok((ours, child))
}

/// Marks every descriptor from 3 on to be closed by exec; where possible only for this thread
/// and what it forks. See the module's documentation.
fn mark_descriptors() -> Table {
    // The descriptors of another table mean nothing here. This thread makes its own copies of
    // those that it needs, closes them here, and hands none out.
    #[cfg(target_os = "linux")]
    let table = match nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES) {
        Ok(()) => Table::Own,
        Err(error) => {
            tracing::debug!(%error, "no descriptor table for the fork alone");
            Table::Shared
        }
    };
    #[cfg(not(target_os = "linux"))]
    let table = Table::Shared;
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    table
}

/// The descriptor table of a thread: its own, or that of the whole program.
#[derive(Debug, PartialEq, Eq)]
enum Table {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code))]
    Own,
    Shared,
}

/// The destination of the child's standard error.
enum Output {
    Inherit,
    Null,
    Pipe(OwnedFd),
}

/// The parameters of the forking thread. It owns none of the descriptors: if it closed one in a
/// table of its own, the program's would stay open.
struct Launch<'a> {
    path: &'a Path,
    arg0: Option<&'a OsStr>,
    environment: &'a [(OsString, OsString)],
    stdin: Stdin,
    stderr: Output,
    socket: OwnedFd,
}

impl Launch<'_> {
    fn start(&self, table: &Table) -> io::Result<process::Child> {
        let socket = rustix::io::fcntl_dupfd_cloexec(&self.socket, 3)?;
        let mut command = Command::new(self.path);
        command
            .arg("-ipcfd")
            .arg(socket.as_raw_fd().to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(match self.stdin {
                Stdin::Inherit => Stdio::inherit(),
                Stdin::Null => Stdio::null(),
            })
            .stderr(match &self.stderr {
                Output::Inherit => Stdio::inherit(),
                Output::Null => Stdio::null(),
                Output::Pipe(writer) => writer.try_clone()?.into(),
            });
        if let Some(name) = self.arg0 {
            command.arg0(name);
        }
        match table {
            Table::Own => {
                rustix::io::fcntl_setfd(&socket, FdFlags::empty())?;
                command.spawn()
            }
            Table::Shared => command.preserved_fds(vec![socket]).spawn(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marking_descriptors_leaves_those_of_other_threads_alone() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let unmarked = super::super::tests::inherited(&file, 3);
        let table = thread::scope(|scope| scope.spawn(mark_descriptors).join().unwrap());
        // In a sandbox that forbids a table of its own, the descriptor is marked.
        let marked = rustix::io::fcntl_getfd(&unmarked).unwrap();
        assert_eq!(marked.is_empty(), table == Table::Own);
    }
}
