//! The executable on a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use super::{EXE, LIMIT, Sandbox, poll};

/// The executable as the leader of a terminal's session.
pub struct Terminal {
    keyboard: File,
    /// The bytes that were written to it.
    written: Arc<Mutex<Vec<u8>>>,
    /// The number of those bytes that [`Terminal::wait`] has consumed.
    seen: usize,
    other_end: File,
    child: Child,
}

impl Terminal {
    pub fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        Self::with(sandbox, words, "xterm", None)
    }

    pub fn with(sandbox: &Sandbox, words: &[&str], term: &str, stdout: Option<File>) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let mut options = File::options();
        options.read(true).write(true);
        // Without becoming the terminal of this process.
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0o400);
        let other_end = options.open(name.to_str().unwrap()).unwrap();
        // Resets signals that this process ignores to their defaults. `env` replaces itself, as it
        // leads no group.
        let mut command: Command = sandbox.command("env");
        command.args(["--default-signal", "setsid", "--ctty", EXE]);
        command.args(words).env("TERM", term);
        command.stdin(other_end.try_clone().unwrap());
        command.stderr(other_end.try_clone().unwrap());
        command.stdout(match stdout {
            Some(file) => Stdio::from(file),
            None => other_end.try_clone().unwrap().into(),
        });
        command.env_remove("XDG_STATE_HOME");
        let child = command.spawn().unwrap();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let keyboard = File::from(terminal);
        let (mut screen, all) = (keyboard.try_clone().unwrap(), written.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                all.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Self {
            keyboard,
            written,
            seen: 0,
            other_end,
            child,
        }
    }

    /// Returns all that was written to it.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    pub fn write(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Returns the text after the part that was consumed, without the sequences that move the
    /// cursor.
    pub fn rest(&self) -> String {
        let written = self.written.lock().unwrap()[self.seen..].to_vec();
        let mut text = String::new();
        let written = String::from_utf8_lossy(&written).into_owned();
        let mut letters = written.chars();
        while let Some(c) = letters.next() {
            match c {
                '\u{1b}' => drop(letters.by_ref().skip(1).find(char::is_ascii_alphabetic)),
                c => text.push(c),
            }
        }
        text
    }

    /// Waits until this is written after the part that was consumed. Consumes what is there then,
    /// and returns it.
    #[track_caller]
    pub fn wait(&mut self, words: &str) -> String {
        let deadline = Instant::now() + LIMIT / 2;
        loop {
            let text = self.rest();
            if text.contains(words) {
                // Up to the end of what is there: redrawing writes the same again.
                self.seen = self.written.lock().unwrap().len();
                return text;
            }
            assert!(
                Instant::now() < deadline,
                "no {words:?} in {text:?}; all: {:?}",
                String::from_utf8_lossy(&self.written.lock().unwrap())
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the editor reads.
    #[track_caller]
    pub fn ready(&mut self) {
        let edits = || !self.modes().local_modes.contains(LocalModes::ICANON);
        poll("an editor", || edits().then_some(()));
    }

    /// Waits until a call runs.
    #[track_caller]
    pub fn calls(&mut self) {
        let waits = || self.modes().local_modes.contains(LocalModes::ICANON);
        poll("a call", || waits().then_some(()));
    }

    pub fn modes(&self) -> Termios {
        tcgetattr(&self.other_end).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    #[track_caller]
    pub fn ends(&mut self, code: i32) {
        let status = poll("the end", || self.child.try_wait().unwrap());
        let ended = status.code().or(status.signal().map(|signal| -signal));
        assert_eq!(ended, Some(code), "{}", self.rest());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
