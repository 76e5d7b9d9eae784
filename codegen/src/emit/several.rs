//! Objects of several interfaces: the methods of the first one, passed on.

use super::code::Code;
use super::types::{Scope, arguments, async_name, traits};
use crate::model::{Interface, Method};

/// Implements the trait of an interface, and those that it extends, for an object of several interfaces
/// whose first it is.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let several = format!("rt::Several<dyn {}>", scope.path(&interface.named));
    for member in traits(interface) {
        let path = scope.path(&member.named);
        code.blank();
        code.add(format!("impl {path} for {several} {{"));
        for method in &member.methods {
            emit_passed(code, scope, &path, method);
        }
        if member.is_root {
            code.blank();
            code.add(
                "fn several(&self) -> Option<&dyn rt::Any> {\nSome(rt::Several::all(self))\n}",
            );
        }
        code.add("}");
    }
}

fn emit_passed(code: &mut Code, scope: &Scope<'_>, path: &str, method: &Method) {
    let (params, output) = (scope.params(method), scope.output(method));
    let forms = [
        (method.name.clone(), "Result"),
        (async_name(method), "Call"),
    ];
    let mut all = vec!["rt::Several::first(self)".to_owned()];
    all.extend(Some(arguments(method)).filter(|rest| !rest.is_empty()));
    let all = all.join(", ");
    for (name, answer) in forms {
        code.blank();
        code.add(format!(
            "fn {name}(&self{params}) -> rt::{answer}<{output}> {{\n{path}::{name}({all})\n}}"
        ));
    }
}
