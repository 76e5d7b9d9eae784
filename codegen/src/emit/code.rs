//! Lines of Rust, indented by their brackets.

/// Generated text under construction.
#[derive(Debug, Default)]
pub(crate) struct Code {
    text: String,
    /// For each line that left brackets open, how many are still open.
    open: Vec<usize>,
}

impl Code {
    /// An empty text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds lines. Lines after one that leaves brackets open stand one step further right, however
    /// many it leaves open, until they are closed.
    pub(crate) fn add(&mut self, lines: impl AsRef<str>) {
        for line in lines.as_ref().lines() {
            let line = line.trim();
            let room = WIDTH.saturating_sub(4 * self.open.len());
            match split(line).filter(|_| line.len() > room) {
                Some(parts) => parts.iter().for_each(|part| self.line(part)),
                None => self.line(line),
            }
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.blank();
            return;
        }
        let (mut closing, opening) = brackets(line);
        while let Some(last) = self.open.last_mut().filter(|_| closing > 0) {
            let closed = closing.min(*last);
            closing -= closed;
            *last -= closed;
            if *last == 0 {
                self.open.pop();
            }
        }
        let last = self.text.trim_end().rsplit('\n').next().unwrap_or_default();
        let behind_arguments = last.trim_start().starts_with(')');
        let chained = usize::from(line.starts_with('.') && !behind_arguments);
        self.text
            .push_str(&"    ".repeat(self.open.len() + chained));
        self.text.push_str(line);
        self.text.push('\n');
        if opening > 0 {
            self.open.push(opening);
        }
    }

    /// Adds an empty line, unless there is one, or a bracket has just been opened.
    pub(crate) fn blank(&mut self) {
        let opened = self.text.ends_with("{\n");
        if !(self.text.is_empty() || self.text.ends_with("\n\n") || opened) {
            self.text.push('\n');
        }
    }

    /// Adds a doc comment.
    pub(crate) fn docs<S: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = S>) {
        for line in lines {
            let line = format!("/// {}", line.as_ref());
            self.text.push_str(&"    ".repeat(self.open.len()));
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// The length from which lines are split.
const WIDTH: usize = 100;

/// A call or a function's head as several lines, one an argument: the first group in parentheses of
/// a head, the last of anything else.
fn split(line: &str) -> Option<Vec<String>> {
    if line.starts_with("//") || line.contains("= \"") {
        return None;
    }
    let is_head = line.starts_with("fn ") || line.starts_with("pub fn ");
    let mut group: Option<(usize, usize)> = None;
    let mut commas = Vec::new();
    let (mut depth, mut angles, mut start, mut inner) = (0_usize, 0_usize, 0, Vec::new());
    let mut before = ' ';
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '(' | '[' | '{' => {
                if depth == 0 && c == '(' {
                    (start, inner) = (at, Vec::new());
                }
                depth += 1;
            }
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                let wanted = !(is_head && group.is_some());
                if depth == 0 && c == ')' && at > start + 1 && wanted {
                    group = Some((start, at));
                    commas = std::mem::take(&mut inner);
                }
            }
            '<' => angles += 1,
            '>' if before != '-' && before != '=' => angles = angles.saturating_sub(1),
            ',' if depth == 1 && angles == 0 => inner.push(at),
            _ => {}
        }
        before = c;
    }
    let (open, close) = group?;
    let mut parts = vec![line.get(..=open)?.to_owned()];
    let mut from = open + 1;
    for to in commas.into_iter().chain([close]) {
        parts.push(format!("{},", line.get(from..to)?.trim()));
        from = to + 1;
    }
    parts.push(line.get(close..)?.to_owned());
    Some(parts)
}

/// How many brackets a line closes that earlier lines opened, and how many it leaves open.
fn brackets(line: &str) -> (usize, usize) {
    let (mut closing, mut open) = (0, 0);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => break,
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' if open > 0 => open -= 1,
            ')' | ']' | '}' => closing += 1,
            _ => {}
        }
    }
    (closing, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_split() {
        assert_eq!(
            split("fn f(&self, a: Map<u8, u8>) -> Result<(), u8> {"),
            Some(vec![
                "fn f(".to_owned(),
                "&self,".to_owned(),
                "a: Map<u8, u8>,".to_owned(),
                ") -> Result<(), u8> {".to_owned(),
            ])
        );
        assert_eq!(
            split("x.f::<A, B>(1)?.g(h(2, 3), \"(\");"),
            Some(vec![
                "x.f::<A, B>(1)?.g(".to_owned(),
                "h(2, 3),".to_owned(),
                "\"(\",".to_owned(),
                ");".to_owned(),
            ])
        );
        assert_eq!(split("let x = results.init_as::<A>();"), None);
    }

    #[test]
    fn brackets_indent() {
        let mut code = Code::new();
        code.add("fn a() {\nlet x = f(g(|| {\n\"{\",\n}));\n} // {\nfn b() {}");
        assert_eq!(
            code.finish(),
            "fn a() {\n    let x = f(g(|| {\n        \"{\",\n    }));\n} // {\nfn b() {}\n"
        );
    }
}
