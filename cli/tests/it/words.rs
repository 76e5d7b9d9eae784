//! Words: those of Bitcoin Core's kind that are refused, its waits, and durations.

use crate::common::Sandbox;

/// FAULTS F8 and F10: a word of Core's kind is named whole.
#[test]
fn unknown_words_are_named_whole() {
    let sandbox = Sandbox::new();
    for (words, message, hint) in [
        (
            &["-rpcport=1", "call"][..],
            "'-rpcport=1'",
            "-rpcport is for JSON-RPC",
        ),
        (
            &["call", "echo", "hi", "-rpcport=1"],
            "'-rpcport=1'",
            "by its socket",
        ),
        (
            &["-rpcpassword=x", "call"],
            "'-rpcpassword=…'",
            "by its socket",
        ),
        (&["-getinfo"], "'-getinfo'", "a command of bitcoin-cli"),
        (&["-nosuch", "call"], "'-nosuch'", "--help"),
        (
            &["-regtest", "-signet", "-a", "unix", "call", "echo", "hi"],
            "-regtest and -signet",
            "one of them",
        ),
        (
            &["-chain=main", "-signet", "-a", "unix", "call", "echo", "hi"],
            "--chain=main and -signet",
            "one of them",
        ),
    ] {
        let output = sandbox.run(words);
        output.expect_error(2, &[message]);
        assert!(
            output.stderr.lines().last().unwrap().contains(hint),
            "{output:?}"
        );
    }
}

/// FAULTS F8: `-rpcwait` and its limit, before and after the command.
#[test]
fn waits_are_cores() {
    let sandbox = Sandbox::new();
    for words in [
        &[
            "-rpcwait",
            "-rpcwaittimeout=1",
            "-a",
            "/nonexistent",
            "call",
            "echo",
            "hi",
        ][..],
        &[
            "call",
            "-a",
            "/nonexistent",
            "echo",
            "hi",
            "-rpcwaittimeout=1",
            "--rpcwait=1",
        ],
    ] {
        let output = sandbox.run(words);
        output.expect_error(3, &["/nonexistent"]);
        assert!(output.took.as_millis() >= 900, "{output:?}");
    }
    let words = [
        "-rpcwait",
        "-norpcwait",
        "-a",
        "/nonexistent",
        "call",
        "echo",
        "hi",
    ];
    sandbox.run(&words).expect_error(3, &["/nonexistent"]);
    sandbox
        .run(&["-rpcwaittimeout=x", "call"])
        .expect_error(2, &["'x'"]);
}

/// FAULTS F10: options and parameters have the same units; a number alone is seconds as an option,
/// and as a parameter the milliseconds of the wire.
#[test]
fn durations_are_the_same_in_every_place() {
    let sandbox = Sandbox::new();
    let hash = "00".repeat(32);
    let sent = |duration: &str| {
        let timeout = format!("timeout={duration}");
        sandbox.run(&[
            "call",
            "--dry-run",
            "Mining.waitTipChanged",
            &hash,
            &timeout,
        ])
    };
    let option = |option: &str, duration: &str| {
        let words = [option, duration, "call", "--dry-run", "echo", "hi"];
        let words = if option == "--wait" {
            vec![format!("--wait={duration}")]
        } else {
            vec![option.into(), duration.into()]
        }
        .into_iter()
        .chain(words[2..].iter().map(|word| (*word).to_owned()));
        sandbox.run(&words.collect::<Vec<_>>())
    };
    for (duration, milliseconds) in [
        ("250ms", "250.0"),
        ("5s", "5000.0"),
        ("1.5s", "1500.0"),
        ("2m", "120000.0"),
        ("5min", "300000.0"),
        ("1h", "3600000.0"),
        ("forever", "\"forever\""),
        ("7", "7.0"),
    ] {
        let output = sent(duration);
        assert_eq!(output.code, 0, "{output:?}");
        let sent = format!("\"timeout\":{milliseconds}");
        assert!(
            output.stdout.replace(": ", ":").contains(&sent),
            "{output:?}"
        );
        for name in ["--timeout", "--wait"] {
            assert_eq!(option(name, duration).code, 0, "{name} {duration}");
        }
    }
    for bad in ["5d", "5 s", "s", "..s", "-5s"] {
        assert_eq!(sent(bad).code, 2, "{bad}");
        assert_eq!(option("--wait", bad).code, 2, "{bad}");
    }
    let words = ["-a", "/nonexistent", "--wait=1", "call", "echo", "hi"];
    let output = sandbox.run(&words);
    output.expect_error(3, &["/nonexistent"]);
    assert!(
        (900..20_000).contains(&output.took.as_millis()),
        "{output:?}"
    );
}
