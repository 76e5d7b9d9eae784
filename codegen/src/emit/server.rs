//! The servers: parameters read, the method called, results written.

use super::code::Code;
use super::read::read_param;
use super::types::{Scope, function, is_optional, local};
use super::write::{Value, write_field, write_struct};
use crate::model::{Field, Interface, Method, Named, Results, Type};

/// Emits a function for each method of an interface; those of extending interfaces use them too.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    for method in interface.methods.iter().filter(|m| m.is_plain()) {
        emit_serve(code, scope, &interface.named, method);
    }
}

fn emit_serve(code: &mut Code, scope: &Scope<'_>, interface: &Named, method: &Method) {
    let place = format!("{}.{}", interface.schema, method.schema);
    let path = scope.path(interface);
    let read = if scope.model.any_needs_peer(&method.params) {
        "read"
    } else {
        "_read"
    };
    let params = if method.params.is_empty() {
        "_params"
    } else {
        "params"
    };
    code.blank();
    code.docs([format!("Serves `{place}`.")]);
    code.add("#[doc(hidden)]");
    code.add(format!(
        "pub fn {}<T: {path} + ?Sized>(\nthis: &T,\n{read}: &rt::Read<'_>,\n\
         {params}: rt::capnp::any_pointer::Reader<'_>,\nanswer: &mut rt::Answer<'_>,\n\
         ) -> rt::Result<()> {{",
        function("serve", interface, method)
    ));
    if !method.params.is_empty() {
        code.add(format!(
            "let params = params\n.get_as::<{}::Reader<'_>>()\n.map_err(rt::malformed({place:?}))?;",
            scope.wire(&method.params_wire)
        ));
    }
    for param in &method.params {
        let field = format!("{place}.{}", param.schema);
        let value = read_param(scope, param, "params", &field);
        code.add(format!("let {} = {value};", local(param)));
    }

    let arguments: String = method
        .params
        .iter()
        .map(|param| format!(", {}", argument(param)))
        .collect();
    let call = format!("{path}::{}(this{arguments})?", method.name);
    let is_void = matches!(method.results, Results::None) && method.exception.is_none();
    code.add(if is_void {
        format!("{call};")
    } else {
        format!("let result = {call};")
    });
    let build = if writes_need_peer(scope, method) {
        "build"
    } else {
        "_build"
    };
    code.add(format!("answer.write(|{build}, results| {{"));
    emit_write_results(code, scope, method, &place, is_void);
    code.add("Ok(())\n})\n}");
}

/// How a local is passed on as a parameter.
fn argument(param: &Field) -> String {
    let name = local(param);
    match (&param.ty, is_optional(param)) {
        (Type::List(_), true) => format!("{name}.as_deref()"),
        (Type::Struct(_), true) => format!("{name}.as_ref()"),
        (Type::List(_) | Type::Struct(_), false) => format!("&{name}"),
        _ => name,
    }
}

fn writes_need_peer(scope: &Scope<'_>, method: &Method) -> bool {
    let exception = method.exception.as_ref();
    let results = match &method.results {
        Results::None => false,
        Results::One(field) => scope.model.needs_peer(&field.ty),
        Results::Many(named) => scope.model.carriers.contains(&named.id),
    };
    results || exception.is_some_and(|e| scope.model.needs_peer(&e.ty))
}

fn emit_write_results(
    code: &mut Code,
    scope: &Scope<'_>,
    method: &Method,
    place: &str,
    is_void: bool,
) {
    let init = format!(
        "results\n.init_as::<{}::Builder<'_>>()",
        scope.wire(&method.results_wire)
    );
    if is_void {
        code.add(format!("{init};"));
        return;
    }
    let moved = method.exception.is_none() && matches!(method.results, Results::Many(_));
    let mutable = if moved { "" } else { "mut " };
    code.add(format!("let {mutable}results = {init};"));
    let Some(exception) = &method.exception else {
        emit_write_value(
            code,
            scope,
            method,
            &Value::place("result".to_owned()),
            "results",
            place,
        );
        return;
    };
    code.add("match &result {");
    let ok = if matches!(method.results, Results::None) {
        "_"
    } else {
        "result"
    };
    code.add(format!("Ok({ok}) => {{"));
    let value = Value::reference("result".to_owned());
    emit_write_value(code, scope, method, &value, "results.reborrow()", place);
    code.add("}\nErr(result) => {");
    let path = format!("{place}.{}", exception.schema);
    write_field(code, scope, exception, &value, "results", &path);
    code.add("}\n}");
}

/// Writes what the method returned.
fn emit_write_value(
    code: &mut Code,
    scope: &Scope<'_>,
    method: &Method,
    value: &Value,
    builder: &str,
    place: &str,
) {
    match &method.results {
        Results::None => {}
        Results::One(field) => {
            let path = format!("{place}.{}", field.schema);
            write_field(code, scope, field, value, "results", &path);
        }
        Results::Many(named) => {
            code.add(format!(
                "{}?;",
                write_struct(scope, named, value, builder, place)
            ));
        }
    }
}
