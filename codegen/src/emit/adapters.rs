//! The older generations behind the newest interfaces, and the layers that are put over those by hand.

use super::code::Code;
use super::types::{Scope, arguments, async_form, async_name, local};
use super::{GENERATED, bootstrap};
use crate::generations::{Bootstrap, Release};
use crate::layout::Layout;
use crate::model::adapt::{Adapted, Adapter, Conversion, Convert, How, Older};
use crate::model::{Interface, Method, Model, Named, Type};
use crate::names;

/// The adapters, layers and the bootstrap interface of any generation: `adapters.rs`.
pub(crate) fn adapters(
    releases: &[Release],
    newest: (&Model, &Layout),
    layers: &[String],
    bootstrap: &Bootstrap<'_>,
) -> String {
    let mut code = Code::new();
    code.add(GENERATED);
    let (model, layout) = newest;
    let scope = Scope::outside(model, layout);
    for release in releases {
        let Some((older, older_layout, adapters)) = &release.older else {
            continue;
        };
        let older_scope = Scope::outside(older, older_layout);
        code.blank();
        code.docs([format!("Core {} as the newest interfaces.", release.number)]);
        code.add(format!("pub(crate) mod {} {{", release.name));
        code.add("use std::sync::Arc;");
        code.blank();
        code.add("use crate::error::Result;\nuse crate::generation::by_hand::then;");
        code.add("use crate::interfaces::{Call, Remote, ready};");
        for adapter in &adapters.interfaces {
            if adapter.newest.id != bootstrap.interface.named.id {
                emit_adapter(&mut code, release, (&scope, &older_scope), adapter);
            }
        }
        for (direction, conversions) in [("older", &adapters.older), ("newest", &adapters.newest)] {
            let (from, to) = match direction {
                "older" => (&scope, &older_scope),
                _ => (&older_scope, &scope),
            };
            for conversion in conversions {
                emit_conversion(&mut code, direction, (from, to), conversion);
            }
        }
        code.add("}");
    }
    for name in layers {
        let mut interfaces = model.files.iter().flat_map(|file| &file.interfaces);
        if let Some(interface) = interfaces.find(|interface| interface.named.schema == *name) {
            emit_layer(&mut code, &scope, interface);
        }
    }
    bootstrap::emit(&mut code, releases, &scope, bootstrap);
    code.finish()
}

/// Returns the name of what is generated for a struct or interface in its generation's module.
fn name_of(verb: &str, named: &Named) -> String {
    let module = names::plain(&named.module);
    format!("{verb}_{module}_{}", names::snake(&named.name))
}

/// Returns an expression that converts `value`, towards the generation that `direction` names.
fn converted(convert: &Convert, direction: &str, value: &str, by_reference: bool) -> String {
    match convert {
        Convert::Same => value.to_owned(),
        Convert::Struct(named) => {
            let reference = if by_reference { "" } else { "&" };
            format!("{}({reference}{value})", name_of(direction, named))
        }
        Convert::Wrap(named) => format!("{}({value})", name_of("wrap", named)),
        Convert::Each(convert) => {
            let element = converted(convert, direction, "element", true);
            format!("{value}.iter().map(|element| {element}).collect::<Vec<_>>()")
        }
    }
}

/// Returns the arguments of a call of the older generation's method.
fn older_arguments(older: &Older) -> String {
    let convert = |(param, convert): &(crate::model::Field, Convert)| {
        let value = converted(convert, "older", &local(param), true);
        match convert {
            Convert::Same => value,
            _ => format!("&{value}"),
        }
    };
    let all: Vec<String> = older.params.iter().map(convert).collect();
    all.join(", ")
}

/// Emits the object that makes an older generation's interface one of the newest.
fn emit_adapter(
    code: &mut Code,
    release: &Release,
    (newest, older): (&Scope<'_>, &Scope<'_>),
    adapter: &Adapter,
) {
    let wrap = name_of("wrap", &adapter.newest);
    let (name, ours) = (&adapter.newest.name, newest.path(&adapter.newest));
    let theirs = older.path(&adapter.older);
    code.blank();
    code.docs([format!(
        "Core {}'s `{}`.",
        release.number, adapter.newest.schema
    )]);
    code.add(format!("struct {name}(Arc<dyn {theirs}>);"));
    code.blank();
    code.docs([format!("Makes it the newest `{}`.", adapter.newest.schema)]);
    code.add(format!(
        "pub fn {wrap}(older: Option<Arc<dyn {theirs}>>) -> Option<Arc<dyn {ours}>> {{"
    ));
    code.add(format!(
        "older.map(|older| Arc::new({name}(older)) as _)\n}}"
    ));
    code.blank();
    code.add(format!("impl {ours} for {name} {{"));
    for adapted in &adapter.methods {
        emit_method(code, release, newest, adapted);
    }
    code.blank();
    code.add("fn remote(&self) -> Option<&dyn Remote> {\nself.0.remote()\n}\n}");
}

/// Emits the heads of a method's two forms, and what `body` adds to each.
pub(super) fn forms(
    code: &mut Code,
    scope: &Scope<'_>,
    method: &Method,
    mut body: impl FnMut(&mut Code, bool),
) {
    let (params, output) = (scope.params(method), scope.output(method));
    for is_async in [false, true] {
        let (name, answer) = match is_async {
            false => (method.name.clone(), "Result"),
            true => (async_name(method), "Call"),
        };
        code.blank();
        code.add(format!("fn {name}(&self{params}) -> {answer}<{output}> {{"));
        body(code, is_async);
        code.add("}");
    }
}

fn emit_method(code: &mut Code, release: &Release, scope: &Scope<'_>, adapted: &Adapted) {
    let method = &adapted.method;
    forms(code, scope, method, |code, is_async| {
        let How::Call(older) = &adapted.how else {
            return emit_lacking(code, release, method, is_async);
        };
        let name = match is_async {
            false => older.name.clone(),
            true => async_form(&older.name),
        };
        for param in &method.params {
            if older
                .params
                .iter()
                .all(|(passed, _)| passed.schema != param.schema)
            {
                code.add(format!("let _ = {};", local(param)));
            }
        }
        let call = format!("self.0.{name}({})", older_arguments(older));
        code.add(match (&older.answer, is_async) {
            (None, false) => format!("{}({call})", by_hand(release, &adapted.place)),
            (None, true) => format!("then({call}, {})", by_hand(release, &adapted.place)),
            (Some(Convert::Same), _) => call,
            (Some(convert), false) => format!("{call}.map({})", mapping(convert, "")),
            (Some(convert), true) => {
                format!(
                    "then({call}, |answer| answer.map({}))",
                    mapping(convert, "")
                )
            }
        });
    });
}

/// Returns the function that converts the answer of a method by hand.
fn by_hand(release: &Release, place: &str) -> String {
    let function: Vec<String> = place.split('.').map(names::snake).collect();
    format!(
        "crate::generation::by_hand::{}::{}",
        release.name,
        function.join("_")
    )
}

/// Returns a function that converts a result to the newest generation's. `module` comes before its name.
pub(super) fn mapping(convert: &Convert, module: &str) -> String {
    match convert {
        Convert::Wrap(named) => format!("{module}{}", name_of("wrap", named)),
        convert => format!(
            "|value| {module}{}",
            converted(convert, "newest", "value", false)
        ),
    }
}

fn emit_lacking(code: &mut Code, release: &Release, method: &Method, is_async: bool) {
    for param in &method.params {
        code.add(format!("let _ = {};", local(param)));
    }
    let lacks = format!(
        "crate::generation::Generation::{}.lacks({:?})",
        release.variant(),
        method.schema
    );
    code.add(match is_async {
        false => lacks,
        true => format!("ready({lacks})"),
    });
}

fn emit_conversion(
    code: &mut Code,
    direction: &str,
    (from, to): (&Scope<'_>, &Scope<'_>),
    conversion: &Conversion,
) {
    let newest = match direction {
        "older" => &conversion.from,
        _ => &conversion.to,
    };
    code.blank();
    code.docs([format!(
        "Makes a `{}` one of the {direction} generation.",
        newest.schema
    )]);
    code.add(format!(
        "pub fn {}(value: &{}) -> {} {{",
        name_of(direction, newest),
        from.path(&conversion.from),
        to.path(&conversion.to)
    ));
    code.add(format!("{} {{", to.path(&conversion.to)));
    for (field, convert) in &conversion.fields {
        let is_copied = matches!(
            field.ty,
            Type::Void | Type::Bool | Type::Number(_) | Type::Value { .. }
        );
        let clone = match convert {
            Convert::Same | Convert::Wrap(_) if !is_copied => ".clone()",
            _ => "",
        };
        let value = converted(
            convert,
            direction,
            &format!("value.{}{clone}", field.name),
            false,
        );
        code.add(format!("{}: {value},", field.name));
    }
    if conversion.has_more {
        code.add("..Default::default()");
    }
    code.add("}\n}");
}

/// Emits the trait of a layer over an interface: whatever a layer leaves out goes to what is below.
fn emit_layer(code: &mut Code, scope: &Scope<'_>, interface: &Interface) {
    let (name, path) = (&interface.named.name, scope.path(&interface.named));
    code.blank();
    code.docs([format!(
        "A layer over a `{}`: a method that it leaves out is the inner one's.",
        interface.named.schema
    )]);
    code.add(format!(
        "pub(crate) trait {name}Layer: Send + Sync + 'static {{"
    ));
    code.docs(["The object below."]);
    code.add(format!("fn inner(&self) -> &Arc<dyn {path}>;"));
    for method in interface.of_trait() {
        emit_passed(code, scope, method, "self.inner()");
    }
    code.add("}");
    code.blank();
    code.add(format!("impl<L: {name}Layer> {path} for Layered<L> {{"));
    for method in interface.of_trait() {
        emit_passed(code, scope, method, "self.0");
    }
    code.blank();
    code.add("fn remote(&self) -> Option<&dyn Remote> {\nself.0.inner().remote()\n}\n}");
}

fn emit_passed(code: &mut Code, scope: &Scope<'_>, method: &Method, to: &str) {
    forms(code, scope, method, |code, is_async| {
        let name = match is_async {
            false => method.name.clone(),
            true => async_name(method),
        };
        code.add(format!("{to}.{name}({})", arguments(method)));
    });
}
