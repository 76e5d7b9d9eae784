//! Children, of `spawn_tests.cpp`: nothing of the program runs between fork and exec.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use bitcoin_ipc::Program;
use bitcoin_ipc::process::{Stderr, spawn};

use crate::LONG;
use crate::support::{Setup, eventually, timed};

#[test]
fn no_callback_is_run_in_a_forked_child() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let parent = std::process::id();
        let stop = Arc::new(AtomicBool::new(false));
        // Forks go on while callbacks run on several threads.
        let forking = thread::spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let (_, child) = spawn(Program::new("/bin/true")).unwrap();
                    assert!(child.wait().unwrap().success());
                }
            }
        });
        let calling: Vec<_> = (0..4)
            .map(|_| {
                let foo = foo.clone();
                thread::spawn(move || {
                    for _ in 0..50 {
                        let pid = foo
                            .pass_fn(Some(Arc::new(|| Ok(std::process::id().cast_signed()))))
                            .unwrap();
                        assert_eq!(pid.cast_unsigned(), parent);
                    }
                })
            })
            .collect();
        for thread in calling {
            thread.join().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        forking.join().unwrap();
    });
}

/// A caller's closure that ran between fork and exec would find a mutex locked for ever that
/// another thread held at the fork. [`spawn`] takes one closure, for the lines of the child's
/// standard error: it runs here, and the child ends although that closure waits.
#[test]
fn spawn_process_does_not_run_callback_in_child() {
    timed(|| {
        let target = Arc::new(Mutex::new(()));
        let control = Arc::new((Mutex::new((false, false)), Condvar::new()));
        // Holds the mutex until the test releases it.
        let locker = thread::spawn({
            let (target, control) = (target.clone(), control.clone());
            move || {
                let _held = target.lock().unwrap();
                let mut state = control.0.lock().unwrap();
                state.0 = true;
                control.1.notify_all();
                drop(control.1.wait_while(state, |state| !state.1).unwrap());
            }
        });
        let state = control.0.lock().unwrap();
        drop(control.1.wait_while(state, |state| !state.0).unwrap());

        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        // Another process writes it: a child that a test beside this one forks could have it open
        // for writing, and then it cannot be executed.
        let written = Command::new("/bin/sh")
            .args([
                "-c",
                "printf '#!/bin/sh\necho started >&2\n' >\"$1\" && chmod 755 \"$1\"",
                "sh",
            ])
            .arg(&program)
            .status()
            .unwrap();
        assert!(written.success());
        let (said, lines) = mpsc::channel();
        let on_line = move |line: &str| {
            let _needed = target.lock().unwrap();
            said.send((line.to_owned(), std::process::id())).unwrap();
        };
        let stderr = Stderr::Lines(Box::new(on_line));
        let (_stream, child) = spawn(Program::new(program).stderr(stderr)).unwrap();
        eventually("the child ends", || child.try_wait().unwrap().is_some());
        assert!(child.try_wait().unwrap().unwrap().success());
        assert!(lines.try_recv().is_err());

        control.0.lock().unwrap().1 = true;
        control.1.notify_all();
        locker.join().unwrap();
        let (line, pid) = lines.recv_timeout(LONG).unwrap();
        assert_eq!((line.as_str(), pid), ("started", std::process::id()));
    });
}
