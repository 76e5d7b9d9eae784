//! The local objects whose async forms run on threads of their own.

use super::code::Code;
use super::types::{Scope, arguments, async_name, is_optional, local, traits};
use crate::model::{Ancestor, Field, Interface, Method, Results, Type};

/// Emits what the runtime's `Offload` and `Offloaded` need of an interface.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let name = &interface.named.name;
    code.blank();
    code.add(format!("impl Offload for dyn {name} {{"));
    code.add("fn offload(self: Arc<Self>) -> Arc<Self> {");
    code.add("match self.remote() {");
    code.add("Some(_) => self,\nNone => Arc::new(Offloaded::new(self)),\n}\n}\n}");
    for member in traits(interface) {
        emit_impl(code, scope, name, &member);
    }
}

fn emit_impl(code: &mut Code, scope: &Scope<'_>, object: &str, member: &Ancestor) {
    code.blank();
    code.add(format!(
        "impl {} for Offloaded<dyn {object}> {{",
        scope.path(&member.named)
    ));
    for method in &member.methods {
        let (params, output) = (scope.params(method), scope.output(method));
        let map = map_of(method);
        code.blank();
        code.add(format!(
            "fn {}(&self{params}) -> Result<{output}> {{",
            method.name
        ));
        code.add(format!(
            "self.object().{}({}){map}\n}}",
            method.name,
            arguments(method)
        ));
        code.blank();
        code.add(format!(
            "fn {}(&self{params}) -> Call<{output}> {{",
            async_name(method)
        ));
        code.add("let object = self.object().clone();");
        for param in &method.params {
            if let Some(owned) = owned(param) {
                code.add(format!("let {} = {owned};", local(param)));
            }
        }
        let passed: Vec<String> = method.params.iter().map(passed).collect();
        code.add(format!(
            "offload(move || object.{}({}){map})\n}}",
            method.name,
            passed.join(", ")
        ));
    }
    if member.is_root {
        code.blank();
        code.add("fn remote(&self) -> Option<&dyn Remote> {\nself.object().remote()\n}");
        code.blank();
        code.add("fn several(&self) -> Option<&dyn std::any::Any> {\nself.object().several()\n}");
    }
    code.add("}");
}

/// Returns what has the objects in a method's result run their async forms so as well.
fn map_of(method: &Method) -> &'static str {
    let Results::One(field) = &method.results else {
        return "";
    };
    match (&field.ty, &method.exception) {
        (Type::Interface(_), None) => ".map(|made| made.map(Offload::offload))",
        (Type::Interface(_), Some(_)) => ".map(|made| made.map(|made| made.map(Offload::offload)))",
        _ => "",
    }
}

/// Returns an expression of an owned copy of a parameter, where it is borrowed.
fn owned(param: &Field) -> Option<String> {
    let name = local(param);
    match (&param.ty, is_optional(param)) {
        (Type::Text | Type::Data | Type::List(_), false) => Some(format!("{name}.to_owned()")),
        (Type::Struct(_), false) => Some(format!("{name}.clone()")),
        (Type::Text | Type::Data | Type::List(_), true) => {
            Some(format!("{name}.map(ToOwned::to_owned)"))
        }
        (Type::Struct(_), true) => Some(format!("{name}.cloned()")),
        _ => None,
    }
}

/// Returns how an owned copy of a parameter is passed on.
fn passed(param: &Field) -> String {
    let name = local(param);
    match (&param.ty, is_optional(param)) {
        (Type::Text | Type::Data | Type::List(_) | Type::Struct(_), false) => format!("&{name}"),
        (Type::Text | Type::Data | Type::List(_), true) => format!("{name}.as_deref()"),
        (Type::Struct(_), true) => format!("{name}.as_ref()"),
        _ => name,
    }
}
