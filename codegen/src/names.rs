//! Conversion of a schema's names to names in Rust, ours and those of the wire modules.
//!
//! Knows the rules of both and nothing of what is named.

/// Words that Rust keeps for itself and that `r#` makes usable.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Words that not even `r#` makes usable.
const UNUSABLE: &[&str] = &["self", "super", "crate", "Self", "_"];

/// The words that the modules of the wire (by capnpc) keep clear of, by an underscore at the end.
const WIRE_KEYWORDS: &[&str] = &[
    "abstract", "alignof", "as", "be", "become", "box", "break", "const", "continue", "crate",
    "do", "else", "enum", "extern", "false", "final", "fn", "for", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "offsetof", "once", "override", "priv", "proc",
    "pub", "pure", "ref", "return", "self", "sizeof", "static", "struct", "super", "trait", "true",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// `getTransactionsByTxID` as `get_transactions_by_tx_id`: a run of capitals is one word.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| {
                *b != '_' && (!b.is_uppercase() || after.is_some_and(|a| a.is_lowercase()))
            });
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A name of a value, field, method or module: snake case, `r#` before keywords.
pub(crate) fn value(name: &str) -> String {
    escape(snake(name))
}

/// Escapes a name in snake case: `r#` goes before keywords, and an underscore after words that no
/// `r#` makes usable. A name with a suffix such as `_async` needs neither.
pub(crate) fn escape(name: String) -> String {
    if UNUSABLE.contains(&name.as_str()) {
        name + "_"
    } else if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else {
        name
    }
}

/// `r#type` as `type`.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// A name with its first letter as a capital.
pub(crate) fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}

/// A name of a constant: capitals with underscores.
pub(crate) fn constant(name: &str) -> String {
    snake(name).to_uppercase()
}

/// A file's stem as a module name (without `r#`): what is no letter or digit becomes `_`.
pub(crate) fn module(stem: &str) -> String {
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// A field's name in the accessors of the wire modules: an underscore before each capital.
pub(crate) fn wire_field(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The module of a struct or interface among the wire modules.
pub(crate) fn wire_module(name: &str) -> String {
    let name = wire_field(name);
    if WIRE_KEYWORDS.contains(&name.as_str()) {
        name + "_"
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_capitals_are_words() {
        for (schema, rust) in [
            ("echo", "echo"),
            ("isTestChain", "is_test_chain"),
            ("getTransactionsByTxID", "get_transactions_by_tx_id"),
            ("getUTXOSet", "get_utxo_set"),
            ("makeMiningOld2", "make_mining_old2"),
            ("BlockRef", "block_ref"),
            ("v1", "v1"),
        ] {
            assert_eq!(snake(schema), rust);
        }
    }

    #[test]
    fn wire_names_split_at_each_capital() {
        assert_eq!(wire_field("byTxID"), "by_tx_i_d");
        assert_eq!(wire_module("type"), "type_");
        assert_eq!(wire_module("async"), "async");
    }

    #[test]
    fn keywords_are_escaped() {
        assert_eq!(value("type"), "r#type");
        assert_eq!(value("self"), "self_");
        assert_eq!(value("fn"), "r#fn");
        assert_eq!(plain("r#fn"), "fn");
        assert_eq!(module("foo-bar.v2"), "foo_bar_v2");
        assert_eq!(module("2nd"), "_2nd");
    }
}
