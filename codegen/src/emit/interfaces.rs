//! The traits, each with its blocking and async forms.

use super::code::Code;
use super::types::{Scope, arguments, async_name, local};
use super::values::default_value;
use crate::model::{Interface, Method};
use crate::names;

/// Emits an interface's trait, and for a callback its implementation by closures.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let name = &interface.named.name;
    code.blank();
    code.docs(&interface.docs);
    if !interface.docs.is_empty() {
        code.docs([""]);
    }
    code.docs([format!(
        "Interface `{}` of `{}`. A method that an implementor leaves out fails as unimplemented.",
        interface.named.schema, scope.file
    )]);
    let parents: Vec<String> = interface.parents.iter().map(|p| scope.path(p)).collect();
    if parents.is_empty() {
        code.add(format!("pub trait {name}: Send + Sync + 'static {{"));
    } else {
        code.add(format!("pub trait {name}: {} {{", parents.join(" + ")));
    }
    for method in interface.of_trait() {
        emit_method(code, scope, interface, method);
    }
    if parents.is_empty() {
        code.blank();
        code.docs(["The object in another process behind this one, where there is one."]);
        code.add("#[doc(hidden)]\nfn remote(&self) -> Option<&dyn Remote> {\nNone\n}");
        code.blank();
        code.docs(["The interfaces that this object answers as, where there are several."]);
        code.add("#[doc(hidden)]\nfn several(&self) -> Option<&dyn std::any::Any> {\nNone\n}");
    }
    code.add("}");
    if interface.is_closure {
        emit_closure(code, scope, interface);
    }
}

fn emit_method(code: &mut Code, scope: &Scope<'_>, interface: &Interface, method: &Method) {
    let (name, params) = (&method.name, scope.params(method));
    let output = scope.output(method);
    code.blank();
    code.docs(&method.docs);
    if !method.docs.is_empty() {
        code.docs([""]);
    }
    for param in &method.params {
        if !param.docs.is_empty() {
            code.docs([format!("`{}`: {}", param.schema, param.docs.join(" "))]);
            code.docs([""]);
        }
    }
    let defaults: Vec<String> = method
        .params
        .iter()
        .filter(|param| param.default.is_some())
        .map(|param| format!("`{}` = `{}`", param.schema, default_value(scope, param)))
        .collect();
    let defaults = if defaults.is_empty() {
        String::new()
    } else {
        format!(", by default {}", defaults.join(", "))
    };
    let place = format!("{}.{}", interface.named.schema, method.schema);
    code.docs([
        match interface
            .kept
            .iter()
            .any(|kept| kept.schema == method.schema)
        {
            true => format!("`{place}`, which only peers of older releases have{defaults}"),
            false => format!("`{place} @{}`{defaults}", method.ordinal),
        },
    ]);
    let allow = "#[allow(clippy::too_many_arguments)]";
    let crowded = method.params.len() > 6;
    if crowded {
        code.add(allow);
    }
    code.add(format!("fn {name}(&self{params}) -> Result<{output}> {{"));
    let names: Vec<String> = method.params.iter().map(local).collect();
    match &*names {
        [] => {}
        [name] => code.add(format!("let _ = {name};")),
        names => code.add(format!("let _ = ({});", names.join(", "))),
    }
    code.add(format!("unimplemented({place:?})\n}}"));
    code.blank();
    // rustdoc finds no raw names.
    let link = if name.starts_with("r#") {
        format!("`{}`", names::plain(name))
    } else {
        format!("[`{name}`](Self::{name})")
    };
    code.docs([format!(
        "The async form of {link}. Of a local object it runs that at once."
    )]);
    if crowded {
        code.add(allow);
    }
    code.add(format!(
        "fn {}(&self{params}) -> Call<{output}> {{\nready(self.{name}({}))\n}}",
        async_name(method),
        arguments(method)
    ));
}

fn emit_closure(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let Some(call) = interface.methods.iter().find(|m| m.is_plain()) else {
        return;
    };
    let types: Vec<String> = call.params.iter().map(|p| scope.param(p)).collect();
    let output = scope.output(call);
    let names: Vec<String> = call.params.iter().map(local).collect();
    code.blank();
    code.docs([format!("A closure is a `{}`.", interface.named.name)]);
    code.add(format!(
        "impl<F: Fn({}) -> Result<{output}> + Send + Sync + 'static> {} for F {{",
        types.join(", "),
        interface.named.name
    ));
    code.add(format!(
        "fn call(&self{}) -> Result<{output}> {{\nself({})\n}}\n}}",
        scope.params(call),
        names.join(", ")
    ));
}
