//! The command line: from the process's words to its exit status.
//!
//! `commands` has a file for each command. Below them, each naming only those after it: `calls`
//! reads and makes calls, `peer` connects to processes and starts them, `schema` finds what can be
//! called, `ui` prints and listens, `args` defines the words. `context` has what every command
//! needs; `dispatch` runs a role.

mod args;
mod calls;
mod commands;
mod context;
mod dispatch;
mod peer;
mod schema;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use eyre::Result;

use crate::args::{Cli, Command, Format, When};
use crate::context::Context;
use crate::ui::errors::Failure;
use crate::ui::output::Output;
use crate::ui::signals::Signals;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut output = Output::plain(Format::Auto, When::Auto);
    let result = install_reports().and_then(|()| match dispatch::role(words.first()) {
        Some(role) => dispatch::run(role, &words, &output),
        None if ui::stdout::was_closed() => Err(ui::stdout::closed().into()),
        None if schema::completion::answer(&words)? => Ok(0),
        None => run(words, &mut output),
    });
    let code = match result {
        Ok(code) => code,
        Err(report) => {
            let failure = Failure::of(&report);
            output.failure(&failure, None);
            let asked = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
            if asked && Failure::is_internal(&report) {
                output.report(&report);
            }
            failure.kind.exit_code()
        }
    };
    output.flush_log();
    code.into()
}

/// Installs the formatting of panics and of internal errors, with backtraces where the user asks
/// for them.
fn install_reports() -> Result<()> {
    color_eyre::config::HookBuilder::default()
        .display_env_section(false)
        .theme(color_eyre::config::Theme::new())
        .install()
}

fn run(words: Vec<OsString>, output: &mut Output) -> Result<u8> {
    let definition = Cli::command();
    let (format, color) = early(&words);
    *output = Output::plain(format, color);
    let words = args::core_words::translate(&definition, words).map_err(Failure::from)?;
    let definition = definition.color(match color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    });
    let parsed = definition.try_get_matches_from(words).and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.settle();
        Ok(cli)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    *output = Output::new(&cli.options);
    let serves = matches!(cli.command, Command::Serve(_));
    ui::log::start(ui::log::level(&cli.options, serves), output);
    match &cli.command {
        Command::Completions(args) => return commands::completions::run(args),
        Command::Man(args) => return commands::man::run(args),
        _ => {}
    }
    let context = Context::new(cli.options, output.clone(), Signals::install()?);
    match cli.command {
        Command::Spawn(args) => commands::spawn::run(&context, &args),
        Command::Serve(args) => commands::serve::run(&context, &args),
        Command::Connect(_) => commands::connect::run(&context),
        Command::Call(args) => commands::call::run(&context, &args),
        Command::Status(args) => commands::status::run(&context, &args),
        Command::Watch(args) => commands::watch::run(&context, &args),
        Command::Mine(args) => commands::mine::run(&context, &args),
        Command::Rpc(args) => commands::rpc::run(&context, &args),
        Command::List(args) => commands::list::run(&context, &args),
        Command::Describe(args) => commands::describe::run(&context, &args),
        Command::Completions(_) | Command::Man(_) => Ok(0),
    }
}

/// Prints the help or version that clap has instead of a command, or fails with its usage error.
fn refuse(error: &clap::Error) -> Result<u8> {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print()?;
            Ok(u8::try_from(error.exit_code()).unwrap_or(1))
        }
        _ => Err(Failure::from_clap(error).into()),
    }
}

/// Returns the format and colours asked for: errors in the words themselves are printed with them.
fn early(words: &[OsString]) -> (Format, When) {
    let (mut format, mut color) = (Format::Auto, When::Auto);
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word {
            "--" => break,
            "--output=json" | "-ojson" | "-o=json" => format = Format::Json,
            "--output=jsonl" | "-ojsonl" | "-o=jsonl" => format = Format::Jsonl,
            "-o" | "--output" => match words.clone().next() {
                Some("json") => format = Format::Json,
                Some("jsonl") => format = Format::Jsonl,
                _ => {}
            },
            "--color=always" => color = When::Always,
            "--color=never" => color = When::Never,
            "--color" => match words.next() {
                Some("always") => color = When::Always,
                Some("never") => color = When::Never,
                _ => {}
            },
            _ => {}
        }
    }
    (format, color)
}
