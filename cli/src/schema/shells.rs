//! The shells: the script with which each asks for candidates, and the form in which it takes them.
//!
//! Knows shells and text; nothing of what is completed.

use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use eyre::Result;

use crate::args::Shell;

/// The variable that names the shell that asks; set by its script.
pub(crate) const VARIABLE: &str = "BITCOIN_IPC_COMPLETE";

/// The variable with the index of the word to complete.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// The variable with the separator of candidates.
const SEPARATOR: &str = "_CLAP_IFS";

/// The program's name.
const NAME: &str = "bitcoin-ipc";

/// Completes at once: zsh runs a file in its `fpath` for the first completion.
const ZSH_FIRST: &str = r#"if [ "$funcstack[1]" = "_bitcoin-ipc" ]; then
    _clap_dynamic_completer_bitcoin_ipc "$@"
fi
"#;

/// The line of bash's script to replace, and its replacement. Bash passes an empty current word
/// after `name=`, in the place of the `=`, which is needed; and one with the `@` before it, which is
/// a word of its own already.
const BASH_CURRENT: (&str, &str) = (
    r#"        words[COMP_CWORD]="$2""#,
    r#"        [[ -z "$2" && "${words[COMP_CWORD]}" =~ ^[=:]+$ || "$2" == @* ]] || words[COMP_CWORD]="$2""#,
);

/// Nushell's script. Clap has one of the definition alone, which does not ask for the names of
/// schemas and files.
const NUSHELL: &str = r#"# The program itself answers. Needs Nushell 0.108 or later.
def "nu-complete bitcoin-ipc" [spans: list<string>] {
    let words = $spans | each { str trim --char '"' }
    with-env { BITCOIN_IPC_COMPLETE: nushell } { ^bitcoin-ipc -- ...$words } | lines | each {|line|
        let parts = $line | split row --number 2 "\t"
        { value: $parts.0, description: ($parts | get --optional 1) }
    }
}

@complete "nu-complete bitcoin-ipc"
export extern "bitcoin-ipc" []
"#;

/// Returns the script that has a shell ask this program for completions.
pub(crate) fn script(shell: Shell) -> Result<String> {
    if shell == Shell::Nushell {
        return Ok(NUSHELL.into());
    }
    let mut text = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(shell.name());
    let completer = completer.ok_or_else(|| eyre::eyre!("{} has no script", shell.name()))?;
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut text)?;
    let text = String::from_utf8(text)?;
    Ok(match shell {
        Shell::Bash => text.replace(BASH_CURRENT.0, BASH_CURRENT.1),
        Shell::Zsh => text + ZSH_FIRST,
        _ => text,
    })
}

/// Returns the index of the word to complete, of `words` words. Bash, zsh and elvish tell; with the
/// others it is the last.
pub(crate) fn index(words: usize) -> usize {
    let told = std::env::var(INDEX)
        .ok()
        .and_then(|index| index.parse().ok());
    told.unwrap_or(words.saturating_sub(1))
}

/// Returns the candidates as the shell takes them.
pub(crate) fn text(shell: Shell, candidates: &[CompletionCandidate]) -> String {
    let separator = std::env::var(SEPARATOR).ok();
    let lines = candidates.iter().map(|candidate| {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.as_deref().and_then(|help| help.lines().next());
        match (shell, help) {
            (Shell::Bash | Shell::Elvish, _) => value.into_owned(),
            (Shell::Zsh, help) => {
                let value = value.replace('\\', "\\\\").replace(':', "\\:");
                let help = help.map(|help| format!(":{}", help.replace('\\', "\\\\")));
                value + &help.unwrap_or_default()
            }
            (Shell::Fish | Shell::Nushell | Shell::Powershell, help) => {
                let help = help.map(|help| format!("\t{help}"));
                value.into_owned() + &help.unwrap_or_default()
            }
        }
    });
    let lines: Vec<_> = lines.collect();
    match shell {
        Shell::Bash | Shell::Elvish | Shell::Zsh => {
            lines.join(separator.as_deref().unwrap_or("\n"))
        }
        _ => lines.iter().map(|line| format!("{line}\n")).collect(),
    }
}
