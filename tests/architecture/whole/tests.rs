//! The rules of `whole.rs`, held in the repository and tried on samples that break them.

use super::{Circle, KNOWN_CIRCLES, SPLIT, Split, circles, impls};
use crate::source::Source;
use crate::tree::Tree;

#[test]
fn files_form_no_circle_that_is_not_known() {
    let wrong = circles(crate::repository(), crate::trees(), KNOWN_CIRCLES);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_inherent_impls_of_a_type_stand_in_one_file() {
    let wrong = impls(crate::repository(), crate::trees(), SPLIT);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A library of a root, a module `a`, and these files, by their names below `src`.
fn library(files: &[(&str, &str)]) -> (Vec<Source>, [Tree; 1]) {
    let mut sources = vec![Source::new("src/lib.rs", "mod a; pub use a::b::Exported;")];
    if files.iter().all(|(name, _)| *name != "a/mod.rs") {
        sources.push(Source::new("src/a/mod.rs", "mod b; mod c; mod d;"));
    }
    for (name, text) in files {
        sources.push(Source::new(&format!("src/{name}"), text));
    }
    let tree = Tree::new("src", &sources);
    (sources, [tree])
}

#[track_caller]
fn circle_is_found(expected: bool, files: &[(&str, &str)]) {
    let (sources, trees) = library(files);
    let wrong = circles(&sources, &trees, &[]);
    assert_eq!(!wrong.is_empty(), expected, "{files:?}\n{wrong:?}");
}

#[test]
fn a_circle_is_found() {
    for files in [
        // Each names the other, in every way in which a path can be written.
        &[
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use crate::a::b::B;"),
        ][..],
        &[
            ("a/b.rs", "use super::c; fn f() { c::f() }"),
            ("a/c.rs", "use super::b::B as X;"),
        ],
        &[
            ("a/b.rs", "fn f(x: super::c::C) {}"),
            ("a/c.rs", "use super::{b::{self, B}};"),
        ],
        &[
            ("a/b.rs", "use super::c::*;"),
            ("a/c.rs", "use crate::Exported;"),
        ],
        &[
            ("a/b.rs", "mod m { use super::super::c::C; }"),
            ("a/c.rs", "use super::b::B;"),
        ],
        &[
            ("a/b.rs", "macro_rules! m { () => { $crate::a::c::f() } }"),
            ("a/c.rs", "use super::b::B;"),
        ],
        // A parent that uses what its child defines, and the other way round.
        &[
            ("a/mod.rs", "mod b; use self::b::B; struct A;"),
            ("a/b.rs", "use super::A;"),
        ],
        &[
            ("a/mod.rs", "mod b; pub use b::B; struct A(B);"),
            ("a/b.rs", "use super::A;"),
        ],
        // By way of a re-export.
        &[
            (
                "a/mod.rs",
                "pub use b::B; pub(crate) use self::c::{C as D};",
            ),
            ("a/b.rs", "use super::D;"),
            ("a/c.rs", "use super::B;"),
        ],
        &[
            ("a/mod.rs", "mod b; pub use b::b;"),
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use crate::a::b;"),
        ],
        // Of three.
        &[
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use super::d::D;"),
            ("a/d.rs", "use super::b::B;"),
        ],
    ] {
        circle_is_found(true, files);
    }
    // In the executable, whose modules may have the names of the library's.
    let (mut sources, [library]) = library(&[("a/b.rs", ""), ("a/c.rs", "use super::b::B;")]);
    for (name, text) in [
        ("main.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c;"),
        ("a/b.rs", "use crate::a::c::C;"),
        ("a/c.rs", "use super::b::B;"),
    ] {
        sources.push(Source::new(&format!("cli/src/{name}"), text));
    }
    let executable = Tree::new("cli/src", &sources);
    assert_eq!(circles(&sources, &[library, executable], &[]).len(), 1);
}

#[test]
fn what_is_no_circle_is_not_found() {
    for files in [
        &[("a/b.rs", "use super::c::C;"), ("a/c.rs", "")][..],
        // A parent that declares and re-exports its children uses none of them.
        &[
            ("a/mod.rs", "mod b; pub use b::B; struct A;"),
            ("a/b.rs", "use super::A;"),
        ],
        &[
            ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
            ("a/b.rs", "use super::C; pub struct B;"),
            ("a/c.rs", "pub struct C;"),
        ],
        // A module alone is none of its items.
        &[
            ("a/mod.rs", "mod b; use b::B;"),
            ("a/b.rs", "use crate::a; pub(in crate::a) struct B;"),
        ],
        // Tests, texts and comments do not count.
        &[
            ("a/b.rs", "use super::c::C;"),
            (
                "a/c.rs",
                "#[cfg(test)] mod tests { use super::super::b::B; }",
            ),
        ],
        &[
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "#[cfg(all(test, unix))] use super::b::B;"),
        ],
        &[
            ("a/b.rs", "use super::c::C;"),
            ("a/c/tests.rs", "use super::super::b::B;"),
        ],
        &[
            ("a/b.rs", "use super::c::C;"),
            (
                "a/c.rs",
                "/// super::b::B\nconst A: &str = \"super::b::B\";",
            ),
        ],
        // A field and another crate of the same name.
        &[
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use ::b::B; fn f() { x.b() }"),
        ],
        &[
            ("a/mod.rs", "pub use b::name;"),
            ("a/b.rs", "use super::A; pub fn name() {}"),
        ],
    ] {
        circle_is_found(false, files);
    }
}

#[test]
fn a_known_circle_must_be_as_it_is_listed() {
    let (sources, trees) = library(&[
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use super::b::B;"),
        ("a/d.rs", "use super::b::B;"),
    ]);
    let with = |files| {
        circles(
            &sources,
            &trees,
            &[Circle {
                files,
                reason: "sample",
            }],
        )
        .len()
    };
    assert_eq!(with(&["src/a/b.rs", "src/a/c.rs"]), 0);
    // The listed one is not there, and the other one is not listed.
    assert_eq!(with(&["src/a/b.rs", "src/a/c.rs", "src/a/d.rs"]), 2);
    assert_eq!(with(&["src/a/b.rs"]), 2);
    assert_eq!(with(&["src/a/b.rs", "src/a/d.rs"]), 2);
}

#[track_caller]
fn split_is_found(expected: bool, here: &str, there: &str) {
    let (sources, trees) = library(&[
        ("a/mod.rs", "pub use b::B;"),
        ("a/b.rs", here),
        ("a/c.rs", there),
    ]);
    let wrong = impls(&sources, &trees, &[]);
    assert_eq!(!wrong.is_empty(), expected, "{here} {there}\n{wrong:?}");
}

#[test]
fn a_type_with_impls_in_two_files_is_found() {
    let here = "pub struct B; impl B { fn f() {} }";
    for there in [
        "use super::b::B; impl B {}",
        "use super::B; impl B {}",
        "impl super::B {}",
        "use crate::a::b; fn f() {} impl b::B {}",
        "use super::B as X; #[allow(x)] impl X {}",
        "use super::B; impl<T: Fn() -> u8> B<T> where for<'a> T: X<'a> {}",
        "use super::B; impl<'a> B<dyn for<'b> Fn(&'b u8)> {}",
        "use super::B; mod m { impl super::B {} }",
        "use super::B; struct C; impl C {} impl B {}",
    ] {
        split_is_found(true, here, there);
        split_is_found(false, "pub struct B;", there);
    }
    split_is_found(
        true,
        "pub trait B {} impl dyn B {}",
        "use super::B; impl dyn B + Send {}",
    );
    for there in [
        "use super::B; impl Clone for B {}",
        "use super::B; impl<T> X<B> for Y<T> {}",
        "use super::B; fn f() -> impl B { g() }",
        "use super::B; fn f(x: impl B) {}",
        "use super::B; #[cfg(test)] impl B {}",
        "struct B; impl B {}",
        "struct C; impl C {} impl C {}",
    ] {
        split_is_found(false, here, there);
    }
}

#[test]
fn a_listed_split_must_be_as_it_is_listed() {
    let (sources, trees) = library(&[
        ("a/b.rs", "pub struct B; impl B {} pub struct C; impl C {}"),
        ("a/c.rs", "impl super::b::B {}"),
    ]);
    let with = |name, files| {
        let of = ("src/a/b.rs", name);
        impls(&sources, &trees, &[Split { of, files }]).len()
    };
    assert_eq!(with("B", &["src/a/b.rs", "src/a/c.rs"]), 0);
    assert_eq!(with("B", &["src/a/b.rs"]), 1);
    // The listed one is not split, and the other one is not listed.
    assert_eq!(with("C", &["src/a/b.rs", "src/a/c.rs"]), 2);
}
