//! `describe`: what the schema says of an interface, a method, a struct or an enum, and of a
//! method a command line that calls it.

use bitcoin_ipc::dynamic::json::{Converter, Meaning};
use bitcoin_ipc::dynamic::schema::model::{Kind, Node, Place, Struct, Type, Value};
use bitcoin_ipc::transport::Chain;
use eyre::Result;
use serde_json::{Value as Json, json};

use crate::args;
use crate::calls::lines::Told;
use crate::calls::session::{Session, manner};
use crate::context::Context;
use crate::schema::choice::Schema;
use crate::schema::methods::{Method, Param};
use crate::ui::errors::Failure;
use crate::ui::output::Shown;

/// Values that say more than those made up by type.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("Echo.echo", "echo", "hi"),
    // It may be waited for, for ever, where it is left out.
    ("Mining.createNewBlock", "cooldown", "false"),
    (
        "Rpc.executeRpc",
        "request",
        "{\"method\":\"getblockcount\"}",
    ),
];

pub(crate) fn run(context: &Context, args: &args::Describe) -> Result<u8> {
    let mut session = Session::new(context)?;
    let schema = match context.options.address_given && context.options.core.0.is_none() {
        false => session.schema().clone(),
        true => {
            session.open(&context.options.address)?;
            let learned = session.learn();
            session.end();
            learned?
        }
    };
    let name = &args.name;
    if args.template {
        let (_, method) = schema.named(name)?;
        let manner = manner(context);
        let (id, brand) = &method.info.method.params;
        let ty = Type::Struct(*id, brand.within(&method.info.brand));
        let converter = Converter::new(&schema.registry, &manner);
        let template = converter.template(&ty, &method.full_name())?;
        context.output.result(&Shown::Structured(template), false)?;
        return Ok(0);
    }
    let told = of_schema(context, &schema, name)?;
    if context.output.is_json() {
        context
            .output
            .result(&Shown::Structured(told.json), false)?;
    } else {
        context.output.text(&told.text)?;
    }
    Ok(0)
}

/// Describes what a schema calls so.
pub(crate) fn of_schema(context: &Context, schema: &Schema, name: &str) -> Result<Told> {
    if !name.contains('.')
        && let Ok(node) = schema.registry.find_type(name)
    {
        let text = match &node.kind {
            Kind::Interface(_) => interface(context, schema, &node)?,
            Kind::Struct(body) => structure(context, schema, &node, body)?,
            _ => enumeration(&node),
        };
        return Ok(told(&node.name, &node.docs, text));
    }
    let (_, method) = schema.named(name)?;
    let text = describe_method(context, schema, &method)?;
    Ok(told(&method.full_name(), &method.info.method.docs, text))
}

fn told(name: &str, docs: &str, text: String) -> Told {
    let json = json!({ "name": name, "docs": docs, "text": text });
    Told { text, json }
}

/// A method as the schema language has it, with its defaults.
pub(super) fn signature(context: &Context, schema: &Schema, method: &Method) -> Result<String> {
    let default = |ty: &Type, value: &Value| default(context, schema, ty, value);
    Ok(schema.registry.signature(&method.info, &default)?)
}

fn default(context: &Context, schema: &Schema, ty: &Type, value: &Value) -> Option<String> {
    if value.is_zero() {
        return None;
    }
    if let Value::Float64(bits) = value
        && f64::from_bits(*bits) == f64::MAX
    {
        return Some("forever".into());
    }
    let manner = manner(context);
    let converter = Converter::new(&schema.registry, &manner);
    Some(converter.value(value, ty, "default").ok()?.to_string())
}

fn commented(docs: &str, indent: &str) -> String {
    let lines = docs.lines().map(|line| format!("{indent}{line}\n"));
    lines.collect()
}

fn interface(context: &Context, schema: &Schema, node: &Node) -> Result<String> {
    let mut text = format!("interface {}\n{}", node.name, commented(&node.docs, "  "));
    for method in schema.methods(node.id)? {
        let signature = signature(context, schema, &method)?;
        text.push_str(&format!("\n{signature}\n"));
        text.push_str(&commented(&method.info.method.docs, "  "));
    }
    Ok(text)
}

fn structure(context: &Context, schema: &Schema, node: &Node, body: &Struct) -> Result<String> {
    let mut text = format!("struct {}\n{}\n", node.name, commented(&node.docs, "  "));
    for field in &body.fields {
        let line = match &field.place {
            Place::Slot {
                ty, default: value, ..
            } => {
                let value = default(context, schema, ty, value);
                let value = value.map(|value| format!(" = {value}")).unwrap_or_default();
                format!("{} :{}{value}", field.name, schema.registry.type_name(ty))
            }
            Place::Group(_) => format!("{} :group", field.name),
        };
        text.push_str(&format!("{line}\n{}", commented(&field.docs, "  ")));
    }
    Ok(text)
}

fn enumeration(node: &Node) -> String {
    let what = match &node.kind {
        Kind::Enum(_) => "enum",
        _ => "constant",
    };
    let mut text = format!("{what} {}\n{}", node.name, commented(&node.docs, "  "));
    if let Kind::Enum(values) = &node.kind {
        for (number, value) in values.iter().enumerate() {
            text.push_str(&format!("{} @{number}\n", value.name));
            text.push_str(&commented(&value.docs, "  "));
        }
    }
    text
}

fn describe_method(context: &Context, schema: &Schema, method: &Method) -> Result<String> {
    let mut text = format!(
        "{}.{}\n{}",
        method.info.interface.name,
        signature(context, schema, method)?,
        commented(&method.info.method.docs, "  ")
    );
    if !method.params.is_empty() {
        text.push_str("\nParameters:\n");
    }
    let width = |len: fn(&Param) -> usize| method.params.iter().map(len).max().unwrap_or(0);
    let (names, kinds) = (
        width(|param| param.name.len()),
        width(|param| param.kind.len()),
    );
    for param in &method.params {
        let mut notes = Vec::new();
        match meaning(context, method, param) {
            Meaning::Hash => notes.push("in display order"),
            Meaning::WireHash => notes.push("in the order of the wire"),
            Meaning::Milliseconds => notes.push("a duration such as 5s, 250ms or forever"),
            _ => {}
        }
        if param.optional {
            notes.push("may be left out");
        }
        let line = format!(
            "  {:names$}  {:kinds$}  {}",
            param.name,
            param.kind,
            notes.join("; ")
        );
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    text.push_str(&format!(
        "\nTry:\n  {}\n",
        command(context, schema, method)?
    ));
    Ok(text)
}

fn meaning(context: &Context, method: &Method, param: &Param) -> Meaning {
    let rule = manner(context).meaning;
    rule(&method.full_name(), &param.name, &param.ty)
}

/// A command line that can be pasted into a shell: a session where the object must be made with
/// parameters first.
fn command(context: &Context, schema: &Schema, method: &Method) -> Result<String, Failure> {
    let maker = schema.maker(method.info.interface.id)?;
    let Some(maker) = maker.filter(|maker| maker.params.iter().any(|param| !param.optional)) else {
        return direct(context, schema, method);
    };
    let mut make = vec![format!("x = {}", maker.full_name())];
    make.extend(arguments(context, &maker)?);
    let mut call = vec![format!("x.{}", method.name())];
    call.extend(arguments(context, method)?);
    Ok(format!(
        "{} connect <<'END'\n{}\n{}\nEND",
        program(context)?.join(" "),
        make.join(" "),
        call.join(" ")
    ))
}

/// The program with the options that choose the peer and the schema.
fn program(context: &Context) -> Result<Vec<String>, Failure> {
    let options = &context.options;
    let mut words = vec!["bitcoin-ipc".to_owned()];
    if options.chain != Chain::default() {
        words.push(format!("--chain={}", options.chain));
    }
    if let Some(datadir) = &options.datadir {
        words.extend([
            "--datadir".to_owned(),
            quoted(&datadir.display().to_string())?,
        ]);
    }
    if options.address_typed {
        words.extend(["-a".to_owned(), quoted(&options.address.to_string())?]);
    }
    for option in &options.schema {
        words.extend([
            "--schema".to_owned(),
            quoted(&option.display().to_string())?,
        ]);
    }
    if let Some(init) = &options.init {
        words.extend(["--init".to_owned(), quoted(init)?]);
    }
    Ok(words)
}

/// One call.
fn direct(context: &Context, schema: &Schema, method: &Method) -> Result<String, Failure> {
    let route = schema.route(method.info.interface.id)?.unwrap_or_default();
    let path = match route.as_str() {
        "" => method.full_name(),
        route => format!("{route}/{}", method.name()),
    };
    let mut words = program(context)?;
    words.extend(["call".to_owned(), path.clone()]);
    // What a method on the way needs, where the last one has none of that name.
    let (_, way) = schema.resolve(&path, None)?;
    let way = way.iter().rev().skip(1).flat_map(|maker| {
        let params = maker.params.iter();
        params.filter_map(move |param| Some((param, example(maker, param)?)))
    });
    let own = |name: &str| method.params.iter().any(|param| param.name == name);
    for (param, value) in way.filter(|(param, _)| !own(&param.name)) {
        words.push(format!("{}={}", param.name, quoted(value)?));
    }
    words.extend(arguments(context, method)?);
    Ok(words.join(" "))
}

fn example(method: &Method, param: &Param) -> Option<&'static str> {
    let mut examples = EXAMPLES.iter();
    let found =
        examples.find(|(name, field, _)| *name == method.full_name() && *field == param.name);
    found.map(|(_, _, value)| *value)
}

/// Values for the parameters that a call needs.
fn arguments(context: &Context, method: &Method) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for param in &method.params {
        let meaning = meaning(context, method, param);
        let known = example(method, param);
        if param.optional && known.is_none() && meaning != Meaning::Milliseconds {
            continue;
        }
        if matches!(param.ty, Type::Interface(..)) {
            words.push(format!("{}:=print", param.name));
            continue;
        }
        let value = match (known, &param.ty, meaning) {
            (Some(value), ..) => value.to_owned(),
            (_, Type::Data, Meaning::Hash | Meaning::WireHash) => "00".repeat(32),
            (_, _, Meaning::Milliseconds) => "1s".to_owned(),
            (_, Type::Text, _) => "text".to_owned(),
            (_, Type::Data, _) => "00".to_owned(),
            (_, Type::Bool, _) => "true".to_owned(),
            (_, Type::List(_), _) => Json::Array(Vec::new()).to_string(),
            (_, Type::Struct(..), _) => "{}".to_owned(),
            (_, Type::AnyPointer | Type::Void, _) => "null".to_owned(),
            _ => "0".to_owned(),
        };
        words.push(format!("{}={}", param.name, quoted(&value)?));
    }
    Ok(words)
}

fn quoted(word: &str) -> Result<String, Failure> {
    let quoted = shlex::try_quote(word);
    let quoted = quoted.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(quoted.into_owned())
}
