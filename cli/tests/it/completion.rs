//! Completion of interfaces, methods and parameters, asked for as the shells ask: their own
//! completion machinery runs with the script that `completions` prints.

use std::io::Write;
use std::process::Command;

use crate::common::Sandbox;

/// Tells whether a shell is installed.
fn has(shell: &str) -> bool {
    crate::common::has_tool(shell, "its completions")
}

/// Returns the candidates of bash for a line with the cursor at its end. The words are those that
/// readline makes.
fn bash(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = sandbox.run(&["completions", "bash"]);
    assert_eq!(script.code, 0, "{script:?}");
    let script = sandbox.write("completions.bash", script.stdout);
    let ask = r#"
        source "$1"; shift
        complete -p bitcoin-ipc >/dev/null || exit 9
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        current=${COMP_WORDS[COMP_CWORD]}
        if [[ $current =~ ^[=:]+$ ]]; then current=; fi
        if [[ $current == *@ ]]; then current=@; fi
        if [[ ${COMP_WORDS[COMP_CWORD-1]} == *@ ]]; then current=@$current; fi
        _clap_complete_bitcoin_ipc bitcoin-ipc "$current" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = sandbox.command("bash");
    command
        .args(["--norc", "-c", ask, "bash"])
        .arg(script)
        .args(words);
    lines(sandbox, command)
}

#[track_caller]
fn lines(sandbox: &Sandbox, command: Command) -> Vec<String> {
    let output = sandbox.start(command).wait();
    assert_eq!(output.code, 0, "{output:?}");
    let lines = output.stdout.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

const IPC: &str = "bitcoin-ipc";

#[test]
fn bash_completes_what_the_schemas_have() {
    let sandbox = Sandbox::new();
    sandbox.script("program", "#!/bin/sh\n");
    for (words, offered) in [
        (
            &[IPC, "call", "Mining.crea"][..],
            &["Mining.createNewBlock"][..],
        ),
        (&[IPC, "call", "mining.crea"], &["Mining.createNewBlock"]),
        (
            &[IPC, "call", "getT"],
            &[
                "getTip",
                "getTransactionsByTxID",
                "getTransactionsByWitnessID",
            ],
        ),
        (
            &[IPC, "call", "Mining.createNewBlock/getB"],
            &[
                "Mining.createNewBlock/getBlockHeader",
                "Mining.createNewBlock/getBlock",
            ],
        ),
        (
            &[IPC, "call", "createNewBlock", ""],
            &["options=", "cooldown="],
        ),
        (&[IPC, "call", "createNewBlock", "--ea"], &["--each"]),
        (
            &[IPC, "list", ""],
            &["Init", "Echo", "Mining", "Rpc", "BlockTemplate"],
        ),
        (&[IPC, "list", "M"], &["Mining"]),
        (
            &[IPC, "describe", "BlockT"],
            &[
                "BlockTemplate",
                "BlockTemplate.getBlock",
                "BlockTemplate.getBlockHeader",
                "BlockTemplate.getCoinbaseMerklePath",
                "BlockTemplate.getCoinbaseTx",
                "BlockTemplate.getTxFees",
                "BlockTemplate.getTxSigops",
                "BlockTemplate.interruptWait",
                "BlockTemplate.submitSolution",
                "BlockTemplate.submitSolutionOld7",
                "BlockTemplate.waitNext",
            ],
        ),
        (&[IPC, "describe", "BlockR"], &["BlockRef"]),
        // `=` and `:` are words of their own to bash, which wants what follows them.
        (
            &[IPC, "call", "createNewBlock", "cooldown", "="],
            &["true", "false"],
        ),
        (
            &[IPC, "call", "createNewBlock", "cooldown", "=", "f"],
            &["false"],
        ),
        (
            &[IPC, "call", "waitTipChanged", "timeout", "=", "fo"],
            &["forever"],
        ),
        (
            &[IPC, "call", "createNewBlock", "cooldown", "=", "1", ""],
            &["options="],
        ),
        (
            &[IPC, "-a", "unix", ":", "/x", "call", "isT"],
            &["isTestChain"],
        ),
        (&[IPC, "-regtest", "call", "isT"], &["isTestChain"]),
        (&[IPC, "--core", "="], &["auto", "30", "31", "32"]),
        // The generation that is meant.
        (&[IPC, "call", "submitB"], &["submitBlock"]),
        (&[IPC, "--core", "30", "call", "submitB"], &[]),
        (&[IPC, "--core", "=", "31", "list", "R"], &[]),
        // Bitcoin Core's spellings, where an option may stand.
        (&[IPC, "-reg"], &["-regtest"]),
        (&[IPC, "-regtest"], &["-regtest"]),
        (&[IPC, "-testnet"], &["-testnet", "-testnet4"]),
        (&[IPC, "-rpcwaitt"], &["-rpcwaittimeout="]),
        (&[IPC, "-chain", "=", "re"], &["regtest"]),
        (&[IPC, "call", "echo", "hi", "-ipcc"], &["-ipcconnect="]),
        (&[IPC, "call", "echo", "--", "-reg"], &[]),
        (&[IPC, "--datadir", "-reg"], &[]),
        (&[IPC, "rpc", "-na"], &["-named"]),
        (&[IPC, "rpc", "-rpcwal"], &["-rpcwallet="]),
        // Names that no schema has.
        (&[IPC, "spawn", ""], &["node", "wallet", "gui"]),
        (&[IPC, "spawn", "w"], &["wallet"]),
        (&[IPC, "spawn", "./pro"], &["./program"]),
        (&[IPC, "man", "ca"], &["call"]),
        (&[IPC, "completions", "n"], &["nushell"]),
        (&[IPC, "-a", "u"], &["unix", "unix:"]),
        (&[IPC, "-a", "unix", ":", "./pro"], &["./program"]),
        (&[IPC, "connect", "./pro"], &[]),
        (&[IPC, "watch", "t"], &["tip", "template"]),
        (&[IPC, "watch", "isT"], &["isTestChain"]),
        // Files in place of a value.
        (&[IPC, "call", "submitBlock", "@", "pro"], &["@program"]),
        (
            &[IPC, "call", "submitBlock", "block", "=@", "pro"],
            &["@program"],
        ),
        // A schema of the user's own.
        (
            &[IPC, "--schema", FOO, "call", "callbackS"],
            &["callbackShared", "callbackSaved"],
        ),
        (
            &[IPC, "--schema", FOO, "call", "callbackShared", "c"],
            &["callback=", "callback:=print"],
        ),
        (
            &[
                IPC,
                "--schema",
                FOO,
                "call",
                "callbackShared",
                "callback",
                ":=",
            ],
            &["print"],
        ),
        (
            &[IPC, "--schema", FOO, "call", "passEnum", "arg", "="],
            &["red", "green", "blue"],
        ),
        (&[IPC, "--schema", "/nonexistent", "call", "ech"], &[]),
    ] {
        assert_eq!(bash(&sandbox, words), offered, "{words:?}");
    }
    let all = bash(&sandbox, &[IPC, "call", ""]);
    for name in [
        "Echo.echo",
        "echo",
        "Init.makeEcho",
        "Rpc.executeRpc",
        "waitTipChanged",
    ] {
        assert!(all.iter().any(|offered| offered == name), "{name} {all:?}");
    }
    // Methods that cannot be called by their names alone are not offered, and no options among
    // methods.
    for start in ["BlockTemplate", "getBlockHeader", "-"] {
        assert!(
            !all.iter().any(|name| name.starts_with(start)),
            "{start} {all:?}"
        );
    }
    sandbox.assert_clean();
}

const FOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");

#[test]
fn fish_completes_what_the_schemas_have() {
    if !has("fish") {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.write("c.fish", sandbox.run(&["completions", "fish"]).stdout);
    for (line, offered) in [
        (
            "bitcoin-ipc call Mining.crea",
            &["Mining.createNewBlock"][..],
        ),
        (
            "bitcoin-ipc call createNewBlock cooldown=",
            &["cooldown=true", "cooldown=false"],
        ),
        ("bitcoin-ipc list Mi", &["Mining"]),
        ("bitcoin-ipc --core 30 call submitB", &[]),
        ("bitcoin-ipc -reg", &["-regtest"]),
        ("bitcoin-ipc -chain=re", &["-chain=regtest"]),
        ("bitcoin-ipc spawn w", &["wallet"]),
        ("bitcoin-ipc call submitBlock @c.fi", &["@c.fish"]),
    ] {
        let mut command = sandbox.command("fish");
        let ask = "source $argv[1]; complete --do-complete $argv[2]";
        command
            .args(["--no-config", "-c", ask])
            .arg(&script)
            .arg(line);
        let found = lines(&sandbox, command);
        let names: Vec<_> = found
            .iter()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(names, offered, "{line}");
    }
}

/// Zsh completes only in its line editor: the candidates that it would get are caught here.
#[test]
fn zsh_completes_what_the_schemas_have() {
    if !has("zsh") {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.write("_bitcoin-ipc", sandbox.run(&["completions", "zsh"]).stdout);
    let ask = r#"
        compdef() { registered="$*" }
        _describe() { print -rl -- ${(P)@[-1]} }
        source "$1"; shift
        [[ $registered == "_clap_dynamic_completer_bitcoin_ipc bitcoin-ipc" ]] || exit 9
        words=("$@"); CURRENT=$#
        _clap_dynamic_completer_bitcoin_ipc
    "#;
    for (words, offered) in [
        (
            &[IPC, "call", "Mining.crea"][..],
            &["Mining.createNewBlock"][..],
        ),
        (
            &[IPC, "call", "createNewBlock", ""],
            &["options=", "cooldown="],
        ),
        (
            &[IPC, "call", "waitTipChanged", "timeout=f"],
            &["timeout=forever"],
        ),
        (&[IPC, "--core", "30", "call", "submitB"], &[]),
        (&[IPC, "-reg"], &["-regtest"]),
        (&[IPC, "-chain=re"], &["-chain=regtest"]),
        (&[IPC, "spawn", "w"], &["wallet"]),
        (&[IPC, "call", "submitBlock", "@_bit"], &["@_bitcoin-ipc"]),
        (
            &[IPC, "--schema", FOO, "call", "callback", "callback:"],
            &["callback\\:=print"],
        ),
    ] {
        let mut command = sandbox.command("zsh");
        command
            .args(["-f", "-c", ask, "zsh"])
            .arg(&script)
            .args(words);
        let found = lines(&sandbox, command);
        // The first line of the schema's comment follows, where there is one.
        let name = |line: &String| match line.replace("\\:", "\u{0}").split_once(':') {
            Some((name, _)) => name.replace('\u{0}', "\\:"),
            None => line.clone(),
        };
        let names: Vec<_> = found.iter().map(name).collect();
        assert_eq!(names, offered, "{words:?}");
    }
}

/// Nushell completes a script's end where it is asked as an editor asks it. Nothing but npm and cargo
/// has it, so that it is left out where it is not there, also with `CI=true`.
#[test]
fn nushell_completes_what_the_schemas_have() {
    let sandbox = Sandbox::new();
    let nu = std::env::var_os("NU").unwrap_or_else(|| "nu".into());
    if Command::new(&nu).arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: nu, its completions: it is not there"
        );
        return;
    }
    let script = sandbox.run(&["completions", "nushell"]).stdout;
    for (line, offered) in [
        (
            "bitcoin-ipc call Mining.crea",
            &["Mining.createNewBlock"][..],
        ),
        (
            "bitcoin-ipc call createNewBlock ",
            &["options=", "cooldown="],
        ),
        ("bitcoin-ipc -reg", &["-regtest"]),
        ("bitcoin-ipc -regtest call isT", &["isTestChain"]),
        ("bitcoin-ipc call \"echo\" --dr", &["--dry-run"]),
        ("bitcoin-ipc spawn w", &["wallet"]),
    ] {
        let text = format!("{script}{line}");
        let file = sandbox.write("line.nu", &text);
        let mut command = sandbox.command(&nu);
        command.args([
            "--no-config-file",
            "--ide-complete",
            &text.len().to_string(),
        ]);
        command.arg(file);
        let output = sandbox.start(command).wait();
        let found: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let found = found["completions"].as_array().unwrap();
        let found: Vec<_> = found.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(found, offered, "{line}: {output:?}");
    }
}

#[test]
fn what_asks_for_no_completion_gets_none() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.ipc(&["call", "echo", "hi"]);
    command.env("BITCOIN_IPC_COMPLETE", "");
    sandbox.start(command).wait().expect(0, "hi\n");
    let mut command = sandbox.ipc(&["--", "bitcoin-ipc", "call", "ech"]);
    command.env("BITCOIN_IPC_COMPLETE", "tcsh");
    let output = sandbox.start(command).wait();
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
}
