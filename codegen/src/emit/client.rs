//! The clients: each method's values written into a call that can be sent.

use super::code::Code;
use super::read::{read_field, read_result, read_struct};
use super::types::{Scope, arguments, async_name, family, function, local, methods_static};
use super::write::{Value, write_field};
use crate::model::{Ancestor, Field, Interface, Method, Named, Results};

/// Emits an interface's client.
pub(super) fn emit(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let name = &interface.named.name;
    code.blank();
    code.docs([format!("`{}` in another process.", interface.named.schema)]);
    code.add("#[derive(Clone)]");
    code.add(format!(
        "pub struct {name}Client {{\nobject: rt::Object,\n}}"
    ));
    for member in family(interface) {
        emit_impl(code, scope, name, &member);
    }
    for method in interface.methods.iter().filter(|m| m.is_plain()) {
        emit_prepare(code, scope, &interface.named, method);
    }
}

/// Implements the trait of the interface or of one that it extends.
fn emit_impl(code: &mut Code, scope: &Scope<'_>, client: &str, member: &Ancestor) {
    code.blank();
    code.add(format!(
        "impl {} for {client}Client {{",
        scope.path(&member.named)
    ));
    for method in member.methods.iter().filter(|m| m.is_plain()) {
        let (params, output) = (scope.params(method), scope.output(method));
        let prepare = function("prepare", &member.named, method);
        let prepare = scope.proxy_item(&member.named, &prepare);
        let arguments = arguments(method);
        code.blank();
        code.add(format!(
            "fn {}(&self{params}) -> rt::Result<{output}> {{",
            method.name
        ));
        code.add(format!(
            "rt::call(&self.object, {prepare}({arguments}))\n}}"
        ));
        code.blank();
        code.add(format!(
            "fn {}(&self{params}) -> rt::Call<{output}> {{",
            async_name(method)
        ));
        code.add(format!(
            "rt::call_async(&self.object, {prepare}({arguments}))\n}}"
        ));
    }
    if member.is_root {
        code.blank();
        code.add("fn remote(&self) -> Option<&dyn rt::Remote> {\nSome(&self.object)\n}");
    }
    code.add("}");
}

/// A function that makes a call out of a method's parameters.
fn emit_prepare(code: &mut Code, scope: &Scope<'_>, interface: &Named, method: &Method) {
    let place = format!("{}.{}", interface.schema, method.schema);
    let params: Vec<String> = method
        .params
        .iter()
        .map(|param| {
            let ty = scope.param(param).replacen('&', "&'a ", 1);
            format!("{}: {ty}", local(param))
        })
        .collect();
    // The call is written before the parameters are gone.
    let borrows = params.iter().any(|param| param.contains("&'a "));
    let (generic, lifetime) = match borrows {
        true => ("<'a>", "'a"),
        false => ("", "'static"),
    };
    code.blank();
    code.docs([format!("A call of `{place}`.")]);
    code.add("#[doc(hidden)]");
    if params.len() > 7 {
        code.add("#[allow(clippy::too_many_arguments)]");
    }
    code.add(format!(
        "pub fn {}{generic}({}) -> rt::Outgoing<{lifetime}, {}> {{",
        function("prepare", interface, method),
        params.join(", "),
        scope.output(method)
    ));
    code.add("rt::Outgoing::new(");
    code.add(format!(
        "&{}[{}],",
        methods_static(interface),
        method.ordinal
    ));

    let build = if method.context.is_some() || scope.model.any_needs_peer(&method.params) {
        "build"
    } else {
        "_build"
    };
    code.add(format!("move |{build}, params| {{"));
    let builder = format!(
        "params\n.init_as::<{}::Builder<'_>>()",
        scope.wire(&method.params_wire)
    );
    if method.context.is_none() && method.params.is_empty() {
        code.add(format!("{builder};"));
    } else {
        code.add(format!("let mut params = {builder};"));
    }
    if let Some(context) = &method.context {
        code.add(format!(
            "build.context(params.reborrow().init_{context}());"
        ));
    }
    for param in &method.params {
        let value = Value::param(local(param));
        write_field(
            code,
            scope,
            param,
            &value,
            "params",
            &format!("{place}.{}", param.schema),
        );
    }
    code.add("Ok(())\n},");
    emit_read_results(code, scope, method, &place);
    code.add(")\n}");
}

/// The closure that reads a method's results.
fn emit_read_results(code: &mut Code, scope: &Scope<'_>, method: &Method, place: &str) {
    let fields: Vec<Field> = match &method.results {
        Results::One(field) => vec![field.clone()],
        _ => Vec::new(),
    };
    let mut needs_peer = scope.model.any_needs_peer(&fields);
    if let Results::Many(named) = &method.results {
        needs_peer |= scope.model.carriers.contains(&named.id);
    }
    if let Some(e) = &method.exception {
        needs_peer |= scope.model.needs_peer(&e.ty);
    }
    let read = if needs_peer { "read" } else { "_read" };
    if matches!(method.results, Results::None) && method.exception.is_none() {
        code.add("|_read, _results| Ok(()),");
        return;
    }
    code.add(format!("|{read}, results| {{"));
    code.add(format!(
        "let results = results\n.get_as::<{}::Reader<'_>>()\n.map_err(rt::malformed({place:?}))?;",
        scope.wire(&method.results_wire)
    ));
    let Some(exception) = &method.exception else {
        match &method.results {
            Results::None => {}
            Results::One(field) => {
                let path = format!("{place}.{}", field.schema);
                code.add(read_result(scope, field, "results", &path));
            }
            Results::Many(named) => code.add(read_struct(scope, named, "results", place)),
        }
        code.add("},");
        return;
    };
    let path = format!("{place}.{}", exception.schema);
    code.add(format!("if results.has_{}() {{", exception.wire));
    let error = read_field(scope, exception, "results", &path);
    code.add(format!("let error = {error};\nreturn Ok(Err(error));\n}}"));
    match &method.results {
        Results::None => code.add("Ok(Ok(()))"),
        Results::One(field) => {
            let path = format!("{place}.{}", field.schema);
            let value = read_field(scope, field, "results", &path);
            code.add(format!("let value = {value};\nOk(Ok(value))"));
        }
        Results::Many(named) => {
            let value = read_struct(scope, named, "results", place);
            code.add(format!("let value = {value}?;\nOk(Ok(value))"));
        }
    }
    code.add("},");
}
