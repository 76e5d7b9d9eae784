//! `man`: the manual pages, from the definition of the command line: one of the program, and one of
//! each command.

use std::io::{self, Write};

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use eyre::Result;

use crate::args::{self, AFTER_HELP, Cli, exit_status};
use crate::ui::errors::Failure;
use crate::ui::output;

/// The variables and files that matter to the program, for its page.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "BITCOIN_IPC_ADDRESS",
        "the address of the peer, unless it is empty; --address wins over it",
    ),
    ("HOME", "the folder of the default data directory"),
    (
        "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
        "the sockets that serve takes over",
    ),
    ("NOTIFY_SOCKET", "where serve tells its state"),
    (
        "NO_COLOR, TERM",
        "no colours where the first is set, or the second is dumb",
    ),
    (
        "RUST_BACKTRACE",
        "with 1, an internal error shows where it is from",
    ),
    (
        "XDG_STATE_HOME",
        "the folder of the prompt's history, in place of ~/.local/state",
    ),
];
const FILES: &[(&str, &str)] = &[
    (
        "~/.bitcoin/bitcoin.conf",
        "the node's configuration, and that of bitcoin-cli",
    ),
    (
        "~/.bitcoin/node.sock",
        "the node's socket; of another chain than main, in its folder",
    ),
    (
        "~/.local/state/bitcoin-ipc/history",
        "the lines typed at the prompt",
    ),
];

pub(crate) fn run(args: &args::Man) -> Result<u8> {
    let mut definition = Cli::command();
    definition.build();
    let page = match args.command.as_deref() {
        None => of_program(&definition)?,
        Some(name) => {
            let mut commands = commands(&definition);
            let command = commands.find(|command| command.get_name() == name);
            let command = command.ok_or_else(|| unknown(&definition, name))?;
            of_command(&definition, command)?
        }
    };
    output::print(ascii(&page).as_bytes())?;
    Ok(0)
}

/// Returns the commands that have a page.
fn commands(definition: &Command) -> impl Iterator<Item = &Command> {
    let all = definition.get_subcommands();
    all.filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn unknown(definition: &Command, name: &str) -> Failure {
    let names: Vec<_> = commands(definition).map(Command::get_name).collect();
    Failure::usage(format!("{name:?} is no command"))
        .hint(format!("it is one of {}", names.join(", ")))
}

fn of_program(definition: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    head(&mut text, definition, definition)?;
    let page = Man::new(definition.clone());
    page.render_options_section(&mut text)?;
    writeln!(text, ".SH COMMANDS")?;
    for command in commands(definition) {
        let about = command.get_about().map(ToString::to_string);
        let name = escaped(&page_name(definition, command));
        writeln!(
            text,
            ".TP\n.BR {name} (1)\n{}",
            escaped(&about.unwrap_or_default())
        )?;
    }
    writeln!(text, ".SH NOTES")?;
    paragraphs(&mut text, AFTER_HELP)?;
    terms(&mut text, "ENVIRONMENT", ENVIRONMENT)?;
    terms(&mut text, "FILES", FILES)?;
    statuses(&mut text)?;
    let pages = commands(definition).map(|command| page_name(definition, command));
    see_also(&mut text, pages.chain(["bitcoin-cli".to_owned()]))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn of_command(definition: &Command, command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    // The common options are in the program's page.
    let is_common = |arg: &Arg| arg.is_global_set() || arg.get_id() == "help";
    let own = command.clone().mut_args(|arg| match is_common(&arg) {
        true => arg.hide(true),
        false => arg,
    });
    head(&mut text, definition, &own)?;
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        Man::new(own).render_options_section(&mut text)?;
    }
    writeln!(
        text,
        ".PP\nThe options that every command takes, and the forms of addresses, are in\n\
         .BR bitcoin\\-ipc (1)."
    )?;
    statuses(&mut text)?;
    see_also(&mut text, ["bitcoin-ipc".to_owned()].into_iter())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn page_name(definition: &Command, command: &Command) -> String {
    match command.get_name() == definition.get_name() {
        true => definition.get_name().to_owned(),
        false => format!("{}-{}", definition.get_name(), command.get_name()),
    }
}

/// The title, the name, the synopsis and the description.
fn head(text: &mut Vec<u8>, definition: &Command, command: &Command) -> io::Result<()> {
    let name = escaped(&page_name(definition, command));
    let version = definition.get_version().unwrap_or_default();
    let program = escaped(&format!("{} {version}", definition.get_name()));
    writeln!(text, ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '")?;
    writeln!(text, ".TH {name} 1 \"\" \"{program}\" \"Bitcoin IPC\"")?;
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    writeln!(text, ".SH NAME\n{name} \\- {}", escaped(&about))?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    writeln!(text, ".SH SYNOPSIS")?;
    for (index, line) in usage.lines().enumerate() {
        let separator = if index == 0 { "" } else { ".br\n" };
        writeln!(text, "{separator}.B {}", escaped(line.trim()))?;
    }
    writeln!(text, ".SH DESCRIPTION")?;
    let long = command.get_long_about().or(command.get_about());
    paragraphs(text, &long.map(ToString::to_string).unwrap_or_default())
}

fn terms(text: &mut Vec<u8>, section: &str, terms: &[(&str, &str)]) -> io::Result<()> {
    writeln!(text, ".SH {section}")?;
    for (term, meaning) in terms {
        writeln!(text, ".TP\n.B {}\n{}", escaped(term), escaped(meaning))?;
    }
    Ok(())
}

fn statuses(text: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        text,
        ".SH EXIT STATUS\n.nf{}\n.fi",
        escaped(&exit_status::table())
    )
}

fn see_also(text: &mut Vec<u8>, pages: impl Iterator<Item = String>) -> io::Result<()> {
    let pages: Vec<_> = pages
        .map(|page| format!(".BR {} (1)", escaped(&page)))
        .collect();
    writeln!(text, ".SH SEE ALSO\n{}", pages.join(",\n"))
}

/// Paragraphs, with the lines of indented ones as they are.
fn paragraphs(text: &mut Vec<u8>, source: &str) -> io::Result<()> {
    for (index, paragraph) in source.split("\n\n").enumerate() {
        let separator = if index == 0 { "" } else { ".PP\n" };
        if paragraph.lines().any(|line| line.starts_with(' ')) {
            writeln!(text, "{separator}.nf\n{}\n.fi", escaped(paragraph))?;
        } else {
            writeln!(text, "{separator}{}", escaped(paragraph))?;
        }
    }
    Ok(())
}

/// Text that roff takes as it is.
fn escaped(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        let line = line.replace('\'', "\\(aq");
        match line.chars().next() {
            Some('.') => format!("\\&{line}"),
            _ => line,
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The page in ASCII, with roff's escapes for other characters: what reads it need not know in which
/// encoding it is.
fn ascii(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for character in page.chars() {
        match character {
            '…' => text.push_str("..."),
            character if character.is_ascii() => text.push(character),
            character => text.push_str(&format!("\\[u{:04X}]", u32::from(character))),
        }
    }
    text
}
