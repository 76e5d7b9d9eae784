//! Checks the README: its example, its sessions, its table of exit statuses.

use std::process::{Command, Stdio};

const README: &str = include_str!("../../../README.md");

/// Returns the contents of the fenced blocks of this kind.
fn blocks(kind: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(found), None) => open = Some((found == kind, String::new())),
            (Some(_), Some(_)) => {
                let block = open.take().filter(|(wanted, _)| *wanted);
                blocks.extend(block.map(|(_, text)| text));
            }
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// Returns the text with each number as `N`: process ids and times differ.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            false => out.push(c),
            true if out.ends_with('N') => {}
            true => out.push('N'),
        }
    }
    out
}

#[test]
fn the_example_is_the_file() {
    let file = include_str!("../../../examples/closure/src/main.rs");
    assert_eq!(blocks("rust,ignore"), [file]);
}

/// Runs the blocks' commands, each block in a shell of its own, and compares what they print.
#[test]
fn the_sessions_go_as_shown() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_bitcoin-ipc"));
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("demo.sock");
    let none = home.path().join("none.sock");
    let place = |text: &str| {
        text.replace("/tmp/demo.sock", &socket.display().to_string())
            .replace("/tmp/none.sock", &none.display().to_string())
    };
    let mut ran = 0;
    for block in blocks("console") {
        let (mut script, mut shown) = (String::new(), String::new());
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => script += &format!("{}\n", place(command)),
                None => shown += &format!("{}\n", place(line)),
            }
        }
        if script.contains("cargo") {
            // The example, which has a test of its own.
            continue;
        }
        let path = std::env::var_os("PATH").unwrap();
        let mut folders = vec![program.parent().unwrap().to_owned()];
        folders.extend(std::env::split_paths(&path));
        let output = Command::new("sh")
            .args([
                "-c",
                &format!("exec 2>&1\n{script}kill $! 2>/dev/null; wait\n"),
            ])
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("HOME", home.path())
            .env_remove("BITCOIN_IPC_ADDRESS")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            without_numbers(&printed),
            without_numbers(&shown),
            "{script}"
        );
        ran += 1;
    }
    assert_eq!(ran, 4);
}

#[test]
fn the_exit_statuses_are_those_of_the_help() {
    let output = Command::new(env!("CARGO_BIN_EXE_bitcoin-ipc"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, listed) = help.split_once("Exit status:\n").unwrap();
    let listed: Vec<String> = listed
        .lines()
        .map_while(|line| line.trim().split_once(' '))
        .map(|(code, meaning)| format!("| {code} | {} |", meaning.trim()))
        .collect();
    let table: Vec<&str> = README
        .lines()
        .skip_while(|line| *line != "| status | meaning |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(table, listed);
}

#[test]
fn the_files_it_names_are_there() {
    for (at, _) in README.match_indices("](") {
        let link = README[at + 2..].split(')').next().unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(link);
        assert!(link.starts_with("http") || path.exists(), "{link}");
    }
}
