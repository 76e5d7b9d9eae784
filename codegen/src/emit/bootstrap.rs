//! The bootstrap interface of a peer of any generation.

use super::adapters::{forms, mapping};
use super::code::Code;
use super::types::{Scope, arguments, async_form, async_name};
use crate::generations::{Bootstrap, Release};
use crate::model::adapt::{Convert, How};
use crate::model::{Method, Named};

/// Emits the bootstrap interface of a peer of any generation.
pub(super) fn emit(
    code: &mut Code,
    releases: &[Release],
    scope: &Scope<'_>,
    bootstrap: &Bootstrap<'_>,
) {
    let named = &bootstrap.interface.named;
    let path = scope.path(named);
    code.blank();
    code.docs([format!(
        "The clients of one `{}`, by the generation whose ordinals they use.",
        named.schema
    )]);
    code.add("#[derive(Clone)]\npub(crate) struct Clients {");
    for release in releases {
        let path = match &release.older {
            Some((_, layout, _)) => {
                format!("{}::{}::{}", layout.interfaces, named.module, named.name)
            }
            None => path.clone(),
        };
        code.docs([format!("By those of Core {}.", release.number)]);
        code.add(format!("pub(crate) {}: Arc<dyn {path}>,", release.name));
    }
    code.add("}");
    let newest = releases
        .last()
        .map(|release| release.name.as_str())
        .unwrap_or_default();
    code.blank();
    code.add("impl Clients {");
    code.docs(["The client by the newest generation's ordinals."]);
    code.add(format!(
        "pub(crate) fn newest(&self) -> &Arc<dyn {path}> {{\n&self.{newest}\n}}\n}}"
    ));
    code.blank();
    code.add(format!("impl {path} for Any{} {{", named.name));
    for (method, hows) in &bootstrap.methods {
        let everywhere = hows
            .iter()
            .all(|how| matches!(how, How::Call(older) if older.is_same));
        forms(code, scope, method, |code, is_async| {
            let name = match is_async {
                false => method.name.clone(),
                true => async_name(method),
            };
            if everywhere {
                let after = result(bootstrap, named, method);
                let call = format!("self.clients.{newest}.{name}({})", arguments(method));
                return code.add(finish(call, after, is_async));
            }
            match is_async {
                false => code.add("let clients = &self.clients;\nmatch self.generation()? {"),
                true => code.add("self.later(|clients, generation| match generation {"),
            }
            for (release, how) in releases.iter().zip(hows) {
                let arm = arm(release, newest, (named, method, how), bootstrap, is_async);
                code.add(format!("Generation::{} => {arm},", release.variant()));
            }
            code.add(match is_async {
                false => "}",
                true => "})",
            });
        });
    }
    code.blank();
    code.add(format!(
        "fn remote(&self) -> Option<&dyn Remote> {{\nself.clients.{newest}.remote()\n}}\n}}"
    ));
}

/// Returns the function for the result of a bootstrap method, if there is one.
fn result<'b>(bootstrap: &'b Bootstrap<'_>, named: &Named, method: &Method) -> Option<&'b str> {
    let place = format!("{}.{}", named.schema, method.schema);
    let found = bootstrap.results.iter().find(|(of, _)| *of == place);
    found.map(|(_, function)| function.as_str())
}

/// Returns a call whose result goes through `function`.
fn finish(call: String, function: Option<&str>, is_async: bool) -> String {
    match (function, is_async) {
        (None, _) => call,
        (Some(function), false) => format!("{call}.map({function})"),
        (Some(function), true) => format!("then({call}, |made| made.map({function}))"),
    }
}

/// Returns what a method of the bootstrap interface is in one generation.
fn arm(
    release: &Release,
    newest: &str,
    (named, method, how): (&Named, &Method, &How),
    bootstrap: &Bootstrap<'_>,
    is_async: bool,
) -> String {
    let How::Call(older) = how else {
        let lacks = format!("generation.lacks({:?})", method.schema);
        return match is_async {
            false => lacks.replace("generation", &format!("Generation::{}", release.variant())),
            true => format!("ready({lacks})"),
        };
    };
    let client = if older.is_same { newest } else { &release.name };
    let name = match is_async {
        false => older.name.clone(),
        true => async_form(&older.name),
    };
    let call = format!("clients.{client}.{name}()");
    let after = result(bootstrap, named, method);
    let convert = match &older.answer {
        Some(Convert::Same) | None => return finish(call, after, is_async),
        Some(convert) => mapping(convert, &format!("{}::", release.name)),
    };
    let maps = match after {
        None => format!(".map({convert})"),
        Some(after) => format!(".map({convert}).map({after})"),
    };
    match is_async {
        false => format!("{call}{maps}"),
        true => format!("then({call}, |made| made{maps})"),
    }
}
