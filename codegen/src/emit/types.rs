//! Types and paths as Rust writes them in each generated file.

use crate::layout::Layout;
use crate::model::{
    Ancestor, Field, File, Interface, Method, Model, Named, Origin, Results, Type, Wire,
};
use crate::names;

/// The file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Interfaces,
    Proxies,
}

/// The place where text is written, which decides how names are referred to.
pub(super) struct Scope<'m> {
    pub(super) model: &'m Model,
    layout: &'m Layout,
    pub(super) file: &'m str,
    module: &'m str,
    side: Side,
}

/// Names of locals in generated functions.
const LOCALS: &[&str] = &[
    "answer", "build", "index", "item", "list", "params", "read", "result", "results", "this",
    "value",
];

impl<'m> Scope<'m> {
    pub(super) fn new(model: &'m Model, layout: &'m Layout, file: &'m File, side: Side) -> Self {
        Self {
            model,
            layout,
            file: &file.name,
            module: &file.module,
            side,
        }
    }

    /// The scope of what is no file's.
    pub(super) fn outside(model: &'m Model, layout: &'m Layout) -> Self {
        Self {
            model,
            layout,
            file: "",
            module: "",
            side: Side::Interfaces,
        }
    }

    /// Whether the runtime library generates its own code.
    pub(super) fn is_library(&self) -> bool {
        self.layout.is_library()
    }

    /// The trait of a type that stands for a number.
    pub(super) fn number_value(&self) -> String {
        format!("{}::interfaces::NumberValue", self.layout.runtime)
    }

    /// The function that wraps an interface's client.
    pub(super) fn wrap(&self, interface: &Named) -> Option<&str> {
        self.layout.wrap(&interface.schema)
    }

    /// A trait or value type.
    pub(super) fn path(&self, named: &Named) -> String {
        let module = match (named.origin, self.side) {
            (Origin::Own, Side::Interfaces) if named.module == self.module => {
                return named.name.clone();
            }
            (Origin::Core, _) => format!("{}::interfaces", self.layout.runtime),
            (Origin::Own, Side::Interfaces) => self.layout.interfaces.clone(),
            (Origin::Own, Side::Proxies) => "interfaces".to_owned(),
        };
        format!("{module}::{}::{}", named.module, named.name)
    }

    /// `item` of the proxies of the file that declares `named`.
    pub(super) fn proxy_item(&self, named: &Named, item: &str) -> String {
        match named.origin {
            Origin::Core => format!("rt::generated::{}::{item}", named.module),
            Origin::Own if named.module == self.module => item.to_owned(),
            Origin::Own => format!("super::{}::{item}", named.module),
        }
    }

    /// A module of capnpc's.
    pub(super) fn wire(&self, wire: &Wire) -> String {
        match wire.origin {
            Origin::Own => format!("wire::{}", wire.path),
            Origin::Core => format!("rt::wire::{}", wire.path),
        }
    }

    /// The wire module of a struct or enum.
    pub(super) fn wire_of(&self, named: &Named) -> String {
        self.wire(&Wire {
            origin: named.origin,
            path: named.wire.clone(),
        })
    }

    /// A type as a result or a struct's field has it.
    pub(super) fn owned(&self, ty: &Type) -> String {
        match ty {
            Type::Void => "()".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Number(name) => (*name).to_owned(),
            Type::Text => "String".to_owned(),
            Type::Data => "Vec<u8>".to_owned(),
            Type::Enum(named) | Type::Struct(named) => self.path(named),
            Type::Interface(named) => format!("Option<Arc<dyn {}>>", self.path(named)),
            Type::List(element) => format!("Vec<{}>", self.owned(element)),
            Type::Value { path, .. } => path.clone(),
        }
    }

    /// A type as a parameter has it.
    fn borrowed(&self, ty: &Type) -> String {
        match ty {
            Type::Text => "&str".to_owned(),
            Type::Data => "&[u8]".to_owned(),
            Type::Struct(named) => format!("&{}", self.path(named)),
            Type::List(element) => format!("&[{}]", self.owned(element)),
            _ => self.owned(ty),
        }
    }

    /// A field's type where it is owned.
    pub(super) fn field(&self, field: &Field) -> String {
        optional(field, self.owned(&field.ty))
    }

    /// A parameter list behind `&self`, such as `, echo: &str`.
    pub(super) fn params(&self, method: &Method) -> String {
        let mut out = String::new();
        for param in &method.params {
            out += &format!(", {}: {}", local(param), self.param(param));
        }
        out
    }

    /// A parameter's type.
    pub(super) fn param(&self, param: &Field) -> String {
        optional(param, self.borrowed(&param.ty))
    }

    /// Returns the type of a method's results when it does not fail.
    pub(super) fn output(&self, method: &Method) -> String {
        let value = match &method.results {
            Results::None => "()".to_owned(),
            Results::One(field) => self.field(field),
            Results::Many(named) => self.path(named),
        };
        match &method.exception {
            None => value,
            Some(e) => format!("Result<{value}, {}>", self.owned(&e.ty)),
        }
    }
}

/// A method's parameter names, for passing them on.
pub(super) fn arguments(method: &Method) -> String {
    let names: Vec<String> = method.params.iter().map(local).collect();
    names.join(", ")
}

/// The name of a parameter, clear of the locals of generated functions.
pub(super) fn local(field: &Field) -> String {
    if LOCALS.contains(&field.name.as_str()) {
        format!("{}_", field.name)
    } else {
        field.name.clone()
    }
}

/// Whether a field is an `Option` because of its `hasX`. An interface is an `Option` as it is.
pub(super) fn is_optional(field: &Field) -> bool {
    field.is_nullable || field.has.is_some() && !matches!(field.ty, Type::Interface(_))
}

fn optional(field: &Field, ty: String) -> String {
    if is_optional(field) {
        format!("Option<{ty}>")
    } else {
        ty
    }
}

/// The name of a method's async form.
pub(super) fn async_name(method: &Method) -> String {
    async_form(&method.name)
}

/// The name of the async form of the method of this Rust name.
pub(super) fn async_form(name: &str) -> String {
    format!("{}_async", names::plain(name).trim_end_matches('_'))
}

/// The name of a function that is generated for a method, such as `serve_echo_echo`.
pub(super) fn function(verb: &str, interface: &Named, method: &Method) -> String {
    let interface = names::snake(&interface.name);
    format!("{verb}_{interface}_{}", names::plain(&method.name))
}

/// The static that holds an interface's methods.
pub(super) fn methods_static(interface: &Named) -> String {
    format!("{}_METHODS", names::constant(&interface.name))
}

/// An interface and its ancestors, each with the methods that its trait declares itself.
pub(super) fn traits(interface: &Interface) -> Vec<Ancestor> {
    let mut traits = family(interface);
    for member in &mut traits {
        member.methods.retain(Method::is_plain);
    }
    if let Some(own) = traits.first_mut() {
        own.methods.extend(interface.kept.iter().cloned());
    }
    traits
}

/// An interface and its ancestors, each with the methods that it declares itself.
pub(super) fn family(interface: &Interface) -> Vec<Ancestor> {
    let mut family = vec![Ancestor {
        named: interface.named.clone(),
        is_root: interface.parents.is_empty(),
        methods: interface.methods.clone(),
    }];
    family.extend(interface.ancestors.iter().cloned());
    family
}
