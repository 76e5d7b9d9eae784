//! The schema's facts about an interface, and its trait object as the runtime sees it.

use super::code::Code;
use super::types::{Scope, family, function, methods_static};
use crate::model::{Interface, Role};
use crate::names;

/// Emits the static facts and `impl rt::Interface`.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    emit_methods(code, scope, interface);
    emit_interface(code, scope, interface);
}

fn emit_methods(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let schema = &interface.named.schema;
    code.blank();
    code.docs([format!("The methods that `{schema}` declares.")]);
    code.add(format!(
        "pub static {}: [rt::Method; {}] = [",
        methods_static(&interface.named),
        interface.methods.len()
    ));
    for method in &interface.methods {
        let role = match method.role {
            Role::Plain => "Plain",
            Role::Destroy => "Destroy",
            Role::Construct => "Construct",
        };
        code.add("rt::Method {");
        code.add(format!("interface: rt::Cow::Borrowed({schema:?}),"));
        code.add(format!("name: rt::Cow::Borrowed({:?}),", method.schema));
        code.add(format!("interface_id: {:#018x},", interface.named.id));
        code.add(format!("ordinal: {},", method.ordinal));
        code.add(format!("role: rt::Role::{role},"));
        code.add(format!("threaded: {},", method.context.is_some()));
        for (field, wire) in [
            ("show_params", &method.params_wire),
            ("show_results", &method.results_wire),
        ] {
            let show = format!("rt::show::<{}::Owned>", scope.wire(wire));
            code.add(format!("{field}: rt::StaticOrShared::Static(&{show}),"));
        }
        code.add("pace: rt::Pace::new(),");
        code.add("},");
    }
    code.add("];");
}

fn emit_interface(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let path = scope.path(&interface.named);
    let name = &interface.named.name;
    let family = family(interface);

    code.blank();
    code.docs([format!("The facts about `{}`.", interface.named.schema)]);
    code.add(format!(
        "pub static {}_INFO: rt::Info = rt::Info {{",
        names::constant(name)
    ));
    code.add(format!(
        "name: rt::Cow::Borrowed({:?}),",
        interface.named.schema
    ));
    code.add(format!("id: {:#018x},", interface.named.id));
    code.add("methods: rt::Cow::Borrowed(&[");
    for member in &family {
        let methods = scope.proxy_item(&member.named, &methods_static(&member.named));
        for method in &member.methods {
            code.add(format!(
                "rt::StaticOrShared::Static(&{methods}[{}]),",
                method.ordinal
            ));
        }
    }
    code.add("]),\n};");

    code.blank();
    code.add(format!("impl rt::Interface for dyn {path} {{"));
    code.add(format!(
        "const INFO: &'static rt::Info = &{}_INFO;",
        names::constant(name)
    ));
    code.blank();
    let client = match scope.wrap(&interface.named) {
        Some(wrap) => format!("{wrap}({name}Client {{ object: object.clone() }}, object)"),
        None => format!("Arc::new({name}Client {{ object }})"),
    };
    code.add(format!(
        "fn client(object: rt::Object) -> Arc<Self> {{\n{client}\n}}"
    ));
    code.blank();
    let root = family
        .iter()
        .find(|member| member.is_root)
        .map_or_else(|| path.clone(), |member| scope.path(&member.named));
    code.add(format!(
        "fn remote(this: &Self) -> Option<&dyn rt::Remote> {{\n{root}::remote(this)\n}}"
    ));
    code.blank();
    code.add(format!(
        "fn several(this: &Self) -> Option<&dyn rt::Any> {{\n{root}::several(this)\n}}"
    ));
    code.blank();
    code.add("fn of_several(several: rt::Several<Self>) -> Arc<Self> {\nArc::new(several)\n}");
    code.blank();
    code.add(
        "fn dispatch(\nthis: &Self,\nmethod: usize,\nread: &rt::Read<'_>,\n\
         params: rt::capnp::any_pointer::Reader<'_>,\nanswer: &mut rt::Answer<'_>,\n\
         ) -> rt::Result<()> {",
    );
    if family
        .iter()
        .all(|m| m.methods.iter().all(|m| !m.is_plain()))
    {
        code.add("let _ = (this, read, params, answer);");
    }
    code.add("match method {");
    let mut index = 0;
    for member in &family {
        for method in &member.methods {
            if method.is_plain() {
                let serve = function("serve", &member.named, method);
                let serve = scope.proxy_item(&member.named, &serve);
                code.add(format!("{index} => {serve}(this, read, params, answer),"));
            } else {
                code.add(format!(
                    "{index} => Err(rt::Error::Usage({:?}.to_owned())),",
                    format!(
                        "{}.{} is the runtime's own to answer",
                        member.named.schema, method.schema
                    )
                ));
            }
            index += 1;
        }
    }
    code.add(format!(
        "_ => Err(rt::Error::Usage(format!(\"{} has no method {{method}}\"))),\n}}\n}}\n}}",
        interface.named.schema
    ));
}
