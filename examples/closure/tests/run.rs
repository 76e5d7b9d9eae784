//! The program, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

#[test]
fn the_child_calls_the_parents_closure() {
    let output = Command::new(env!("CARGO_BIN_EXE_closure"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    assert_eq!(stderr, "");
    assert_eq!(
        stdout,
        "the child asks for the square of 1\n\
         the child asks for the square of 2\n\
         the child asks for the square of 3\n\
         the sum is 14\n"
    );
}

#[test]
fn a_child_without_a_parent_says_why_it_ends() {
    let output = Command::new(env!("CARGO_BIN_EXE_closure"))
        .args(["-ipcfd", "x"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("Invalid -ipcfd number"), "{stderr}");
}
