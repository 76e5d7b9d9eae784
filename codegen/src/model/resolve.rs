//! Walks the requested files and collects what their interfaces need.
//!
//! Decides what is generated at all: every interface of the requested files, and the values that
//! these interfaces carry. Nodes that no interface uses are ignored, supported or not.

use std::collections::{BTreeMap, BTreeSet};

use capnp::schema_capnp::node;

use super::{Ancestor, Enum, Enumerant, File, Interface, Model, Named, Origin, Role, Struct, Type};
use crate::docs;
use crate::error::{Error, Result};
use crate::layout::{Layout, PROXY_FILE};
use crate::names;
use crate::request::{Index, RequestedFile, string};

/// Builds the model of a request.
pub(crate) fn build(index: &Index<'_>, layout: &Layout) -> Result<Model> {
    let mut resolver = Resolver {
        index,
        layout,
        structs: BTreeMap::new(),
        results: Vec::new(),
        enums: BTreeMap::new(),
        meant: BTreeSet::new(),
    };
    let mut files = Vec::new();
    for file in index.requested.iter().filter(|f| f.id != PROXY_FILE) {
        files.push(resolver.file_interfaces(file)?);
    }
    resolver.refuse_endless_structs()?;
    let carriers = resolver.carriers();
    let has_enums = !resolver.enums.is_empty();
    for (file, requested) in files
        .iter_mut()
        .zip(index.requested.iter().filter(|f| f.id != PROXY_FILE))
    {
        resolver.file_values(file, requested)?;
    }
    files.retain(|f| !(f.interfaces.is_empty() && f.structs.is_empty() && f.enums.is_empty()));
    Ok(Model {
        files,
        carriers,
        has_enums,
        meant: resolver.meant,
    })
}

/// The state of building a model.
pub(super) struct Resolver<'a> {
    pub(super) index: &'a Index<'a>,
    pub(super) layout: &'a Layout,
    /// The structs that interfaces carry, by id; those being resolved are `None`.
    structs: BTreeMap<u64, Option<Struct>>,
    /// The structs made of several results, in order.
    results: Vec<Struct>,
    enums: BTreeMap<u64, Enum>,
    /// The fields of which the layout says what they mean.
    pub(super) meant: BTreeSet<String>,
}

impl<'a> Resolver<'a> {
    /// Returns the place of a named node, for errors: `mining.capnp: Mining`.
    pub(super) fn place(&self, named: &Named) -> String {
        let file = self
            .index
            .requested
            .iter()
            .find(|file| named.origin == Origin::Own && file.module == names::plain(&named.module))
            .map_or_else(
                || format!("{}.capnp", named.module),
                |file| file.name.clone(),
            );
        format!("{file}: {}", named.schema)
    }

    /// Returns the ids of all nodes that a file declares, at any depth, in its order.
    fn declared(&self, file: &RequestedFile) -> Result<Vec<u64>> {
        let mut out = Vec::new();
        let mut todo = vec![file.id];
        while let Some(id) = todo.pop() {
            let node = self.index.node(id, &file.name)?;
            if out.contains(&id) {
                return Err(Error::malformed(&file.name, "a node is declared twice"));
            }
            out.push(id);
            let nested = node
                .get_nested_nodes()
                .map_err(|e| Error::malformed(&file.name, e))?;
            todo.extend(nested.iter().rev().map(|nested| nested.get_id()));
        }
        Ok(out)
    }

    fn file_interfaces(&mut self, file: &RequestedFile) -> Result<File> {
        let mut interfaces = Vec::new();
        for id in self.declared(file)? {
            let node = self.index.node(id, &file.name)?;
            if matches!(node.which(), Ok(node::Interface(_))) {
                let name = self.index.local_name(node, &file.name)?;
                let named = self.named(id, &format!("{}: {name}", file.name))?;
                interfaces.push(self.interface(named)?);
            }
        }
        Ok(File {
            name: file.name.clone(),
            module: names::escape(file.module.clone()),
            docs: docs::lines(self.index.comment(file.id)),
            interfaces,
            structs: Vec::new(),
            enums: Vec::new(),
        })
    }

    fn interface(&mut self, named: Named) -> Result<Interface> {
        let place = self.place(&named);
        let methods = self.methods(&named)?;
        let parents = self.parents(&named, &place)?;
        let mut ancestors = Vec::new();
        for parent in &parents {
            self.add_ancestors(parent, &mut ancestors, &place, 0)?;
        }
        let has =
            |role: Role, name: &str| methods.iter().any(|m| m.role == role && m.schema == name);
        let is_closure = parents.is_empty()
            && methods.len() == 2
            && has(Role::Destroy, "destroy")
            && has(Role::Plain, "call");
        Ok(Interface {
            docs: docs::lines(self.index.comment(named.id)),
            named,
            parents,
            ancestors,
            methods,
            kept: Vec::new(),
            is_closure,
        })
    }

    /// Returns the interfaces that an interface extends.
    fn parents(&self, named: &Named, place: &str) -> Result<Vec<Named>> {
        let Ok(node::Interface(body)) = self.index.node(named.id, place)?.which() else {
            return Err(Error::malformed(place, "extends what is no interface"));
        };
        let list = body
            .get_superclasses()
            .map_err(|e| Error::malformed(place, e))?;
        list.iter()
            .map(|parent| self.named(parent.get_id(), place))
            .collect()
    }

    fn add_ancestors(
        &mut self,
        named: &Named,
        ancestors: &mut Vec<Ancestor>,
        place: &str,
        depth: usize,
    ) -> Result<()> {
        if depth > 64 {
            return Err(Error::malformed(place, "extends itself"));
        }
        if ancestors.iter().any(|a| a.named.id == named.id) {
            return Ok(());
        }
        let parents = self.parents(named, place)?;
        ancestors.push(Ancestor {
            named: named.clone(),
            is_root: parents.is_empty(),
            methods: self.methods(named)?,
        });
        for parent in &parents {
            self.add_ancestors(parent, ancestors, place, depth + 1)?;
        }
        Ok(())
    }

    /// Notes a struct that an interface carries, and what it contains.
    pub(super) fn note_struct(&mut self, named: &Named) -> Result<()> {
        if self.structs.contains_key(&named.id) {
            return Ok(());
        }
        self.structs.insert(named.id, None);
        let place = self.place(named);
        let raw = self.raw_fields(named.id, "field", &place)?;
        let fields = self.fields(named.id, &raw)?;
        let docs = docs::lines(self.index.comment(named.id));
        self.structs.insert(
            named.id,
            Some(Struct {
                named: named.clone(),
                docs,
                fields,
            }),
        );
        Ok(())
    }

    /// Notes the struct that stands for several results.
    pub(super) fn note_results(&mut self, results: Struct) {
        if self.results.iter().all(|r| r.named.id != results.named.id) {
            self.results.push(results);
        }
    }

    /// Notes an enum that an interface carries.
    pub(super) fn note_enum(&mut self, named: &Named) -> Result<()> {
        if self.enums.contains_key(&named.id) {
            return Ok(());
        }
        let place = self.place(named);
        let node = self.index.node(named.id, &place)?;
        let Ok(node::Enum(body)) = node.which() else {
            return Err(Error::malformed(place, "refers to an enum that is none"));
        };
        let mut enumerants = Vec::new();
        let list = body
            .get_enumerants()
            .map_err(|e| Error::malformed(&place, e))?;
        for (i, enumerant) in (0..).zip(list) {
            let schema = string(enumerant.get_name(), &place)?;
            let mut name = names::escape(names::capital(schema));
            if name == "Unknown" {
                name.push('_');
            }
            enumerants.push(Enumerant {
                schema: schema.to_owned(),
                name,
                docs: docs::lines(self.index.member_comment(named.id, i)),
            });
        }
        if enumerants.is_empty() {
            return Err(Error::schema(place, "an enum without values"));
        }
        let docs = docs::lines(self.index.comment(named.id));
        self.enums.insert(
            named.id,
            Enum {
                named: named.clone(),
                docs,
                enumerants,
            },
        );
        Ok(())
    }

    fn all_structs(&self) -> impl Iterator<Item = &Struct> {
        self.structs.values().flatten().chain(&self.results)
    }

    /// Returns the structs that contain interfaces at any depth.
    fn carriers(&self) -> BTreeSet<u64> {
        fn carries(ty: &Type, known: &BTreeSet<u64>) -> bool {
            match ty {
                Type::Interface(_) => true,
                Type::Struct(named) => known.contains(&named.id),
                Type::List(element) => carries(element, known),
                _ => false,
            }
        }
        let mut known = BTreeSet::new();
        loop {
            let before = known.len();
            for s in self.all_structs() {
                if s.fields.iter().any(|field| carries(&field.ty, &known)) {
                    known.insert(s.named.id);
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }

    /// Rejects structs that contain themselves other than in a list: such a struct would have no
    /// end in Rust, nor on the wire when it is written.
    fn refuse_endless_structs(&self) -> Result<()> {
        for start in self.structs.values().flatten() {
            let mut seen = BTreeSet::new();
            let mut todo: Vec<&Struct> = vec![start];
            while let Some(s) = todo.pop() {
                for field in &s.fields {
                    let Type::Struct(inner) = &field.ty else {
                        continue;
                    };
                    if inner.id == start.named.id {
                        return Err(Error::schema(
                            format!("{}: field {}", self.place(&s.named), field.schema),
                            format!(
                                "`{}` contains itself: only a list of itself is supported by the \
                                 typed generator",
                                start.named.schema
                            ),
                        ));
                    }
                    if seen.insert(inner.id) {
                        todo.extend(self.structs.get(&inner.id).and_then(Option::as_ref));
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves the file's own values into it.
    fn file_values(&mut self, file: &mut File, requested: &RequestedFile) -> Result<()> {
        for id in self.declared(requested)? {
            file.structs.extend(self.structs.remove(&id).flatten());
            file.enums.extend(self.enums.remove(&id));
        }
        let module = &file.module;
        let (own, others) = std::mem::take(&mut self.results)
            .into_iter()
            .partition(|r| r.named.origin == Origin::Own && r.named.module == *module);
        self.results = others;
        file.structs.extend::<Vec<Struct>>(own);

        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        let interfaces = file.interfaces.iter().map(|i| &i.named);
        let structs = file.structs.iter().map(|s| &s.named);
        let enums = file.enums.iter().map(|e| &e.named);
        for named in interfaces.chain(structs).chain(enums) {
            if let Some(other) = seen.insert(&named.name, &named.schema) {
                return Err(Error::schema(
                    format!("{}: {}", file.name, named.schema),
                    format!("becomes `{}` in Rust, as {other} does", named.name),
                ));
            }
        }
        Ok(())
    }
}
