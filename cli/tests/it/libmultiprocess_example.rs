//! libmultiprocess's own example, whose schema this project has none of, by its folder of sources:
//! where the environment variable `LIBMULTIPROCESS_BUILD` names the folder in which CMake has built
//! `mpexamples`. Where it does not, the test says loudly that it was skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::Sandbox;

/// The folder of the programs, and that of their schema.
fn example() -> Option<(PathBuf, PathBuf)> {
    // Past the test harness, which shows only what failing tests print.
    let say = |line: &str| drop(writeln!(std::io::stderr(), "{line}"));
    let Some(build) = std::env::var_os("LIBMULTIPROCESS_BUILD").map(PathBuf::from) else {
        say("SKIPPED: libmultiprocess's example: set LIBMULTIPROCESS_BUILD to where it was built");
        return None;
    };
    let cache = fs::read_to_string(build.join("CMakeCache.txt")).unwrap();
    let source = cache
        .lines()
        .find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    let source = Path::new(source.unwrap()).join("example");
    say(&format!(
        "peer: libmultiprocess's example, {}",
        source.display()
    ));
    Some((build.join("example"), source))
}

#[test]
fn a_program_that_was_never_seen_is_listed_described_and_called() {
    let Some((programs, schema)) = example() else {
        return;
    };
    let sandbox = Sandbox::new();
    let schema = schema.to_str().unwrap();
    // They take the number of the descriptor alone.
    let child = |name: &str| {
        let program = programs.join(name);
        assert!(program.exists(), "{program:?} is not there");
        let text = format!("#!/bin/sh\nexec '{}' \"$2\"\n", program.display());
        format!("exec:{}", sandbox.script(name, &text).display())
    };
    let (calculator, printer) = (child("mpcalculator"), child("mpprinter"));

    let listed = sandbox.run(&["--schema", schema, "list"]);
    listed.expect(0, "InitInterface\nCalculatorInterface\nPrinterInterface\n");
    let described = sandbox.run(&["--schema", schema, "describe", "solveEquation"]);
    let signature = "CalculatorInterface.solveEquation @1 (eqn :Text) -> ()\n";
    assert!(described.stdout.starts_with(signature), "{described:?}");
    // The line that it proposes works as it is.
    let (_, line) = described.stdout.split_once("Try:\n").unwrap();
    let mut command = sandbox.command("sh");
    command
        .args(["-c", line])
        .env("BITCOIN_IPC_ADDRESS", &calculator);
    let printed = |text: &str| {
        format!(
            "{{\"object\":\"PrinterInterface#1\",\"method\":\"print\",\"params\":\
             {{\"text\":\"Wow {text}, that's a tough one.\\n\"}}}}\n"
        )
    };
    let output = sandbox.start(command).wait();
    output.expect(0, &format!("\"x\"\n{}null\n", printed("text")));

    // The calculator lets go of the printer with itself, and the child ends in order.
    let lines = "c = makeCalculator print:=print\nc.solveEquation '2 + 2'\n.release c\n";
    let words = ["-q", "-a", &calculator, "--schema", schema, "call"];
    let output = sandbox.run_with(&words, lines);
    output.expect(0, &format!("\"c\"\n{}null\n", printed("2 + 2")));
    assert_eq!(output.stderr, "");
    let words = [
        "-a",
        &calculator,
        "--schema",
        schema,
        "call",
        "makeCalculator",
    ];
    let output = sandbox.run(&[&words[..], &["print:=print", "--for", "100ms"]].concat());
    output.expect(0, "\"CalculatorInterface#1\"\n");

    // What the other child prints goes where its stdout does.
    let words = [
        "-a",
        &printer,
        "--schema",
        schema,
        "call",
        "PrinterInterface.print",
        "hi",
    ];
    sandbox.run(&words).expect(0, "mpprinter: hi\n");
    sandbox.assert_clean();
}
