//! `man`: the manual page, from the definition of the command line.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::Man;
use eyre::Result;

use crate::args::Cli;
use crate::ui::output;

pub(crate) fn run() -> Result<u8> {
    output::print(&generate()?)?;
    Ok(0)
}

/// One page for the whole program: a section for each command after the common options.
fn generate() -> io::Result<Vec<u8>> {
    let mut definition = Cli::command();
    definition.build();
    let after_help = definition.get_after_long_help().map(ToString::to_string);
    let page = Man::new(definition.clone());
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    writeln!(text, ".SH COMMANDS")?;
    for command in definition.get_subcommands() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        writeln!(
            text,
            ".SS {}\n.B {}\n.PP",
            command.get_name(),
            escaped(usage)
        )?;
        let about = command.get_long_about().or(command.get_about());
        if let Some(about) = about {
            paragraphs(&mut text, &about.to_string())?;
        }
        for arg in command.get_arguments() {
            let own = !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
            if let (true, Some(help)) = (own, arg.get_help()) {
                let name = escaped(&arg.to_string());
                writeln!(text, ".TP\n\\fB{name}\\fR\n{}", escaped(&help.to_string()))?;
            }
        }
    }
    if let Some(after_help) = after_help {
        writeln!(text, ".SH NOTES")?;
        paragraphs(&mut text, &after_help)?;
    }
    writeln!(text, ".SH SEE ALSO\n\\fBbitcoin\\-cli\\fR(1)")?;
    Ok(text)
}

/// Paragraphs, with the lines of indented ones as they are.
fn paragraphs(text: &mut Vec<u8>, source: &str) -> io::Result<()> {
    for paragraph in source.split("\n\n") {
        if paragraph.lines().any(|line| line.starts_with(' ')) {
            writeln!(text, ".PP\n.nf\n{}\n.fi", escaped(paragraph))?;
        } else {
            writeln!(text, ".PP\n{}", escaped(paragraph))?;
        }
    }
    Ok(())
}

/// Text that roff takes as it is.
fn escaped(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        match line.chars().next() {
            Some('.' | '\'') => format!("\\&{line}"),
            _ => line,
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
