//! The list of the generations, and the modules of the older ones.

use super::GENERATED;
use super::code::Code;
use crate::generations::Release;
use crate::model::Named;

/// The list of the generations: `list.rs`.
pub(crate) fn list(releases: &[Release], detection: &[u16]) -> String {
    let mut code = Code::new();
    code.add(GENERATED);
    code.blank();
    code.docs(["A generation of Core's interfaces. The newest is the last."]);
    code.add("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    code.add("#[non_exhaustive]\npub enum Generation {");
    for release in releases {
        code.docs([format!("Bitcoin Core {}.", release.number)]);
        code.add(format!("{},", release.variant()));
    }
    code.add("}");
    code.blank();
    code.add("impl Generation {");
    code.docs(["All generations, the oldest first."]);
    let all: Vec<String> = releases
        .iter()
        .map(|r| format!("Self::{}", r.variant()))
        .collect();
    code.add(format!(
        "pub const ALL: &'static [Self] = &[{}];",
        all.join(", ")
    ));
    code.blank();
    code.docs(["The newest generation, whose interfaces are the traits of this library."]);
    let newest = all.last().map(String::as_str).unwrap_or_default();
    code.add(format!("pub const NEWEST: Self = {newest};"));
    code.blank();
    code.docs(["The oldest generation."]);
    code.add(format!(
        "pub const OLDEST: Self = {};",
        all.first().map(String::as_str).unwrap_or_default()
    ));
    code.blank();
    code.docs([
        "The ordinals of `Init` by which a peer tells its generation, that of the newest first: each is of",
        "a method that older ones do not have. The oldest has none of them.",
    ]);
    let told: Vec<String> = detection.iter().map(u16::to_string).collect();
    code.add(format!(
        "const TOLD_BY: &'static [u16] = &[{}];",
        told.join(", ")
    ));
    code.blank();
    code.docs(["The release's number, such as 30."]);
    code.add("#[must_use]\npub fn number(self) -> u32 {\nmatch self {");
    for release in releases {
        code.add(format!(
            "Self::{} => {},",
            release.variant(),
            release.number
        ));
    }
    code.add("}\n}");
    code.blank();
    code.docs(["The compiled schema of the generation's interfaces."]);
    code.add("#[cfg(feature = \"dynamic\")]");
    code.add("pub(crate) fn compiled(self) -> &'static [u8] {\nmatch self {");
    for release in releases {
        code.add(format!(
            "Self::{} => include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{}\")),",
            release.variant(),
            release.compiled
        ));
    }
    code.add("}\n}\n}");
    code.finish()
}

/// The modules of the older generations: `older_interfaces.rs` and `older_proxies.rs`.
pub(crate) fn modules(releases: &[Release], bootstrap: &Named) -> (String, String) {
    let (mut interfaces, mut proxies) = (Code::new(), Code::new());
    for code in [&mut interfaces, &mut proxies] {
        code.add(GENERATED);
    }
    let include = |code: &mut Code, release: &Release, file: &str| {
        code.add(format!(
            "include!(concat!(env!(\"OUT_DIR\"), \"/{}/{file}.rs\"));",
            release.name
        ));
    };
    for release in releases.iter().rev().skip(1).rev() {
        interfaces.blank();
        interfaces.docs([
            format!("The interfaces of Core {} that are not the newest ones.", release.number),
            String::from("Their ids are the same while ordinals are not, so neither may stand for the other;"),
            String::from("[`crate::generation`] chooses between them."),
        ]);
        interfaces.add(format!("pub mod {} {{", release.name));
        include(&mut interfaces, release, "interfaces");
        interfaces.add("}");
        proxies.blank();
        proxies.docs([format!("The interfaces of Core {}.", release.number)]);
        proxies.add(format!("pub mod {} {{", release.name));
        proxies.docs([format!("The messages of Core {}.", release.number)]);
        proxies.add("pub mod wire {");
        include(&mut proxies, release, "wire");
        proxies.add("}");
        proxies.blank();
        include(&mut proxies, release, "proxies");
        proxies.add("}");
    }
    proxies.blank();
    proxies.docs([format!(
        "Makes the clients of one `{}`, of every generation.",
        bootstrap.schema
    )]);
    proxies.add(format!(
        "fn clients(newest: {}::{}Client, object: Object) -> Clients {{\nClients {{",
        bootstrap.module, bootstrap.name
    ));
    for release in releases {
        proxies.add(match release.older {
            Some(_) => format!("{}: Interface::client(object.clone()),", release.name),
            None => format!("{}: Arc::new(newest),", release.name),
        });
    }
    proxies.add("}\n}");
    (interfaces.finish(), proxies.finish())
}
