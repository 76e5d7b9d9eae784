//! `spawn`: starts a child and holds its `Init`, for itself or for a command.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::process::{ExitStatus, Signal};
use bitcoin_ipc::transport::{self, Address};
use bitcoin_ipc::{Error, Relay};
use eyre::Result;
use signal_hook::consts::SIGINT;
use tempfile::TempDir;

use crate::args::{self, ADDRESS_VARIABLE};
use crate::context::Context;
use crate::peer::children::{self, Guard, What};
use crate::peer::offers::Peer;
use crate::peer::target::{self, Link};
use crate::ui::errors::{Failure, Kind};

/// How long COMMAND has to end after a signal that was passed on to it.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(context: &Context, args: &args::Spawn) -> Result<u8> {
    if let Some(address) = &context.options.peer.address {
        let message = format!("--address {address} names a peer, and spawn starts one");
        return Err(Failure::usage(message).hint("leave --address out").into());
    }
    let what = What::parse(&args.what)?;
    if args.command.is_empty() {
        hold(context, &what)
    } else {
        run_command(context, &what, &args.command)
    }
}

enum Event {
    InputEnded,
    Signal(i32),
    ChildEnded,
    CommandEnded(io::Result<std::process::ExitStatus>),
    /// Whether the child has given its Init in time.
    Ready(Result<bool, Error>),
}

/// Holds the child's `Init` until there is a reason not to.
fn hold(context: &Context, what: &What) -> Result<u8> {
    let link = target::adopt(context, &target::client(context)?, what)?;
    let peer = context.calling(|| Peer::ask(&link));
    context.signals.check()?;
    let offered = peer?.offered().join(", ");
    let offered = if offered.is_empty() {
        "nothing"
    } else {
        &offered
    };
    let name = &link.name;
    context
        .output
        .note(&format!("{name} is ready and offers {offered}"));

    let (sender, events) = mpsc::channel();
    watch_signals(context, sender.clone());
    let Some(child) = &link.child else {
        return Err(eyre::eyre!("no child was started"));
    };
    watch_child(child, sender.clone())?;
    watch("input", sender, || {
        // A read error is an end of input, too.
        let _ = io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink());
        Event::InputEnded
    })?;
    let event = events.recv();
    let Link { init, child, .. } = link;
    drop(init);
    let Some(child) = child else { return Ok(0) };
    if let Ok(Event::Signal(signal)) = event {
        child.end()?;
        return Err(Failure::signal(signal).into());
    }
    // Let go of, it ends by itself; a signal shortens that.
    let mut ended = matches!(event, Ok(Event::ChildEnded));
    while !ended {
        match events.recv() {
            Ok(Event::Signal(signal)) => {
                child.end()?;
                return Err(Failure::signal(signal).into());
            }
            Ok(Event::ChildEnded) | Err(_) => ended = true,
            Ok(_) => {}
        }
    }
    Ok(child.child().wait()?.shell_code())
}

/// Runs the command with the address of a socket through which it reaches the child.
fn run_command(context: &Context, what: &What, words: &[OsString]) -> Result<u8> {
    let (stream, child) = children::start(context, what)?;
    let (directory, address) = private_address()?;
    let relay = Arc::new(Relay::start(stream, &address, context.limits())?);
    let (sender, events) = mpsc::channel();
    watch_signals(context, sender.clone());
    ready(context, what, &relay, &child, (&sender, &events))?;

    watch_child(&child, sender.clone())?;
    let code = supervise(context, what, words, &address, &child, sender, &events);
    // Clients first, then the child, then the directory.
    drop(relay);
    drop(child);
    let removed = directory.close();
    let code = code?;
    removed.map_err(|error| Error::io("remove the private socket's directory", error))?;
    Ok(code)
}

/// A socket's address in a directory that nobody else may enter.
fn private_address() -> Result<(TempDir, Address)> {
    let make = |parent: &Path| {
        tempfile::Builder::new()
            .prefix("bitcoin-ipc-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|error| Error::io(format!("make a directory in {}", parent.display()), error))
    };
    let socket = |directory: &TempDir| {
        std::path::absolute(directory.path())
            .map(|path| path.join("ipc.sock"))
            .map_err(|error| Error::io("find the working directory", error))
    };
    let mut directory = make(&std::env::temp_dir())?;
    let mut path = socket(&directory)?;
    if path.as_os_str().len() > transport::MAX_SOCKET_PATH {
        directory = make(Path::new("/tmp"))?;
        path = socket(&directory)?;
    }
    Ok((directory, Address::Unix(Some(path))))
}

/// Waits until the child answers, so that COMMAND is not run for one that is no peer.
fn ready(
    context: &Context,
    what: &What,
    relay: &Arc<Relay>,
    child: &Guard,
    (sender, events): (&Sender<Event>, &mpsc::Receiver<Event>),
) -> Result<()> {
    let _spinner = context.output.spin(&format!("starting {}", what.name()));
    let limit = context.limits().handshake_time;
    let waiting = relay.clone();
    watch("wait-ready", sender.clone(), move || {
        let ready = waiting.wait_ready(limit);
        // The socket is removed by whoever drops the last of these.
        drop(waiting);
        Event::Ready(ready)
    })?;
    loop {
        context.signals.check()?;
        match events.recv() {
            Ok(Event::Ready(Ok(true))) => return Ok(()),
            Ok(Event::Ready(Ok(false))) => {
                let what = format!("{}: the peer's Init", what.full_name());
                return Err(Failure::connecting(Error::Timeout { what, after: limit }).into());
            }
            Ok(Event::Ready(Err(error))) => {
                let error = bitcoin_ipc::ipc::no_peer(&what.full_name(), child.child(), error);
                return Err(Failure::connecting(error).into());
            }
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs the command to its end; gives the exit status to end with.
fn supervise(
    context: &Context,
    what: &What,
    words: &[OsString],
    address: &Address,
    child: &Guard,
    sender: Sender<Event>,
    events: &mpsc::Receiver<Event>,
) -> Result<u8> {
    let Some((mut command, program)) = children::command(words) else {
        return Ok(0);
    };
    let mut variable = OsString::from("unix:");
    if let Address::Unix(Some(path)) = address {
        variable.push(path);
    }
    command.env(ADDRESS_VARIABLE, variable);
    let mut running = command
        .spawn()
        .map_err(|error| cannot_run(program, &error))?;
    let pid = rustix::process::Pid::from_child(&running);
    watch("wait-command", sender, move || {
        Event::CommandEnded(running.wait())
    })?;

    let mut signal_to_exit_with = None;
    let mut deadline: Option<Instant> = None;
    loop {
        let patience = deadline.map_or(Duration::from_secs(3600), |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        match events.recv_timeout(patience) {
            Ok(Event::CommandEnded(status)) => {
                let status = status.map_err(|error| Error::io("wait for the command", error))?;
                return match signal_to_exit_with {
                    Some(signal) => Err(Failure::signal(signal).into()),
                    None => Ok(ExitStatus::from(status).shell_code()),
                };
            }
            Ok(Event::Signal(SIGINT)) => {
                // A terminal's Ctrl-C has reached the command as well; what it means is the
                // command's to decide.
                if !in_foreground() {
                    let _ = rustix::process::kill_process(pid, Signal::INT);
                }
            }
            Ok(Event::Signal(signal)) => {
                signal_to_exit_with.get_or_insert(signal);
                deadline.get_or_insert(Instant::now() + COMMAND_PATIENCE);
                if let Some(signal) = Signal::from_named_raw(signal) {
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
            Ok(Event::ChildEnded) => {
                if let Ok(Some(status)) = child.child().try_wait() {
                    context.output.note(&format!(
                        "{} (pid {}) has ended ({status}); calls to it fail from now on",
                        what.name(),
                        child.pid()
                    ));
                }
            }
            Ok(Event::InputEnded | Event::Ready(_)) => {}
            Err(_) if deadline.is_some() => {
                deadline = Some(Instant::now() + COMMAND_PATIENCE);
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            Err(_) => {}
        }
    }
}

/// Whether this process is in the foreground of a terminal, where a Ctrl-C reaches every process
/// of its group.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok())
        .is_some_and(|group| group == rustix::process::getpgrp())
}

fn cannot_run(program: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::CannotStart,
    };
    Failure::new(
        kind,
        format!("{}: cannot be started: {error}", program.display()),
    )
    .hint("what follows -- is a program and its arguments")
}

fn watch_signals(context: &Context, sender: Sender<Event>) {
    context.signals.on_signal(move |signal| {
        let _ = sender.send(Event::Signal(signal));
    });
}

fn watch_child(child: &Guard, sender: Sender<Event>) -> Result<()> {
    let child = Arc::clone(child.child());
    watch("watch-child", sender, move || {
        // Its status is asked for again by whoever needs it.
        let _ = child.wait();
        Event::ChildEnded
    })
}

fn watch(
    name: &str,
    sender: Sender<Event>,
    wait: impl FnOnce() -> Event + Send + 'static,
) -> Result<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            let _ = sender.send(wait());
        })
        .map(drop)
        .map_err(|error| Error::io("start a thread", error).into())
}
