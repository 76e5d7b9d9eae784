//! Methods of an interface: their parts, their roles for the runtime, and their names in Rust.

use std::collections::BTreeMap;

use capnp::schema_capnp::{method, node};

use super::fields::RawField;
use super::resolve::Resolver;
use super::{Field, Method, Named, Results, Role, Struct, Wire};
use crate::docs;
use crate::error::{Error, Result};
use crate::names;
use crate::request::string;

/// The id of `StreamResult` of `/capnp/stream.capnp`.
const STREAM_RESULT: u64 = 0x995f_9a33_77c0_b16e;

impl<'a> Resolver<'a> {
    /// Returns the methods that an interface declares itself.
    pub(super) fn methods(&mut self, interface: &Named) -> Result<Vec<Method>> {
        let place = self.place(interface);
        let node = self.index.node(interface.id, &place)?;
        let Ok(node::Interface(body)) = node.which() else {
            return Err(Error::malformed(
                place,
                "refers to an interface that is none",
            ));
        };
        let list = body
            .get_methods()
            .map_err(|e| Error::malformed(&place, e))?;
        let mut methods = Vec::new();
        for (ordinal, reader) in (0..).zip(list) {
            methods.push(self.method(interface, ordinal, reader, &place)?);
        }
        name_methods(&mut methods, &place)?;
        Ok(methods)
    }

    fn method(
        &mut self,
        interface: &Named,
        ordinal: u16,
        reader: method::Reader<'a>,
        place: &str,
    ) -> Result<Method> {
        let schema = string(reader.get_name(), place)?;
        let place = format!("{place}.{schema}");
        let unsupported = |what: &str| {
            Error::schema(
                &place,
                format!("{what} are not supported by the typed generator"),
            )
        };
        if reader
            .get_implicit_parameters()
            .is_ok_and(|p| !p.is_empty())
        {
            return Err(unsupported("generic methods"));
        }
        let (params_id, results_id) = (
            reader.get_param_struct_type(),
            reader.get_result_struct_type(),
        );
        if results_id == STREAM_RESULT {
            return Err(unsupported("streaming methods"));
        }

        let mut params = self.raw_fields(params_id, "parameter", &place)?;
        let context = self.take_proxy(&mut params, "Context")?;
        let thread_map = self.take_proxy(&mut params, "ThreadMap")?;
        let mut results = self.raw_fields(results_id, "result", &place)?;
        let role = if thread_map.is_some() {
            self.take_proxy(&mut results, "ThreadMap")?;
            if !(params.is_empty() && results.is_empty()) {
                return Err(Error::schema(
                    place,
                    "a method that swaps thread maps can have no other parameters and results",
                ));
            }
            Role::Construct
        } else if schema == "destroy"
            && context.is_some()
            && params.is_empty()
            && results.is_empty()
        {
            Role::Destroy
        } else {
            Role::Plain
        };

        let exception = self.take_exception(results_id, &mut results)?;
        let params = self.fields(params_id, &params)?;
        let result_fields = self.fields(results_id, &results)?;
        let params_wire = self.body_wire(interface, params_id, schema, "Params", &place)?;
        let results_wire = self.body_wire(interface, results_id, schema, "Results", &place)?;
        let results = self.results(interface, schema, results_id, &results_wire, result_fields)?;
        Ok(Method {
            schema: schema.to_owned(),
            name: names::snake(schema),
            ordinal,
            docs: docs::lines(self.index.member_comment(interface.id, ordinal.into())),
            role,
            context: context.map(|field| names::wire_field(field.name)),
            params,
            params_wire,
            results,
            exception,
            results_wire,
        })
    }

    /// Takes the one field whose type is `name` of `/mp/proxy.capnp`.
    fn take_proxy(
        &self,
        fields: &mut Vec<RawField<'a>>,
        name: &str,
    ) -> Result<Option<RawField<'a>>> {
        let mut found = None;
        let mut rest = Vec::new();
        for field in fields.drain(..) {
            let proxy = match field.type_id() {
                Some(id) => self.proxy_type(id, &field.place)?,
                None => None,
            };
            if proxy != Some(name) {
                rest.push(field);
            } else if found.is_none() {
                found = Some(field);
            } else {
                return Err(Error::schema(
                    field.place,
                    format!("a second Proxy.{name} in one method"),
                ));
            }
        }
        *fields = rest;
        Ok(found)
    }

    /// Takes the result that is the method's declared exception.
    fn take_exception(
        &mut self,
        id: u64,
        results: &mut Vec<RawField<'a>>,
    ) -> Result<Option<Field>> {
        let mut found = Vec::new();
        let mut rest = Vec::new();
        for field in results.drain(..) {
            if self.is_exception(&field)? {
                found.push(field);
            } else {
                rest.push(field);
            }
        }
        *results = rest;
        if let Some(second) = found.get(1) {
            return Err(Error::schema(
                &second.place,
                "a second exception: one is supported by the typed generator",
            ));
        }
        let Some(field) = self.fields(id, &found)?.pop() else {
            return Ok(None);
        };
        use super::Type::{Data, List, Struct, Text};
        match (&field.ty, found.first()) {
            (Struct(_) | Text | Data | List(_), _) => Ok(Some(field)),
            (_, raw) => Err(Error::schema(
                raw.map(|f| f.place.as_str()).unwrap_or_default(),
                "an exception must be a struct, text, data or list, so that it can be absent",
            )),
        }
    }

    /// The wire module of a method's parameters or results.
    fn body_wire(
        &self,
        interface: &Named,
        id: u64,
        method: &str,
        suffix: &str,
        place: &str,
    ) -> Result<Wire> {
        if self.index.node(id, place)?.get_scope_id() == 0 {
            let module = names::wire_module(&format!("{method}{suffix}"));
            return Ok(Wire {
                origin: interface.origin,
                path: format!("{}::{module}", interface.wire),
            });
        }
        let named = self.named(id, place)?;
        Ok(Wire {
            origin: named.origin,
            path: named.wire,
        })
    }

    /// Returns the results of a method: several are a struct of their own, unless the schema has
    /// already named one.
    fn results(
        &mut self,
        interface: &Named,
        method: &str,
        id: u64,
        wire: &Wire,
        mut fields: Vec<Field>,
    ) -> Result<Results> {
        if fields.len() <= 1 {
            return Ok(fields.pop().map_or(Results::None, Results::One));
        }
        let place = format!("{}.{method}", self.place(interface));
        if self.index.node(id, &place)?.get_scope_id() != 0 {
            let named = self.named(id, &place)?;
            self.note_struct(&named)?;
            return Ok(Results::Many(named));
        }
        let named = Named {
            id,
            name: format!("{}{}Results", interface.name, names::capital(method)),
            schema: format!("{}.{method}", interface.schema),
            wire: wire.path.clone(),
            ..interface.clone()
        };
        let docs = vec![format!("The results of `{}`.", named.schema)];
        self.note_results(Struct {
            named: named.clone(),
            docs,
            fields,
        });
        Ok(Results::Many(named))
    }
}

/// Gives the methods their Rust names. One that would be the async form of another, or a name
/// that every trait has, gets an underscore.
fn name_methods(methods: &mut [Method], place: &str) -> Result<()> {
    let bases: Vec<String> = methods.iter().map(|method| method.name.clone()).collect();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for method in methods.iter_mut().filter(|method| method.is_plain()) {
        let is_async_form = method
            .name
            .strip_suffix("_async")
            .is_some_and(|other| bases.iter().any(|base| base == other));
        if is_async_form || matches!(method.name.as_str(), "remote" | "several") {
            method.name.push('_');
        }
        if let Some(other) = seen.insert(method.name.clone(), method.schema.clone()) {
            return Err(Error::schema(
                format!("{place}.{}", method.schema),
                format!("becomes `{}` in Rust, as {other} does", method.name),
            ));
        }
        method.name = names::escape(std::mem::take(&mut method.name));
    }
    Ok(())
}
