//! The manual, the completions and the help, which all come from one definition.
//!
//! `UPDATE_GENERATED=1 cargo test --test it generated` writes the committed copies anew.

use std::fs;
use std::path::Path;

use crate::common::Sandbox;

#[track_caller]
fn same(path: &str, words: &[&str]) {
    let sandbox = Sandbox::new();
    let output = sandbox.run(words);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &output.stdout).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == output.stdout,
        "{} is not what `bitcoin-ipc {}` prints: run this test with UPDATE_GENERATED=1",
        path.display(),
        words.join(" ")
    );
}

/// The commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = Sandbox::new().run(&["--help"]).stdout;
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let names = list.lines().take_while(|line| !line.is_empty());
    // What is too long for a line goes on below it.
    let names = names.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    let names: Vec<_> = names.filter(|name| name != "help").collect();
    assert!(names.len() > 8, "{names:?}");
    names
}

#[test]
fn the_manuals_are_what_the_definition_says() {
    same("man/bitcoin-ipc.1", &["man"]);
    let mut pages = vec!["bitcoin-ipc.1".to_owned()];
    for command in commands() {
        let page = format!("bitcoin-ipc-{command}.1");
        same(&format!("man/{page}"), &["man", &command]);
        pages.push(page);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let found = fs::read_dir(folder).unwrap();
    let found = found.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = found.collect();
    found.sort();
    pages.sort();
    assert_eq!(
        found, pages,
        "a page of no command, or a command of no page"
    );
    let output = Sandbox::new().run(&["man", "nosuch"]);
    output.expect_error(2, &["\"nosuch\" is no command"]);
}

/// Groff says nothing of any page, and shows each name in its own.
#[test]
fn the_manuals_render_without_warnings() {
    if !crate::common::has_tool("groff", "how the manuals are rendered") {
        return;
    }
    let sandbox = Sandbox::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("man")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        assert!(text.is_ascii(), "{}", path.display());
        let mut command = sandbox.command("groff");
        command
            .args(["-ww", "-man", "-Tascii", "-P-cbou"])
            .arg(&path);
        let output = sandbox.start(command).wait();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (0, ""),
            "{}",
            path.display()
        );
        let name = path.file_stem().unwrap().to_str().unwrap();
        for part in ["NAME", name, "SYNOPSIS", "EXIT STATUS", "SEE ALSO"] {
            assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
        }
    }
}

/// FAULTS F10: `help COMMAND` is `COMMAND --help`.
#[test]
fn help_is_a_command_too() {
    let sandbox = Sandbox::new();
    let help = |words: &[&str]| {
        let output = sandbox.run(words);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        output.stdout
    };
    assert_eq!(help(&["help"]), help(&["--help"]));
    for command in commands() {
        assert_eq!(help(&["help", &command]), help(&[&command, "--help"]));
    }
    sandbox
        .run(&["help", "nosuch"])
        .expect_error(2, &["'nosuch'"]);
}

#[test]
fn completions_are_what_the_definition_says() {
    for (shell, file) in [
        ("bash", "bitcoin-ipc.bash"),
        ("zsh", "_bitcoin-ipc"),
        ("fish", "bitcoin-ipc.fish"),
        ("nushell", "bitcoin-ipc.nu"),
        ("elvish", "bitcoin-ipc.elv"),
        ("powershell", "_bitcoin-ipc.ps1"),
    ] {
        same(&format!("completions/{file}"), &["completions", shell]);
    }
}

#[test]
fn help_is_as_it_was() {
    same("tests/data/help.txt", &["--help"]);
    for command in commands() {
        same(
            &format!("tests/data/help-{command}.txt"),
            &[&command, "--help"],
        );
    }
}

#[test]
fn help_and_version_are_results() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["--version"]);
    output.expect(0, &format!("bitcoin-ipc {}\n", env!("CARGO_PKG_VERSION")));
    // No command at all is wrong usage: the help goes to stderr.
    let output = sandbox.run::<&str>(&[]);
    output.expect(2, "");
    assert!(output.stderr.contains("Usage: bitcoin-ipc"), "{output:?}");
}

#[test]
fn wrong_usage_is_two_lines() {
    let sandbox = Sandbox::new();
    for (words, message, hint) in [
        (&["cal"][..], "unrecognized subcommand 'cal'", "'call'"),
        (
            &["call", "--chain", "foo"],
            "'foo' for '--chain <NAME>'",
            "regtest",
        ),
        (
            &["call", "--timeout", "5d"],
            "'5d' for '--timeout <DURATION>'",
            "--help",
        ),
        (
            &["-a", "x/y", "call"],
            "'x/y' for '--address <ADDRESS>'",
            "--help",
        ),
        (&["serve"], "--fd <N>|--listen", "usage: bitcoin-ipc serve"),
        (&["completions", "tcsh"], "'tcsh'", "'zsh'"),
    ] {
        let output = sandbox.run(words);
        output.expect_error(2, &[message]);
        let last = output.stderr.lines().last().unwrap();
        assert!(last.contains(hint), "{output:?}");
    }
}

#[test]
fn core_spellings_choose_the_socket() {
    let sandbox = Sandbox::new();
    for (words, path) in [
        (&["-regtest"][..], "regtest/node.sock"),
        (&["-testnet4"], "testnet4/node.sock"),
        (&["-testnet"], "testnet3/node.sock"),
        (&["-signet"], "signet/node.sock"),
        (&["-chain=main"], ".bitcoin/node.sock"),
        (
            &["-datadir=/nonexistent", "-regtest"],
            "/nonexistent/regtest/node.sock",
        ),
        (&["-ipcconnect=unix:x.sock"], ".bitcoin/x.sock"),
    ] {
        let mut command = sandbox.ipc(words);
        command.args(["call", "echo", "hi"]);
        if words[0].starts_with("-ipcconnect") {
            command.env("BITCOIN_IPC_ADDRESS", "unix:not-this");
        } else {
            command.env("BITCOIN_IPC_ADDRESS", "unix");
        }
        sandbox.start(command).wait().expect_error(3, &[path]);
    }
}

#[test]
fn nothing_is_painted_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    for words in [&["cal"][..], &["call", "nosuch"], &["--help"]] {
        let output = sandbox.run(words);
        assert!(!(output.stdout + &output.stderr).contains('\u{1b}'));
    }
    let output = sandbox.run(&["--color", "always", "call", "nosuch"]);
    assert!(
        output.stderr.starts_with("\u{1b}[1;31merror:"),
        "{output:?}"
    );
}

/// The package for Debian has every manual, completion and unit, and a licence.
#[test]
fn the_package_has_the_files_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let (_, deb) = manifest.split_once("[package.metadata.deb]").unwrap();
    let (_, assets) = deb.split_once("assets = [\n").unwrap();
    let assets = assets.lines().take_while(|line| *line != "]");
    let sources = assets.map(|line| line.split('"').nth(1).unwrap().to_owned());
    let sources: Vec<_> = sources.collect();
    for source in &sources {
        let fixed = source.split('*').next().unwrap();
        let is_built = source.starts_with("target/");
        assert!(is_built || folder.join(fixed).exists(), "{source}");
    }
    for part in ["man", "completions", "systemd"] {
        for file in fs::read_dir(folder.join(part)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let is_listed = |source: &String| match source.split_once('*') {
                Some((before, after)) => {
                    let path = format!("{part}/{name}");
                    path.starts_with(before) && path.ends_with(after)
                }
                None => *source == format!("{part}/{name}"),
            };
            assert!(
                sources.iter().any(is_listed),
                "{part}/{name} is not packaged"
            );
        }
    }
    assert!(folder.join("LICENSE").exists());
}
