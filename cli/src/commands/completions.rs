//! `completions`: prints the script with which a shell asks this program for completions.

use clap_complete::Shell;
use clap_complete::env::Shells;
use eyre::Result;

use crate::args::Completions;
use crate::schema::completion;
use crate::ui::output;

/// The program's name.
const NAME: &str = "bitcoin-ipc";

/// Completes at once: zsh runs a file in its `fpath` for the first completion.
const ZSH_FIRST: &str = r#"if [ "$funcstack[1]" = "_bitcoin-ipc" ]; then
    _clap_dynamic_completer_bitcoin_ipc "$@"
fi
"#;

/// The line of bash's script to replace, and its replacement. Bash passes an empty current word
/// after `name=`, in the place of the `=`, which is needed.
const BASH_CURRENT: (&str, &str) = (
    r#"        words[COMP_CWORD]="$2""#,
    r#"        [[ -z "$2" && "${words[COMP_CWORD]}" =~ ^[=:]+$ ]] || words[COMP_CWORD]="$2""#,
);

pub(crate) fn run(args: &Completions) -> Result<u8> {
    let mut text = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string());
    let shell = shell.ok_or_else(|| eyre::eyre!("{} has no completions", args.shell))?;
    shell.write_registration(completion::VARIABLE, NAME, NAME, NAME, &mut text)?;
    let mut text = String::from_utf8(text)?;
    match args.shell {
        Shell::Bash => text = text.replace(BASH_CURRENT.0, BASH_CURRENT.1),
        Shell::Zsh => text.push_str(ZSH_FIRST),
        _ => {}
    }
    output::print(text.as_bytes())?;
    Ok(0)
}
